//! Security events: their kinds and details.

use std::fmt::{self, Display};
use std::net::IpAddr;

use parlour_protocol::{DeviceId, Timestamp, UserName, clean};

/// The longest detail of an event, in bytes. A longer one is cut off.
const DETAIL_BYTES: usize = 200;

macro_rules! kinds {
    ($( $(#[doc = $help:literal])+ $name:ident = $text:literal; )+) => {
        /// The kind of an event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $( $(#[doc = $help])+ $name, )+
        }

        impl Kind {
            /// All kinds with their descriptions, for `--help` and the documentation.
            pub const ALL: &[(Self, &str)] = &[$( (Self::$name, concat!($($help),+)), )+];

            /// The kind's name in the log.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$name => $text, )+
                }
            }
        }
    };
}

kinds! {
    /// The server began to listen.
    Started = "started";
    /// The server stopped gracefully; after a crash this is missing.
    Stopped = "stopped";
    /// Keys and certificates were read again, or could not be.
    Reload = "reload";
    /// A name was registered.
    Registration = "registration";
    /// A registration was refused.
    RegistrationRefused = "registration_refused";
    /// A device logged in.
    Login = "login";
    /// A login failed, with its real reason.
    LoginFailed = "login_failed";
    /// A device was locked out at an address after too many failed logins.
    Lockout = "lockout";
    /// A device certificate was renewed.
    Renewal = "renewal";
    /// A renewal was refused.
    RenewalRefused = "renewal_refused";
    /// A device was revoked.
    DeviceRevoked = "device_revoked";
    /// Something was above a limit.
    RateLimit = "rate_limit";
    /// The oldest entries of this log were removed.
    Retention = "retention";
}

impl Kind {
    /// Returns true if anyone can cause it without an account, as often as connections allow.
    pub const fn is_open_to_strangers(self) -> bool {
        match self {
            Self::RegistrationRefused
            | Self::LoginFailed
            | Self::Lockout
            | Self::RenewalRefused
            | Self::RateLimit => true,
            Self::Started
            | Self::Stopped
            | Self::Reload
            | Self::Registration
            | Self::Login
            | Self::Renewal
            | Self::DeviceRevoked
            | Self::Retention => false,
        }
    }
}

/// Details of an event: one clean line of bounded length.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Detail(String);

impl Detail {
    /// Makes a detail of any text: cleans it and cuts it off when it is too long.
    pub fn new(words: impl Display) -> Self {
        let mut text = clean(&words.to_string()).into_owned();
        text.truncate(text.floor_char_boundary(DETAIL_BYTES));
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A security event with everything known about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SecurityEvent {
    /// The kind of event.
    pub kind: Kind,
    /// The user, or the name that was tried.
    pub user: Option<UserName>,
    /// The user's device.
    pub device: Option<DeviceId>,
    /// The address of the connection.
    pub address: Option<IpAddr>,
    /// The reason, or anything else worth knowing.
    pub detail: Detail,
}

impl SecurityEvent {
    /// An event of this kind without further details.
    pub fn new(kind: Kind) -> Self {
        Self { kind, user: None, device: None, address: None, detail: Detail::default() }
    }

    /// Adds the user.
    #[must_use]
    pub fn of(mut self, user: &UserName) -> Self {
        self.user = Some(user.clone());
        self
    }

    /// Adds the device.
    #[must_use]
    pub fn on(mut self, device: &DeviceId) -> Self {
        self.device = Some(device.clone());
        self
    }

    /// Adds the address.
    #[must_use]
    pub fn from(mut self, address: IpAddr) -> Self {
        self.address = Some(address.to_canonical());
        self
    }

    /// Adds the reason, or another detail.
    #[must_use]
    pub fn because(mut self, words: impl Display) -> Self {
        self.detail = Detail::new(words);
        self
    }
}

/// An event as it is written to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The time of the event; for repetitions, of the last one.
    pub time: Timestamp,
    /// The event.
    pub event: SecurityEvent,
    /// The number of events: more than one when repetitions were counted.
    pub times: u64,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let mut names: Vec<&str> = Kind::ALL.iter().map(|(kind, _)| kind.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }

    #[test]
    fn a_detail_is_one_short_line_even_if_its_text_is_hostile() {
        let hostile = format!("a\n2026-11-21 10:00:00 login sam\u{1b}[2J\u{202e}{}", "ü".repeat(500));
        let detail = Detail::new(&hostile);
        assert!(detail.as_str().starts_with("a ⏎ 2026"), "{detail:?}");
        assert!(!detail.as_str().contains(|c: char| c.is_control() || c == '\u{202e}'), "{detail:?}");
        assert!((DETAIL_BYTES - 3..=DETAIL_BYTES).contains(&detail.as_str().len()));
    }
}
