//! The lines that the server sends without being asked.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::name::{DeviceId, UserName};
use crate::timestamp::Timestamp;

/// An event.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Event {
    /// A message in a conversation of the session's user.
    Message(Message),
    /// The client must send `pong`, or anything else, to show that it is alive. Only in json.
    Ping,
    /// A device was revoked: its signatures from that time on are not valid. Only in json.
    Revoked {
        /// The device's owner.
        user: UserName,
        device: DeviceId,
        /// The time of the revocation.
        time: Timestamp,
        /// The revocation's number.
        number: Option<u64>,
        /// The TTP's signed statement of it, a compact JWS. Without it nobody has to believe it.
        statement: Option<String>,
    },
    /// The server closes the connection after this.
    Goodbye(Farewell),
}

/// The reasons why the server closes a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Farewell {
    /// The outgoing queue was full; the client can fetch the missing messages by `seq`.
    SlowReader,
    /// The server is stopping; the client may connect again shortly.
    Stopping,
    /// A guest was idle for too long.
    Idle,
    /// A client with a certificate did not log in in time.
    LoginTime,
    /// The session did not answer pings.
    Dead,
    /// A newer session of this device took over.
    TakenOver,
    /// The device was revoked.
    Revoked,
    /// Too many connections, in total or from this address.
    TooManyConnections,
    /// The device certificate that the session logged in with has expired, and was not renewed in it.
    CertificateExpired,
}

impl Farewell {
    /// All of them, for tables and tests.
    pub const ALL: [Self; 9] = [
        Self::SlowReader,
        Self::Stopping,
        Self::Idle,
        Self::LoginTime,
        Self::Dead,
        Self::TakenOver,
        Self::Revoked,
        Self::TooManyConnections,
        Self::CertificateExpired,
    ];
}

impl fmt::Display for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SlowReader => "slow reader",
            Self::Stopping => "server is stopping",
            Self::Idle => "idle for too long",
            Self::LoginTime => "no login in time",
            Self::Dead => "no answer to pings",
            Self::TakenOver => "a newer session of this device took over",
            Self::Revoked => "this device was revoked",
            Self::TooManyConnections => "too many connections",
            Self::CertificateExpired => "the device certificate has expired",
        })
    }
}
