//! Requests that are under way, and the time limits for them.

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

/// The most requests under way at the same time. Further input waits, so that a program that writes faster than the
/// server accepts is slowed down and loses nothing.
pub(super) const AT_ONCE: usize = 256;

/// A connected server that sends nothing for this time will not answer any more.
const SILENCE: Duration = Duration::from_mins(5);

/// The requests of one program.
pub struct Requests {
    asker: Asker,
    /// The server of this client, if requests may name another one.
    here: Option<ServerAddress>,
    pub(super) under_way: FuturesUnordered<BoxFuture<'static, Done>>,
    /// The number of logins under way, which have no time limit.
    pub(super) logins: usize,
    /// True while a registration and the login after it are under way: later requests wait for both.
    registering: bool,
    /// The login that followed a registration, to answer a request for the same login.
    logged_in: Option<(UserName, Answer)>,
    give_up: watch::Sender<()>,
}

/// A request that has succeeded or failed.
pub(super) struct Done {
    pub(super) id: Value,
    pub(super) outcome: Result<Answer, Failure>,
    /// The thing that ended with it, if later requests wait for that.
    pub(super) ended: Ended,
}

pub(super) enum Ended {
    Other,
    Login,
    /// A registration, with the login after it, if there was one.
    Registering(Option<(UserName, Result<Answer, Failure>)>),
}

impl Requests {
    /// The requests of this program's own face.
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

    /// Requests from another program, perhaps for another server than this client's.
    pub fn at(here: ServerAddress, asker: Asker) -> Self {
        Self { here: Some(here), ..Self::new(asker) }
    }

    /// True if another request can begin now.
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

    /// Notes the end of a request. Returns the failure of a login that followed a registration, if it failed.
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
        // This fails if nothing is under way.
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
        // It did not begin, so nothing of it is kept.
        _ = given_up.changed() => return Err(LinkError::NotConnected.into()),
    };
    tokio::select! {
        biased;
        outcome = outcome => outcome,
        _ = given_up.changed() => Err(absent),
    }
}

/// The time limit for the requests under way. It holds once the input has ended or waits for them; before that they
/// may take any time.
pub(super) struct Patience {
    /// True if it gets reports on the connection.
    sees_connection: bool,
    /// The time at which the connection was lost.
    away: Option<Instant>,
    /// The time at which the input ended or began to wait.
    waiting: Option<Instant>,
    /// The time of the last answer or update.
    last_sign: Instant,
}

impl Patience {
    pub(super) fn new(sees_connection: bool) -> Self {
        Self { sees_connection, away: None, waiting: None, last_sign: Instant::now() }
    }

    pub(super) fn waits(&mut self, waits: bool) {
        self.waiting = waits.then(|| self.waiting.unwrap_or_else(Instant::now));
    }

    /// Notes an answer.
    pub(super) fn answered(&mut self) {
        self.last_sign = Instant::now();
    }

    /// Notes a sign of life from the server.
    pub(super) fn note(&mut self, update: &Update) {
        self.last_sign = Instant::now();
        match update {
            Update::Connection(Connection::Offline { .. }) => {
                self.away.get_or_insert_with(Instant::now);
            }
            Update::Connection(Connection::Guest { .. } | Connection::Online { .. }) => self.away = None,
            _ => {}
        }
    }

    /// Starts the time limit again, after the requests under way were given up.
    pub(super) fn begin_anew(&mut self) {
        self.waiting = self.waiting.map(|_| Instant::now());
        self.last_sign = Instant::now();
    }

    /// Waits for the end of the time limit, while this number of logins is under way.
    pub(super) async fn end(&self, logins: usize) {
        let end = match (self.waiting, self.away) {
            (None, _) => None,
            (Some(waiting), Some(away)) => Some(waiting.max(away) + PATIENCE),
            // Nobody is left to get the answer.
            (Some(waiting), None) if !self.sees_connection => Some(waiting + PATIENCE),
            (Some(_), None) if logins > 0 => None,
            (Some(waiting), None) => Some(waiting.max(self.last_sign) + SILENCE),
        };
        match end {
            Some(end) => sleep_until(end).await,
            None => std::future::pending().await,
        }
    }
}
