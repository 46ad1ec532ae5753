//! The core under every face: `Action`s come in, `Update`s go out. One task owns the connection, the
//! keys and the records; faces never touch them.

mod account;
mod catch_up;
mod contacts;
mod fetch;
mod held;
mod history;
mod judging;
mod login;
mod reconnect;
mod register;
mod renew;
mod revocations;
mod say;
mod setting_aside;
pub mod setup;
mod sync;

use std::sync::Arc;
use std::time::Duration;

use parlour_protocol::{Command, Event, Refusal, Reply, ServerAddress, UserName};
use thiserror::Error;
use tokio::sync::mpsc;

pub use account::Account;
pub use contacts::ContactError;
pub use history::HistoryError;
pub use login::LoginError;
pub use register::RegisterError;
pub use renew::RenewError;
pub use say::SayError;
pub use sync::SyncError;

use crate::asking::action::{Action, Answer};
use crate::asking::asker::{AskError, Asked, Asker};
use crate::asking::update::{Connection, Update};
use crate::engine::setup::{Home, HomeError, Setup};
use crate::failure::{Explain, Explanation, Failure};
use crate::link::trust::{RootPin, Tls};
use crate::link::{Heard, Link, LinkError};
use catch_up::{Behind, next_page};
use fetch::Fetched;
use login::Joining;
use reconnect::Reconnect;
use revocations::Claimed;

/// Updates that a face has not taken; with more, the engine waits for it.
const UPDATES: usize = 1_024;

/// The interval between checks of whether the device certificate needs renewal.
const RENEWAL_LOOK: Duration = Duration::from_mins(1);

/// The pause between small checks of the local history, while the engine has nothing else to do.
const CHECK_PAUSE: Duration = Duration::from_millis(5);

/// A way for other processes of this user to reach the engine while it has a profile. It closes when it is
/// dropped.
pub type Door = Box<dyn Send>;

/// Opens a door in a profile's folder. The engine does so whenever it takes a profile.
pub type OpenDoor = Box<dyn Fn(&crate::profile::Profile, &ServerAddress, Asker) -> Door + Send>;

/// The engine's state.
pub struct Engine {
    setup: Arc<Setup>,
    actions: mpsc::Receiver<Asked>,
    asker: Asker,
    open_door: OpenDoor,
    updates: mpsc::Sender<Update>,
    link: Option<Link>,
    /// The server of the profile that was used last: a guest goes to no other unless told to.
    home: Option<Home>,
    account: Option<Account>,
    /// Missed messages that are being fetched.
    behind: Option<Behind>,
    /// A login that is under way.
    joining: Option<Joining>,
    /// Actions that wait until it is known what has to be fetched.
    postponed: Vec<Asked>,
    reconnect: Reconnect,
    /// True if the server says that the device certificate has expired, even if the clock here disagrees.
    has_expired: bool,
    /// The next time to send what the server could not store.
    resend: Reconnect,
    /// True if the user was told that the records are in memory only.
    off_disk: bool,
    /// True if the user was told the name of the root that was found in the current folder.
    named_root: bool,
}

/// Makes an engine, which needs a task of its own, and the two ends of it for a face.
pub fn new(setup: Setup, open_door: OpenDoor) -> (Engine, Asker, mpsc::Receiver<Update>) {
    let (asker, asked) = Asker::new();
    let (updates, updated) = mpsc::channel(UPDATES);
    let engine = Engine {
        setup: Arc::new(setup),
        actions: asked,
        asker: asker.clone(),
        open_door,
        updates,
        link: None,
        home: None,
        account: None,
        behind: None,
        joining: None,
        postponed: Vec::new(),
        reconnect: Reconnect::default(),
        has_expired: false,
        resend: Reconnect::default(),
        off_disk: false,
        named_root: false,
    };
    (engine, asker, updated)
}

/// Why there is no connection as a guest.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// Somebody is logged in.
    #[error(transparent)]
    LoggedIn(#[from] AskError),
    /// The server cannot be reached or cannot be trusted.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// It is not known which root to trust.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl Explain for ConnectError {
    fn explain(&self) -> Explanation {
        match self {
            Self::LoggedIn(error) => error.explain(),
            Self::Link(error) => error.explain(),
            Self::Home(error) => error.explain(),
        }
    }
}

/// An event that wakes the engine.
enum Woken {
    Asked(Option<Asked>),
    Heard(Heard),
    Page(Option<Fetched>),
    Reconnect,
    Resend,
    Renewal,
    Check,
}

impl Engine {
    /// Runs until it is told to quit.
    pub async fn run(mut self) {
        let mut renewal = tokio::time::interval(RENEWAL_LOOK);
        renewal.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // After an impatient login everything is there before the next action.
            let may_act = self.joining.as_ref().is_none_or(|joining| joining.patient);
            let woken = tokio::select! {
                // Fetched pages come last: they delay nothing else, and the reason for a lost connection is heard
                // before its pages end.
                biased;
                asked = self.actions.recv(), if may_act => Woken::Asked(asked),
                heard = next(&mut self.link) => Woken::Heard(heard),
                fetched = next_page(&mut self.behind) => Woken::Page(fetched),
                () = self.reconnect.due(), if self.link.is_none() => Woken::Reconnect,
                () = self.resend.due(), if self.link.is_some() => Woken::Resend,
                _ = renewal.tick() => Woken::Renewal,
                () = tokio::time::sleep(CHECK_PAUSE), if self.may_check() => Woken::Check,
            };
            match woken {
                Woken::Asked(None) => return,
                Woken::Asked(Some(Asked { action: Action::Quit, answer })) => {
                    self.leave().await;
                    let _ = answer.send(Ok(Answer::Done));
                    return;
                }
                Woken::Asked(Some(asked)) => self.act(asked).await,
                Woken::Heard(heard) => self.hear(heard).await,
                Woken::Page(fetched) => self.hear_page(fetched).await,
                Woken::Reconnect => self.come_back().await,
                Woken::Resend => self.send_again().await,
                Woken::Renewal => {
                    self.return_to_disk();
                    self.renew_in_time().await;
                }
                Woken::Check => self.check_records().await,
            }
            self.tell_disk().await;
            if self.behind.is_none() {
                for asked in std::mem::take(&mut self.postponed) {
                    self.act(asked).await;
                }
            }
        }
    }

    async fn act(&mut self, asked: Asked) {
        let Asked { action, answer } = asked;
        if let Action::History { conversation, .. } | Action::MarkRead { conversation, .. } = &action
            && self.is_behind_in(conversation)
        {
            return self.postponed.push(Asked { action, answer });
        }
        let outcome: Result<Answer, Failure> = match action {
            // Answered when the server has stored it.
            Action::Say { to, text } => return self.say(to, &text, answer).await,
            // Answered when everything that was missed is there.
            Action::Login { name, patient } => return self.login(name, patient, answer).await,
            Action::Connect => self.guest().await.map(|_| Answer::Done).map_err(Failure::from),
            Action::Register { name } => self.register(name).await.map_err(Failure::from),
            Action::Users => self.users().await.map_err(Failure::from),
            Action::History { conversation, before, generation, limit } => {
                self.history(conversation, before, generation, limit).await.map_err(Failure::from)
            }
            Action::Why { conversation } => self.why(conversation).map_err(Failure::from),
            Action::MarkRead { conversation, seq } => {
                self.mark_read(&conversation, seq).map_err(Failure::from)
            }
            Action::Trust { name } => self.trust(name).await.map_err(Failure::from),
            Action::Quit => Ok(Answer::Done),
        };
        // A face that no longer waits does not need to know.
        let _ = answer.send(outcome);
    }

    async fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Event(Event::Message(message)) => self.hear_message(message).await,
            Heard::Event(Event::Revoked { user, device, time, number, statement }) => {
                if self.account.is_some() {
                    let statement = statement.as_deref();
                    let claimed = Claimed { user: &user, device: &device, time, number, statement };
                    self.hear_revocation(claimed).await;
                }
            }
            // The link answers pings and ends at a goodbye.
            Heard::Event(Event::Ping | Event::Goodbye(_)) => {}
            Heard::Reply(id, reply) => self.hear_reply(id, reply).await,
            Heard::Closed(failure) => self.lost(failure).await,
        }
    }

    /// A connection as a guest, opened when there is none.
    async fn guest(&mut self) -> Result<&mut Link, ConnectError> {
        self.be_nobody()?;
        if self.link.is_none() {
            let Home { server, pin } = self.home.clone().map_or_else(|| self.setup.guest_home(), Ok)?;
            if self.home.is_none()
                && self.setup.is_found_here(&pin)
                && !std::mem::replace(&mut self.named_root, true)
            {
                let root = pin.fingerprint();
                let notice = format!("the root in keys/ttp/ca.crt of this folder is trusted: {root}");
                self.tell(Update::Notice(notice)).await;
            }
            self.tell(Update::Connection(Connection::Connecting { server: server.clone() })).await;
            let link = match open_guest(&server, &pin, &self.setup).await {
                Ok(link) => link,
                Err(failure) => {
                    let reason = failure.clone().into();
                    self.tell(Update::Connection(Connection::Offline { reason, retry: None })).await;
                    return Err(failure.into());
                }
            };
            self.link = Some(link);
            self.tell(Update::Connection(Connection::Guest { server })).await;
        }
        Ok(self.link.as_mut().ok_or(LinkError::Lost)?)
    }

    async fn users(&mut self) -> Result<Answer, LinkError> {
        match self.ask_online(&Command::Users).await? {
            Reply::Users(users) => Ok(Answer::Users { users }),
            _ => Err(LinkError::Protocol("it does not say who is online".to_owned())),
        }
    }

    /// Asks as the logged-in user.
    async fn ask_online(&mut self, command: &Command) -> Result<Reply, LinkError> {
        if self.account.is_none() {
            return Err(LinkError::Refused(Refusal::NotNow));
        }
        let link = self.link.as_mut().ok_or(LinkError::NotConnected)?;
        link.ask(command).await
    }

    /// Returns an error if a user is logged in.
    fn be_nobody(&self) -> Result<(), AskError> {
        self.me().map_or(Ok(()), |name| Err(AskError::LoggedIn(name.clone())))
    }

    /// The name of the logged-in user.
    fn me(&self) -> Option<&UserName> {
        self.account.as_ref().map(|account| &account.profile.name)
    }

    async fn tell(&mut self, update: Update) {
        // A face that is gone does not need to know.
        let _ = self.updates.send(update).await;
    }

    /// True if the engine is idle and a part of the local history has not been checked since it was opened.
    fn may_check(&self) -> bool {
        let unchecked = self.account.as_ref().is_some_and(|account| account.records.is_unchecked());
        unchecked && self.behind.is_none() && self.joining.is_none()
    }

    /// Checks a little more of the local history. Reports what is damaged, and fetches it again.
    async fn check_records(&mut self) {
        let Some(account) = &mut self.account else { return };
        if let Err(failure) = account.records.check_further() {
            return self.not_online(SyncError::Records(failure).into()).await;
        }
        let damages = account.records.take_damages();
        if damages.is_empty() {
            return;
        }
        // The backlog is told anew once it has been fetched.
        account.told = false;
        account.shown_ahead.clear();
        for damage in damages {
            self.tell(Update::Notice(damage)).await;
        }
        if self.link.is_some()
            && let Err(failure) = self.catch_up().await
        {
            self.not_online(failure.into()).await;
        }
    }

    /// Moves the records back to the disk, if they are in memory and the disk takes them now.
    fn return_to_disk(&mut self) {
        if let Some(account) = &mut self.account {
            // The reason for a failure is known already.
            let _ = account.records.return_to_disk();
        }
    }

    /// Says once that the records have left the disk, or are back on it.
    async fn tell_disk(&mut self) {
        let Some(account) = &self.account else { return };
        let notice = match (account.records.off_disk(), self.off_disk) {
            (Some(reason), false) => {
                format!(
                    "{reason}: what comes now is shown, and not kept on this machine; nothing can be sent"
                )
            }
            (None, true) => "the local history is kept on this machine again".to_owned(),
            _ => return,
        };
        self.off_disk = !self.off_disk;
        self.tell(Update::Notice(notice)).await;
    }

    async fn leave(&mut self) {
        self.return_to_disk();
        if let Some(link) = &mut self.link {
            // The server would notice anyway; this tells it at once.
            let _ = tokio::time::timeout(Duration::from_secs(1), link.ask(&Command::Exit)).await;
        }
        self.link = None;
        self.behind = None;
        self.account = None;
    }
}

async fn next(link: &mut Option<Link>) -> Heard {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}

async fn open_guest(server: &ServerAddress, pin: &RootPin, setup: &Setup) -> Result<Link, LinkError> {
    let tls = Tls::new(pin, None, setup.clock)?;
    Link::open(server, &setup.broker, &tls, false).await
}
