//! A connection that has become a session, and its owner.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parlour_keylog::{DeviceCertificate, RootCertificate};
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
    /// The root that the handshake verified the certificate against.
    pub root: Arc<RootCertificate>,
    /// The device whose key was proven in the handshake. `None` if there was no certificate, or one of another kind.
    pub device: Option<DeviceId>,
    /// The time at which the device certificate expires, in seconds; a renewal in this session moves it.
    expires: AtomicI64,
}

impl Connection {
    /// The facts about a connection after its handshake.
    pub fn new(
        address: SocketAddr,
        certificate: Option<Vec<u8>>,
        exporter: [u8; EXPORTER_BYTES],
        root: Arc<RootCertificate>,
    ) -> Self {
        let device = certificate.as_deref().and_then(|der| DeviceCertificate::from_der(der).ok());
        let expires = AtomicI64::new(device.as_ref().map_or(i64::MAX, DeviceCertificate::not_after));
        let device = device.map(|certificate| certificate.device().clone());
        Self { address, certificate, exporter, root, device, expires }
    }

    /// The time at which the newest certificate of this connection's device expires, in seconds; the end of time for a
    /// guest.
    pub fn expires(&self) -> i64 {
        self.expires.load(Ordering::Acquire)
    }

    /// Notes a certificate that was issued in this session, if it is for this connection's device.
    pub fn renewed(&self, der: &[u8]) {
        let Ok(fresh) = DeviceCertificate::from_der(der) else { return };
        if self.device.as_ref() == Some(fresh.device()) {
            self.expires.fetch_max(fresh.not_after(), Ordering::AcqRel);
        }
    }
}

/// The owner of a session, if any.
pub enum Standing {
    /// Nobody yet.
    Guest,
    /// A user who has logged in.
    User(LoggedIn),
}

/// A successful login.
pub struct LoggedIn {
    /// The user.
    pub user: UserName,
    /// The device on which the user logged in.
    pub device: DeviceId,
    /// The session's place in the hub.
    pub presence: Presence,
}

impl Standing {
    /// The actor of the session's commands.
    pub fn actor(&self) -> Actor<'_> {
        match self {
            Self::Guest => Actor::Guest,
            Self::User(LoggedIn { user, device, .. }) => Actor::User(User { name: user, device }),
        }
    }
}
