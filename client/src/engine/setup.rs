//! The settings that a client works with: server, root, and keys.

use parlour_protocol::{DEFAULT_PORT, ServerAddress, UserName};
use thiserror::Error;

use crate::clock::Clock;
use crate::failure::{Explain, Explanation, Kind};
use crate::link::LinkError;
use crate::link::trust::RootPin;
use crate::profile::{Profile, Profiles};

/// Settled before anything is connected.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The server that was named; without one, each profile knows its own.
    pub server: Option<ServerAddress>,
    /// The root that was named, by file or invitation; without one, each profile knows its own.
    pub pin: Option<RootPin>,
    /// The root of a server on this machine, for guests who named none.
    pub local_pin: Option<RootPin>,
    /// The keys on this machine.
    pub profiles: Profiles,
    /// The bytes that a public conversation may take on this machine.
    pub history_bytes: u64,
    /// The time, which tests can shift.
    pub clock: Clock,
}

/// A server, and the root that it is known by.
#[derive(Debug, Clone)]
pub struct Home {
    /// The server's address.
    pub server: ServerAddress,
    /// The root that its certificate comes from.
    pub pin: RootPin,
}

/// The keys of a user come from another root than the one that was named.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the keys of {0} come from another certificate authority than the one that was named")]
pub struct OtherRoot(UserName);

impl Explain for OtherRoot {
    fn explain(&self) -> Explanation {
        Explanation::new("usage", Kind::Broken)
    }
}

impl Setup {
    /// Where a guest connects to who has used no profile yet.
    pub fn guest_server(&self) -> ServerAddress {
        let here = || ServerAddress { host: "localhost".to_owned(), port: DEFAULT_PORT };
        self.server.clone().unwrap_or_else(here)
    }

    /// The server and root of a guest who has used no profile yet.
    pub fn guest_home(&self) -> Result<Home, LinkError> {
        let pin = self.pin.clone().or_else(|| self.local_pin.clone()).ok_or(LinkError::NoRoot)?;
        Ok(Home { server: self.guest_server(), pin })
    }

    /// The server and root of a user whose keys are here, as far as the profile says them: as a guest, too,
    /// its user turns to no other.
    pub fn home_of(&self, name: &UserName) -> Option<Home> {
        let (server, root) = self.profiles.home_of(name)?;
        let server = self.server.clone().unwrap_or(server);
        let pin = self.pin.clone().unwrap_or_else(|| RootPin::Certificate(Box::new(root)));
        Some(Home { server, pin })
    }

    /// Where this user connects to.
    pub fn server_of(&self, profile: &Profile) -> ServerAddress {
        self.server.clone().unwrap_or_else(|| profile.server.clone())
    }

    /// Which root this user trusts: the one of the keys, which must be the one that was named.
    pub fn pin_of(&self, profile: &Profile) -> Result<RootPin, OtherRoot> {
        match &self.pin {
            Some(pin) if pin.fingerprint() != profile.root.fingerprint() => {
                Err(OtherRoot(profile.name.clone()))
            }
            _ => Ok(RootPin::Certificate(Box::new(profile.root.clone()))),
        }
    }
}
