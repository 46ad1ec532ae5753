//! `/login`: takes the profile, connects anew with its certificate, and signs a challenge bound to that
//! connection.

use parlour_protocol::{Command, Refusal, Reply, UserName, login_transcript};

use super::renew::RenewError;
use super::setup::OtherRoot;
use super::sync::SyncError;
use super::{Account, Engine};
use crate::asking::action::Answer;
use crate::asking::asker::Answering;
use crate::asking::asker::AskError;
use crate::asking::update::{Connection, Update};
use crate::failure::{Explain, Explanation, Failure};
use crate::link::trust::Tls;
use crate::link::{Link, LinkError};
use crate::profile::{Profile, ProfileError, ProfileLock};
use crate::records::{Records, RecordsError};
use thiserror::Error;

/// Why a user is not logged in, or could not stay logged in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoginError {
    /// A user is logged in already.
    #[error(transparent)]
    Asked(#[from] AskError),
    /// The keys on this machine could not be used.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// These keys come from another root than the one that was named.
    #[error(transparent)]
    OtherRoot(#[from] OtherRoot),
    /// The device certificate had expired and was not renewed.
    #[error(transparent)]
    Renew(#[from] RenewError),
    /// The connection failed, or the server refused.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The local history could not be read or written.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// Missed messages could not be fetched or kept.
    #[error(transparent)]
    Sync(#[from] SyncError),
}

impl LoginError {
    /// The failure of the connection, if that is the cause.
    pub(super) const fn link(&self) -> Option<&LinkError> {
        match self {
            Self::Link(error) | Self::Renew(RenewError::Link(error)) | Self::Sync(SyncError::Link(error)) => {
                Some(error)
            }
            _ => None,
        }
    }
}

impl Explain for LoginError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Asked(error) => error.explain(),
            Self::Profile(error) => error.explain(),
            Self::OtherRoot(error) => error.explain(),
            Self::Renew(error) => error.explain(),
            Self::Link(error) => error.explain(),
            Self::Records(error) => error.explain(),
            Self::Sync(error) => error.explain(),
        }
    }
}

/// The number of retries for an impatient login that the server ends halfway: about six seconds in all.
const TRIES: u32 = 5;

/// A login that is answered once everything has been fetched.
pub(super) struct Joining {
    pub(super) name: UserName,
    pub(super) patient: bool,
    pub(super) answer: Answering,
    /// True once the server has let the user in.
    accepted: bool,
    /// The number of retries so far.
    tries: u32,
}

impl Joining {
    /// True if a retry can help. A server that has let the user in, or that says goodbye for a temporary reason, is
    /// there; one that cannot be reached at all is reported at once. A patient login is answered meanwhile, and the
    /// user comes back like one who was logged in.
    fn may_try_again(&self, failure: &LoginError) -> bool {
        let goodbye = matches!(failure.link(), Some(LinkError::Dismissed(_) | LinkError::DismissedAnew(_)));
        !self.patient && self.tries < TRIES && failure.is_absence() && (self.accepted || goodbye)
    }
}

impl Engine {
    /// Logs in as this user. `answer` gets the outcome once everything that was missed has arrived.
    pub(super) async fn login(&mut self, name: UserName, patient: bool, answer: Answering) {
        if let Err(failure) = self.be_nobody() {
            return drop(answer.send(Err(failure.into())));
        }
        let taken = self.take_profile(&name);
        if taken.is_ok() || self.link.is_none() {
            self.home = self.setup.home_of(&name).or_else(|| self.home.take());
        }
        match taken {
            Ok(account) => self.account = Some(account),
            Err(failure) => return drop(answer.send(Err(failure.into()))),
        }
        self.off_disk = false;
        let damages = self.account.as_mut().map(|account| account.records.take_damages()).unwrap_or_default();
        for damage in damages {
            self.tell(Update::Notice(damage)).await;
        }
        // From here on the guest's connection is gone; if the login fails, a new one is made.
        self.link = None;
        self.joining = Some(Joining { name, patient, answer, accepted: false, tries: 0 });
        if let Err(failure) = self.go_online().await {
            self.not_online(failure).await;
        }
    }

    /// Handles a login that failed or has to wait.
    pub(super) async fn not_joined(&mut self, mut joining: Joining, failure: LoginError) {
        if joining.may_try_again(&failure) {
            joining.tries += 1;
            self.joining = Some(joining);
            return self.come_back_later(failure).await;
        }
        let Joining { name, patient, answer, .. } = joining;
        let outcome = match failure {
            failure if patient && failure.is_absence() => match self.wait_offline(failure.into()).await {
                Ok(()) => {
                    self.backlog().map(|backlog| Answer::LoggedIn { name, backlog }).map_err(Failure::from)
                }
                Err(failure) => Err(failure.into()),
            },
            failure => {
                self.account = None;
                self.link = None;
                self.reconnect.succeeded();
                // Become a guest again, if the server can be reached.
                let _ = self.guest().await;
                Err(failure.into())
            }
        };
        let _ = answer.send(outcome);
    }

    /// Shows what is kept here, and retries later.
    async fn wait_offline(&mut self, reason: Failure) -> Result<(), SyncError> {
        self.link = None;
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        // The backlog includes them.
        account.untold.clear();
        let user = account.profile.name.clone();
        let device = account.profile.device.device().clone();
        self.tell(Update::LoggedIn { user, device }).await;
        let backlog = self.backlog()?;
        if !backlog.is_empty() {
            // Later messages are told one by one. With nothing kept, they come as after any first login.
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

    fn take_profile(&self, name: &UserName) -> Result<Account, LoginError> {
        let folder = self.setup.profiles.find(name)?;
        let lock = ProfileLock::take(&folder)?;
        let profile = Profile::load(&folder, name)?;
        self.setup.check_found(&profile)?;
        let mut records = Records::open(&folder)?;
        records.bound_public(self.setup.history_bytes);
        let server = self.setup.server_of(&profile);
        let door = (self.open_door)(&profile, &server, self.asker.clone());
        Ok(Account::new(profile, records, door, lock)?)
    }

    /// Connects as the user, logs in, and begins to fetch what was missed.
    pub(super) async fn go_online(&mut self) -> Result<(), LoginError> {
        self.renew_if_expired().await?;
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let profile = &account.profile;
        let server = self.setup.server_of(profile);
        let pin = self.setup.pin_of(profile)?;
        let tls = Tls::new(&pin, Some(profile), self.setup.clock)?;
        let connecting = Update::Connection(Connection::Connecting { server: server.clone() });
        // `self.tell` would borrow all of the engine.
        let _ = self.updates.send(connecting).await;
        let mut link = Link::open(&server, &self.setup.broker, &tls, true).await?;
        let signature = profile
            .device_key
            .sign_asn1(&login_transcript(&profile.name, &link.exporter))
            .map_err(LinkError::from)?;
        let login = Command::Login { name: profile.name.clone(), signature };
        let Reply::LoggedIn { user, device, .. } = link.ask(&login).await? else {
            return Err(LinkError::protocol("it does not say who we are").into());
        };
        if user != profile.name || device != *profile.device.device() {
            return Err(LinkError::protocol("it takes us for somebody else").into());
        }
        self.link = Some(link);
        if let Some(joining) = &mut self.joining {
            joining.accepted = true;
        }
        self.tell(Update::Connection(Connection::Online { server })).await;
        self.tell(Update::LoggedIn { user, device }).await;
        Ok(self.catch_up().await?)
    }
}
