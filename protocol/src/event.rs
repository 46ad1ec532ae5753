//! What the server says without having been asked.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::name::{DeviceId, UserName};
use crate::timestamp::Timestamp;

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Somebody said something where the session's user can hear it.
    Message(Message),
    /// Say `pong`, or anything else, to show that you live. Only in json.
    Ping,
    /// A device was revoked: what it signs from then on does not count. Only in json.
    Revoked {
        /// Whose device.
        user: UserName,
        /// Which.
        device: DeviceId,
        /// Since when.
        time: Timestamp,
        /// The revocation's number.
        number: Option<u64>,
        /// The TTP's signed statement of it, a compact JWS. Without it nobody has to believe it.
        statement: Option<String>,
    },
    /// The server closes the connection after this.
    Goodbye(Farewell),
}

/// Why the server closes a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Farewell {
    /// The outgoing queue was full; fetch what was missed by `seq`.
    SlowReader,
    /// The server is stopping; come back in a moment.
    Stopping,
    /// A guest said nothing for too long.
    Idle,
    /// The time to log in with a client certificate is over.
    LoginTime,
    /// The session did not answer pings.
    Dead,
    /// A newer session of this device took over.
    TakenOver,
    /// The device was revoked.
    Revoked,
    /// Too many connections, in all or from this address.
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
