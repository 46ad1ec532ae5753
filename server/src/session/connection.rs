//! A connection that has become a session, and its owner.

use std::net::SocketAddr;
use std::sync::Arc;

use parlour_keylog::RootCertificate;
use parlour_protocol::{DeviceId, EXPORTER_BYTES, UserName};

use crate::delivery::hub::Presence;
use crate::session::rights::{Actor, User};

/// The facts about a connection that are established before its first line.
pub struct Connection {
    /// The address that it comes from.
    pub address: SocketAddr,
    /// The leaf of the client's certificate, DER.
    pub certificate: Option<Vec<u8>>,
    /// The RFC 9266 value.
    pub exporter: [u8; EXPORTER_BYTES],
    /// The root that the handshake was checked against.
    pub root: Arc<RootCertificate>,
}

/// The owner of a session.
pub enum Standing {
    /// Nobody yet.
    Guest,
    /// A user who has logged in.
    User(LoggedIn),
}

/// A login that holds.
pub struct LoggedIn {
    /// The user.
    pub user: UserName,
    /// The device on which the user logged in.
    pub device: DeviceId,
    /// The session's place in the hub.
    pub presence: Presence,
}

impl Standing {
    /// The one who acts in the session.
    pub fn actor(&self) -> Actor<'_> {
        match self {
            Self::Guest => Actor::Guest,
            Self::User(LoggedIn { user, device, .. }) => Actor::User(User { name: user, device }),
        }
    }
}
