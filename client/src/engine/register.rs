//! `/register`: keys are made, certified, checked and kept.

use parlour_protocol::{Command, Refusal, Reply, UserName};

use super::Engine;
use crate::asking::action::Answer;
use crate::asking::failure::Failure;
use crate::asking::update::Update;
use crate::profile::Pending;

/// What to do about a folder in the place of a profile that is none.
const OCCUPIED: &str = "nothing in it is overwritten: put back what is missing in it from a copy, or register another \
    name; a name that was taken once is not given again";

impl Engine {
    pub(super) async fn register(&mut self, name: UserName) -> Result<Answer, Failure> {
        self.be_nobody()?;
        if self.setup.profiles.has(&name) {
            return Err(Failure::Refused(Refusal::UserExists));
        }
        // Nothing is overwritten, so do not take a name whose keys would have no place.
        let path = self.setup.profiles.of(&name);
        if path.exists() {
            let (reason, hint) = ("is there already".to_owned(), OCCUPIED.to_owned());
            return Err(Failure::Keys { path, reason, hint });
        }
        self.guest().await?;
        self.tell(Update::Progress("making keys, which takes a moment".to_owned())).await;
        let (profiles, wanted) = (self.setup.profiles.clone(), name.clone());
        let pending = tokio::task::spawn_blocking(move || Pending::prepare(&profiles, &wanted))
            .await
            .map_err(|error| Failure::Key(error.to_string()))??;
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
                Ok(Answer::Registered { name })
            }
            Ok(_) => Err(Failure::Protocol("it does not say whether the name is ours".to_owned())),
            // The keys stay, whatever the server says: if the name was ours all the same, they are all there is.
            Err(failure) => Err(failure),
        }
    }
}
