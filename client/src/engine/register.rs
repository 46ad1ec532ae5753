//! `/register`: makes keys, has them certified, checks the certificates and keeps all of it.

use std::path::PathBuf;

use parlour_protocol::{Command, Refusal, Reply, UserName};

use super::ConnectError;
use super::Engine;
use crate::asking::action::Answer;
use crate::asking::advice;
use crate::asking::asker::AskError;
use crate::asking::update::Update;
use crate::failure::{Explain, Explanation};
use crate::link::LinkError;
use crate::profile::{Pending, ProfileError};
use thiserror::Error;

/// The hint for a folder that stands where a profile should be but is none.
const OCCUPIED: &str = "nothing in it is overwritten: put back what is missing in it from a copy, or register another \
    name; a name that was taken once is not given again";

/// Why a name was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// Somebody is logged in.
    #[error(transparent)]
    LoggedIn(#[from] AskError),
    /// This machine has the keys of that name.
    #[error("{}", Refusal::UserExists)]
    #[allow(missing_docs)] // its fields' names say it
    HasKeys { name: UserName, folder: PathBuf },
    /// There is no connection as a guest.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server did not answer, or refused.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The keys could not be made or kept, or the certificates do not fit them.
    #[error(transparent)]
    Profile(#[from] ProfileError),
}

impl Explain for RegisterError {
    fn explain(&self) -> Explanation {
        match self {
            Self::LoggedIn(error) => error.explain(),
            Self::HasKeys { name, folder } => {
                Refusal::UserExists.explain().hint(advice::has_keys(name, folder))
            }
            Self::Connect(error) => error.explain(),
            Self::Link(error) => error.explain(),
            Self::Profile(error) => error.explain(),
        }
    }
}

impl Engine {
    pub(super) async fn register(&mut self, name: UserName) -> Result<Answer, RegisterError> {
        self.be_nobody()?;
        if self.setup.profiles.has(&name) {
            let folder = self.setup.profiles.of(&name);
            return Err(RegisterError::HasKeys { name, folder });
        }
        // Keys are never overwritten, so a name whose folder is taken is not registered.
        let path = self.setup.profiles.of(&name);
        if path.exists() {
            let (reason, hint) = ("is there already".to_owned(), OCCUPIED.to_owned());
            return Err(ProfileError::Keys { path, reason, hint }.into());
        }
        self.guest().await?;
        self.tell(Update::Progress("making keys, which takes a moment".to_owned())).await;
        let (profiles, wanted) = (self.setup.profiles.clone(), name.clone());
        let pending = tokio::task::spawn_blocking(move || Pending::prepare(&profiles, &wanted))
            .await
            .map_err(|error| ProfileError::Key(error.to_string()))??;
        self.tell(Update::Progress("asking for certificates".to_owned())).await;
        let now = self.setup.clock.now().as_seconds();
        let link = self.guest().await?;
        let request = pending.request.clone();
        let reply = link.ask(&Command::Register { name: name.clone(), request }).await;
        match reply {
            Ok(Reply::Registered { device_certificate, account_certificate }) => {
                let (root, server) = (link.root.clone(), link.server.clone());
                pending.complete(&device_certificate, &account_certificate, &root, &server, now)?;
                // The guest's connection has done its work; a login opens one of its own.
                self.link = None;
                let root = root.fingerprint();
                self.tell(Update::Notice(format!("{name} trusts the root {root} from here on"))).await;
                Ok(Answer::Registered { name })
            }
            Ok(_) => Err(LinkError::protocol("it does not say whether the name is ours").into()),
            // The keys stay even if the server refuses: if the name was ours all the same, they are all there is.
            Err(failure) => Err(failure.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    #[test]
    fn the_hints_for_a_name_whose_keys_are_here_lead_out_of_a_circle() {
        let name: UserName = "sam".parse().unwrap();
        let folder = PathBuf::from("keys/clients/sam");
        let failure = Failure::from(RegisterError::HasKeys { name, folder });
        assert_eq!((failure.to_string().as_str(), failure.code()), ("user already exists", "user_exists"));
        let hint = failure.hint().unwrap();
        assert!(hint.contains("/login sam") && hint.contains("keys/clients/sam"), "{hint}");
        let refused = Failure::from(Refusal::InvalidCredentials);
        for hint in [hint, refused.hint().unwrap()] {
            assert!(hint.contains("ask its operator") && !hint.contains("/register sam"), "{hint}");
        }
    }
}
