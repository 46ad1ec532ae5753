//! Requests that are under way, and how long the face waits for them.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use parlour_protocol::{ServerAddress, UserName};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::asking::action::{Action, Answer};
use crate::asking::asker::{AskError, Asker, PATIENCE};
use crate::asking::json::{OtherServer, Request};
use crate::asking::update::{Connection, Update};
use crate::failure::Failure;
use crate::link::LinkError;

/// Requests that are under way at the same time. With more the input waits, so that a program that writes faster than
/// the server takes it is slowed and loses nothing.
pub(super) const AT_ONCE: usize = 256;

/// A server that is there and lets nothing be heard for so long will not answer any more.
const SILENCE: Duration = Duration::from_mins(5);

/// The requests of one side.
pub struct Requests {
    asker: Asker,
    /// The server that requests are for; nothing when they are for whichever it is.
    here: Option<ServerAddress>,
    pub(super) under_way: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Logins that are under way; they can take their time.
    pub(super) logins: usize,
    /// Whether a registration is under way, with the login after it: what comes next waits for both.
    registering: bool,
    /// The login that came with a registration, for the one who asks for it all the same.
    logged_in: Option<(UserName, Answer)>,
    give_up: watch::Sender<()>,
}

/// A request that is done, or not.
pub(super) struct Done {
    pub(super) id: Value,
    pub(super) outcome: Result<Answer, Failure>,
    /// The end of something that later requests wait for.
    pub(super) ended: Ended,
}

pub(super) enum Ended {
    Other,
    Login,
    /// With the login after it, if there was one.
    Registering(Option<(UserName, Result<Answer, Failure>)>),
}

impl Requests {
    /// For a face of the program's own.
    pub fn new(asker: Asker) -> Self {
        Self {
            asker,
            here: None,
            under_way: FuturesUnordered::new(),
            logins: 0,
            registering: false,
            logged_in: None,
            give_up: watch::Sender::new(()),
        }
    }

    /// From elsewhere, perhaps for another server than this one.
    pub fn at(here: ServerAddress, asker: Asker) -> Self {
        Self { here: Some(here), ..Self::new(asker) }
    }

    /// Whether another one can begin now.
    pub(super) fn has_room(&self) -> bool {
        !self.registering && self.under_way.len() < AT_ONCE
    }

    pub(super) fn begin(&mut self, Request { id, action, server }: Request) {
        let given_up = self.give_up.subscribe();
        let asker = self.asker.clone();
        let outcome = match (&action, &self.here, server) {
            (_, Some(here), Some(wanted)) if here.to_string() != wanted => {
                Some(Err(OtherServer { here: here.clone() }.into()))
            }
            (Action::Login { name, .. }, ..) => {
                self.logged_in.take_if(|(known, _)| known == name).map(|(_, answer)| Ok(answer))
            }
            _ => None,
        };
        if let Some(outcome) = outcome {
            return self.under_way.push(Box::pin(async { Done { id, outcome, ended: Ended::Other } }));
        }
        match action {
            Action::Register { name } => {
                self.registering = true;
                self.under_way.push(Box::pin(async move {
                    let register = Action::Register { name: name.clone() };
                    let outcome = carry_out(&asker, register, given_up.clone()).await;
                    let login = if outcome.is_ok() {
                        let login = Action::Login { name: name.clone(), patient: false };
                        Some((name, carry_out(&asker, login, given_up).await))
                    } else {
                        None
                    };
                    Done { id, outcome, ended: Ended::Registering(login) }
                }));
            }
            action => {
                let is_login = matches!(action, Action::Login { .. });
                self.logins += usize::from(is_login);
                self.under_way.push(Box::pin(async move {
                    let outcome = carry_out(&asker, action, given_up).await;
                    Done { id, outcome, ended: if is_login { Ended::Login } else { Ended::Other } }
                }));
            }
        }
    }

    /// Goes on after something has ended; why the login after a registration came to nothing, if it did.
    pub(super) fn after(&mut self, ended: Ended) -> Option<Failure> {
        match ended {
            Ended::Other => None,
            Ended::Login => {
                self.logins = self.logins.saturating_sub(1);
                None
            }
            Ended::Registering(login) => {
                self.registering = false;
                match login? {
                    (name, Ok(answer)) => {
                        self.logged_in = Some((name, answer));
                        None
                    }
                    (_, Err(failure)) => Some(failure),
                }
            }
        }
    }

    /// Answers everything that is under way with an error.
    pub(super) fn give_up(&self) {
        // There is nobody to hear it when nothing is under way.
        let _ = self.give_up.send(());
    }
}

async fn carry_out(
    asker: &Asker,
    action: Action,
    mut given_up: watch::Receiver<()>,
) -> Result<Answer, Failure> {
    let absent: Failure = match &action {
        Action::Say { .. } => AskError::Unsent.into(),
        _ => LinkError::NotConnected.into(),
    };
    let outcome = tokio::select! {
        biased;
        outcome = asker.begin(action) => outcome?,
        // It was not even begun: nothing of it is kept.
        _ = given_up.changed() => return Err(LinkError::NotConnected.into()),
    };
    tokio::select! {
        biased;
        outcome = outcome => outcome,
        _ = given_up.changed() => Err(absent),
    }
}

/// How long the requests under way are waited for once the input has ended, or waits for them. Before that they may
/// take as long as they like.
pub(super) struct Patience {
    /// Whether it is told how the connection is.
    is_told: bool,
    /// Since when there is no connection.
    away: Option<Instant>,
    /// Since when the input has ended, or waits.
    waiting: Option<Instant>,
    heard: Instant,
}

impl Patience {
    pub(super) fn new(is_told: bool) -> Self {
        Self { is_told, away: None, waiting: None, heard: Instant::now() }
    }

    pub(super) fn waits(&mut self, waits: bool) {
        self.waiting = waits.then(|| self.waiting.unwrap_or_else(Instant::now));
    }

    /// Something was answered.
    pub(super) fn answered(&mut self) {
        self.heard = Instant::now();
    }

    pub(super) fn hear(&mut self, update: &Update) {
        self.heard = Instant::now();
        match update {
            Update::Connection(Connection::Offline { .. }) => {
                self.away.get_or_insert_with(Instant::now);
            }
            Update::Connection(Connection::Guest { .. } | Connection::Online { .. }) => self.away = None,
            _ => {}
        }
    }

    /// Begins anew, after what waited was given up.
    pub(super) fn begin_anew(&mut self) {
        self.waiting = self.waiting.map(|_| Instant::now());
        self.heard = Instant::now();
    }

    /// Waits until it is over; `logins` are under way.
    pub(super) async fn end(&self, logins: usize) {
        let end = match (self.waiting, self.away) {
            (None, _) => None,
            (Some(waiting), Some(away)) => Some(waiting.max(away) + PATIENCE),
            // Who has asked is gone, and does not hear the answer.
            (Some(waiting), None) if !self.is_told => Some(waiting + PATIENCE),
            (Some(_), None) if logins > 0 => None,
            (Some(waiting), None) => Some(waiting.max(self.heard) + SILENCE),
        };
        match end {
            Some(end) => sleep_until(end).await,
            None => std::future::pending().await,
        }
    }
}
