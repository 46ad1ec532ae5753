//! Serves one connection from its first line to its last. Reading, writing and keeping time are three loops in one
//! task. The first of them to end ends the session, after the queued lines are sent.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use governor::clock::DefaultClock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use parlour_protocol::json::RequestId;
use parlour_protocol::{Dialect, Farewell, Refusal};
use tokio::time::timeout;
use tracing::{debug, info};

use super::{clockwork, writing};
use crate::audit::Kind;
use crate::delivery::outbox::Closing;
use crate::delivery::peer::{Peer, append_answer};
use crate::delivery::wire::Incoming;
use crate::session::caller::Caller;
use crate::session::commands::{Effect, Outcome};
use crate::session::connection::{Connection, Standing};
use crate::session::posts::Posts;
use crate::session::services::Services;

/// The time for sending the last lines.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A connection that speaks the protocol.
pub struct Session {
    pub(super) services: Arc<Services>,
    /// The session as the rest of the server reaches it.
    pub(super) peer: Arc<Peer>,
    pub(super) standing: Standing,
    pub(super) posts: Posts,
    pub(super) rate: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
    connection: Arc<Connection>,
    begun: Instant,
}

impl Session {
    /// A session that begins as a guest.
    pub fn new(services: Arc<Services>, peer: Arc<Peer>, connection: Connection) -> Self {
        let limits = &services.limits;
        let at_once = |value: u64| {
            std::num::NonZeroU32::new(u32::try_from(value).unwrap_or(u32::MAX))
                .unwrap_or(std::num::NonZeroU32::MIN)
        };
        let quota =
            Quota::per_second(at_once(limits.commands_per_second)).allow_burst(at_once(limits.command_burst));
        Self {
            posts: Posts::new(limits.posts_in_flight),
            rate: RateLimiter::direct(quota),
            begun: Instant::now(),
            standing: Standing::Guest,
            services,
            peer,
            connection: Arc::new(connection),
        }
    }

    /// Serves the connection to its end.
    pub async fn run(mut self, mut incoming: Incoming) {
        let peer = Arc::clone(&self.peer);
        let services = Arc::clone(&self.services);
        let connection = Arc::clone(&self.connection);
        let begun = self.begun;
        {
            let writing = writing::write(&peer);
            tokio::pin!(writing);
            let ended = tokio::select! {
                result = self.read(&mut incoming) => {
                    debug!(session = peer.id, ?result, "the client's side ended");
                    Ended::Reading
                }
                result = &mut writing => {
                    debug!(session = peer.id, ?result, "nothing more can be sent");
                    Ended::Writing
                }
                () = clockwork::keep_time(&peer, &services, &connection, begun) => Ended::Said,
                closing = peer.outbox.closed() => {
                    info!(session = peer.id, ?closing, "closed");
                    Ended::Said
                }
                () = services.stopping.cancelled() => Ended::Stopping,
            };
            let mut can_write = !matches!(ended, Ended::Writing);
            // Earlier commands are still answered; then a stopping server says that it stops.
            if matches!(ended, Ended::Reading | Ended::Stopping) {
                let settled = async {
                    tokio::select! {
                        () = self.posts.settle() => true,
                        _ = &mut writing => false,
                    }
                };
                can_write = timeout(LAST_WORDS, settled).await.unwrap_or(true);
            }
            match ended {
                Ended::Stopping => peer.dismiss(Farewell::Stopping),
                _ => peer.outbox.close(Closing::Quiet, |_, _| ()),
            }
            if can_write {
                let _ = timeout(LAST_WORDS, &mut writing).await;
            }
        }
        // The user goes offline before the connection ends, so nobody can see it end with the user online.
        peer.outbox.close(Closing::Quiet, |_, _| ());
        if let Some(Closing::Said(farewell)) = peer.outbox.closing() {
            services.metrics.dismissed(farewell);
        }
        if peer.outbox.closing() == Some(Closing::Said(Farewell::SlowReader)) {
            services.recorder.record(self.caller().event(Kind::RateLimit).because(Farewell::SlowReader));
        }
        self.standing = Standing::Guest;
        if let Some(wire) = peer.wire() {
            wire.finish();
        }
    }

    /// The part of this session that the handler of a command may know.
    pub(super) fn caller(&self) -> Caller<'_> {
        Caller {
            actor: self.standing.actor(),
            connection: &self.connection,
            peer: &self.peer,
            services: &self.services,
        }
    }

    /// Queues the answer to a command, and applies its effect. The answer is sent when the session next waits.
    pub(super) fn conclude(&mut self, id: Option<&RequestId>, outcome: Outcome) -> ControlFlow<()> {
        let Outcome { answer, effect } = outcome;
        if let Err(refusal) = &answer {
            self.services.metrics.refused(refusal);
        }
        match effect {
            Effect::Speak(dialect) => {
                let line = |in_json, lines: &mut Vec<u8>| append_answer(id, &answer, in_json, lines);
                self.peer.outbox.push_switch(line, dialect == Dialect::Json);
            }
            Effect::None => self.peer.answer(id, &answer),
            Effect::LogIn(login) => {
                self.standing = Standing::User(login);
                self.peer.logged_in();
                self.peer.answer(id, &answer);
                // Events that happened meanwhile come after the answer.
                self.peer.outbox.release(true);
            }
            Effect::Leave => {
                self.peer.answer(id, &answer);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Refuses a command after all earlier messages are answered: replies come in the order of commands.
    pub(super) async fn refuse_in_turn(&mut self, id: Option<&RequestId>, refusal: Refusal) {
        self.posts.settle().await;
        self.services.metrics.refused(&refusal);
        self.peer.answer(id, &Err(refusal));
    }
}

enum Ended {
    Reading,
    Writing,
    Said,
    Stopping,
}
