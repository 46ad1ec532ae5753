//! `/login`: the profile is taken, the connection made anew with its certificate, and the signature
//! bound to that connection.

use parlour_protocol::{Command, Refusal, Reply, UserName, login_transcript};

use super::catch_up::Joining;
use super::{Account, Engine};
use crate::asking::action::Answer;
use crate::asking::asker::Answering;
use crate::asking::failure::Failure;
use crate::asking::update::{Connection, Update};
use crate::link::Link;
use crate::link::trust::Tls;
use crate::profile::{Profile, ProfileLock};
use crate::records::Records;

impl Engine {
    /// Becomes this user. `answer` hears it when everything that was missed is there.
    pub(super) async fn login(&mut self, name: UserName, patient: bool, answer: Answering) {
        if let Err(failure) = self.be_nobody() {
            return drop(answer.send(Err(failure)));
        }
        let taken = self.take_profile(&name);
        if taken.is_ok() || self.link.is_none() {
            self.home = self.setup.home_of(&name).or_else(|| self.home.take());
        }
        match taken {
            Ok(account) => self.account = Some(account),
            Err(failure) => return drop(answer.send(Err(failure))),
        }
        self.off_disk = false;
        let damages = self.account.as_mut().map(|account| account.records.take_damages()).unwrap_or_default();
        for damage in damages {
            self.tell(Update::Notice(damage)).await;
        }
        // From here on the guest's connection is gone; when the login fails there will be a new one.
        self.link = None;
        self.joining = Some(Joining { name, patient, answer });
        if let Err(failure) = self.go_online().await {
            self.not_online(failure).await;
        }
    }

    /// A login came to nothing, or waits for a better time.
    pub(super) async fn not_joined(&mut self, joining: Joining, failure: Failure) {
        let Joining { name, patient, answer } = joining;
        let outcome = match failure {
            failure if patient && failure.is_absence() => match self.wait_offline(failure).await {
                Ok(()) => self.backlog().map(|backlog| Answer::LoggedIn { name, backlog }),
                Err(failure) => Err(failure),
            },
            failure => {
                self.account = None;
                self.link = None;
                // Back to a guest, as far as the server can be reached.
                let _ = self.guest().await;
                Err(failure)
            }
        };
        let _ = answer.send(outcome);
    }

    /// Shows what is kept here, and tries again later.
    async fn wait_offline(&mut self, reason: Failure) -> Result<(), Failure> {
        self.link = None;
        let account = self.account.as_mut().ok_or(Failure::Refused(Refusal::NotNow))?;
        // The backlog has it.
        account.untold.clear();
        let user = account.profile.name.clone();
        let device = account.profile.device.device().clone();
        self.tell(Update::LoggedIn { user, device }).await;
        let backlog = self.backlog()?;
        if !backlog.is_empty() {
            // What comes later is told message by message; with nothing kept, as after any first login.
            if let Some(account) = &mut self.account {
                account.told = true;
            }
            self.tell(Update::Backlog(backlog)).await;
        }
        self.tell_extents().await?;
        self.tell_outbox().await;
        let retry = Some(self.reconnect.again());
        self.tell(Update::Connection(Connection::Offline { reason, retry })).await;
        Ok(())
    }

    fn take_profile(&self, name: &UserName) -> Result<Account, Failure> {
        let folder = self.setup.profiles.find(name)?;
        let lock = ProfileLock::take(&folder)?;
        let profile = Profile::load(&folder, name)?;
        let records = Records::open(&folder)?;
        let door = (self.open_door)(&folder, self.asker.clone());
        Account::new(profile, records, door, lock)
    }

    /// Connects as the user, logs in, and begins to fetch what was missed.
    pub(super) async fn go_online(&mut self) -> Result<(), Failure> {
        self.renew_if_expired().await?;
        let account = self.account.as_mut().ok_or(Failure::Refused(Refusal::NotNow))?;
        let profile = &account.profile;
        let server = self.setup.server_of(profile);
        let pin = self.setup.pin_of(profile)?;
        let tls = Tls::new(&pin, Some(profile), self.setup.clock)?;
        let connecting = Update::Connection(Connection::Connecting { server: server.clone() });
        // Not `self.tell`, which would borrow all of the engine.
        let _ = self.updates.send(connecting).await;
        let mut link = Link::open(&server, &tls, true).await?;
        let signature = profile.device_key.sign_asn1(&login_transcript(&profile.name, &link.exporter))?;
        let login = Command::Login { name: profile.name.clone(), signature };
        let Reply::LoggedIn { user, device, .. } = link.ask(&login).await? else {
            return Err(Failure::Protocol("it does not say who we are".to_owned()));
        };
        if user != profile.name || device != *profile.device.device() {
            return Err(Failure::Protocol("it takes us for somebody else".to_owned()));
        }
        self.link = Some(link);
        self.tell(Update::Connection(Connection::Online { server })).await;
        self.tell(Update::LoggedIn { user, device }).await;
        self.catch_up().await
    }
}
