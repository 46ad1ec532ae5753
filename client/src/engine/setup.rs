//! The settings that a client works with: server, root, and keys.

use parlour_protocol::{DEFAULT_PORT, ServerAddress, UserName};
use thiserror::Error;

use crate::broker::Broker;
use crate::clock::Clock;
use crate::failure::{Explain, Explanation, Kind};
use crate::link::LinkError;
use crate::link::trust::RootPin;
use crate::profile::{Profile, ProfileError, ProfileLock, Profiles};

/// Settings that are fixed before the client connects.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The server that was named; without one, each profile knows its own.
    pub server: Option<ServerAddress>,
    /// The root that was named, by file or invitation; without one, each profile knows its own.
    pub pin: Option<RootPin>,
    /// The root in the current folder, for guests of a server on this machine who named none; or the reason not to
    /// trust it.
    pub local_pin: Option<Result<RootPin, ProfileError>>,
    /// The keys on this machine.
    pub profiles: Profiles,
    /// True if these keys were found in the current folder and not named by the user. They are used only for servers on
    /// this machine: any folder can hold keys, and nobody knows what it was unpacked from.
    pub found_here: bool,
    /// The bytes that a public conversation may take on this machine.
    pub history_bytes: u64,
    /// The time, which tests can shift.
    pub clock: Clock,
    /// Does for the client what the confined client may not do itself.
    pub broker: Broker,
}

/// A server, and the root that its certificate must come from.
#[derive(Debug, Clone)]
pub struct Home {
    /// The server's address.
    pub server: ServerAddress,
    /// The root that its certificate comes from.
    pub pin: RootPin,
}

/// Why a guest has no root to trust.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HomeError {
    /// None is known.
    #[error(transparent)]
    Unknown(#[from] LinkError),
    /// The one in the current folder cannot be trusted.
    #[error(transparent)]
    Root(#[from] ProfileError),
}

impl Explain for HomeError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Unknown(error) => error.explain(),
            Self::Root(error) => error.explain(),
        }
    }
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
    /// The server for a guest who has used no profile yet.
    pub fn guest_server(&self) -> ServerAddress {
        let here = || ServerAddress { host: "localhost".to_owned(), port: DEFAULT_PORT };
        self.server.clone().or_else(|| Some(self.only_home()?.server)).unwrap_or_else(here)
    }

    /// The server and root of a guest who has used no profile yet: what was named, else those of the only profile,
    /// else a server on this machine with the root in the current folder.
    pub fn guest_home(&self) -> Result<Home, HomeError> {
        let server = self.guest_server();
        let pin = match (&self.pin, &self.local_pin) {
            (Some(pin), _) => pin.clone(),
            (None, _) if self.server.is_none() && self.only_home().is_some() => {
                self.only_home().ok_or(LinkError::NoRoot)?.pin
            }
            (None, Some(local)) if server.is_loopback() => local.clone()?,
            (None, _) => return Err(LinkError::NoRoot.into()),
        };
        Ok(Home { server, pin })
    }

    /// True if a guest trusts a root that nobody named.
    pub fn is_found_here(&self, pin: &RootPin) -> bool {
        let named = self.pin.is_some() || (self.server.is_none() && self.only_home().is_some());
        !named && self.local_pin.as_ref().is_some_and(|local| local.as_ref() == Ok(pin))
    }

    fn only_home(&self) -> Option<Home> {
        match self.profiles.names().as_slice() {
            [only] => self.home_of(only).filter(|home| self.is_allowed(&home.server)),
            _ => None,
        }
    }

    /// The user to log in as when nobody was named: the only one whose keys are here, if they are for the server that
    /// was named and no other client has them.
    pub fn only_user(&self) -> Option<UserName> {
        let names = self.profiles.names();
        let [only] = names.as_slice() else { return None };
        let (server, root) = self.profiles.home_of(only)?;
        let named = self.server.as_ref().is_none_or(|named| *named == server)
            && self.pin.as_ref().is_none_or(|pin| pin.fingerprint() == root.fingerprint());
        let free = ProfileLock::take(&self.profiles.of(only)).is_ok();
        (named && self.is_allowed(&server) && free).then(|| only.clone())
    }

    fn is_allowed(&self, server: &ServerAddress) -> bool {
        !self.found_here || server.is_loopback()
    }

    /// Returns an error if nobody named these keys and their server is on another machine.
    pub fn check_found(&self, profile: &Profile) -> Result<(), ProfileError> {
        let server = self.server_of(profile);
        if self.is_allowed(&server) {
            return Ok(());
        }
        let keys = self.profiles.folder().display();
        Err(ProfileError::Keys {
            path: profile.folder.clone(),
            reason: format!(
                "these keys are for {server}, and keys that lie in the current folder are used for servers on this \
                 machine alone"
            ),
            hint: format!("if they are yours, name them: --keys {keys}"),
        })
    }

    /// Returns an error if the root that was named is not the one that the user's keys come from.
    pub fn check_pin(&self, name: &UserName) -> Result<(), OtherRoot> {
        let root = self.profiles.home_of(name).map(|(_, root)| root.fingerprint());
        match (&self.pin, root) {
            (Some(pin), Some(root)) if pin.fingerprint() != root => Err(OtherRoot(name.clone())),
            _ => Ok(()),
        }
    }

    /// The server and root of a user whose keys are here, as far as the profile names them. The user goes to no other
    /// server, even as a guest.
    pub fn home_of(&self, name: &UserName) -> Option<Home> {
        let (server, root) = self.profiles.home_of(name)?;
        let server = self.server.clone().unwrap_or(server);
        let pin = self.pin.clone().unwrap_or_else(|| RootPin::Certificate(Box::new(root)));
        Some(Home { server, pin })
    }

    /// The server that this user connects to.
    pub fn server_of(&self, profile: &Profile) -> ServerAddress {
        self.server.clone().unwrap_or_else(|| profile.server.clone())
    }

    /// The root that this user trusts: the one of the keys, which must also be the one that was named.
    pub fn pin_of(&self, profile: &Profile) -> Result<RootPin, OtherRoot> {
        match &self.pin {
            Some(pin) if pin.fingerprint() != profile.root.fingerprint() => {
                Err(OtherRoot(profile.name.clone()))
            }
            _ => Ok(RootPin::Certificate(Box::new(profile.root.clone()))),
        }
    }
}
