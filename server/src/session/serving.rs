//! One connection from its first line to its last. Reading, writing and keeping time are three loops in
//! one task: whichever ends first ends the session, after what is queued was sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use governor::clock::DefaultClock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use parlour_keylog::RootCertificate;
use parlour_protocol::json::RequestId;
use parlour_protocol::{DeviceId, Dialect, EXPORTER_BYTES, Farewell, Refusal, Reply, UserName};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{debug, info};

use super::{clockwork, writing};
use crate::audit::{Kind, SecurityEvent};
use crate::delivery::hub::Presence;
use crate::delivery::outbox::Closing;
use crate::delivery::peer::{Peer, append_answer};
use crate::delivery::wire::Incoming;
use crate::edge::gate::Pass;
use crate::session::rights::Actor;
use crate::session::services::Services;

/// How long the last lines may take to be sent.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What was established about a connection before its first line.
pub struct Connection {
    /// Where it comes from.
    pub address: SocketAddr,
    /// Its place at the gate.
    pub pass: Pass,
    /// The leaf of the client's certificate, DER.
    pub certificate: Option<Vec<u8>>,
    /// The RFC 9266 value.
    pub exporter: [u8; EXPORTER_BYTES],
    /// The root that the handshake was checked against.
    pub root: Arc<RootCertificate>,
}

/// Who a session belongs to.
pub enum Standing {
    /// Nobody yet.
    Guest,
    /// A user on a device.
    User {
        /// Who.
        user: UserName,
        /// On which device.
        device: DeviceId,
        /// Its place in the hub.
        presence: Presence,
    },
}

/// A connection that speaks the protocol.
pub struct Session {
    /// What all sessions share.
    pub services: Arc<Services>,
    /// How others reach this session.
    pub peer: Arc<Peer>,
    /// What was established before.
    pub connection: Connection,
    /// Who it belongs to.
    pub standing: Standing,
    /// Places for messages that are being stored.
    pub posts: Arc<Semaphore>,
    begun: Instant,
    pub(super) rate: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
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
        let posts = usize::try_from(limits.posts_in_flight).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            posts: Arc::new(Semaphore::new(posts.min(Semaphore::MAX_PERMITS))),
            rate: RateLimiter::direct(quota),
            begun: Instant::now(),
            standing: Standing::Guest,
            services,
            peer,
            connection,
        }
    }

    /// Serves the connection to its end.
    pub async fn run(mut self, mut incoming: Incoming) {
        let peer = Arc::clone(&self.peer);
        let services = Arc::clone(&self.services);
        let with_certificate = self.connection.certificate.is_some();
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
                () = clockwork::keep_time(&peer, &services.limits, begun, with_certificate) => Ended::Said,
                closing = peer.outbox.closed() => {
                    info!(session = peer.id, ?closing, "closed");
                    Ended::Said
                }
                () = services.stopping.cancelled() => Ended::Stopping,
            };
            let mut can_write = !matches!(ended, Ended::Writing);
            // What the client asked for before is still answered; a stopping server then says so.
            if matches!(ended, Ended::Reading | Ended::Stopping) {
                let settled = async {
                    tokio::select! {
                        () = self.settle() => true,
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
        // Offline before the connection is gone, so that who sees it end finds the user offline.
        peer.outbox.close(Closing::Quiet, |_, _| ());
        if let Some(Closing::Said(farewell)) = peer.outbox.closing() {
            services.metrics.dismissed(farewell);
        }
        if peer.outbox.closing() == Some(Closing::Said(Farewell::SlowReader)) {
            services.recorder.record(self.event(Kind::RateLimit).because(Farewell::SlowReader));
        }
        self.standing = Standing::Guest;
        if let Some(wire) = peer.wire() {
            wire.finish();
        }
    }

    /// An event of this session, with who it belongs to and where it comes from.
    pub fn event(&self, kind: Kind) -> SecurityEvent {
        let event = SecurityEvent::new(kind).from(self.connection.address.ip());
        match &self.standing {
            Standing::Guest => event,
            Standing::User { user, device, .. } => event.of(user).on(device),
        }
    }

    /// Who acts in this session.
    pub fn actor(&self) -> Actor<'_> {
        match &self.standing {
            Standing::Guest => Actor::Guest,
            Standing::User { user, .. } => Actor::User(user),
        }
    }

    /// Waits until every message of this session that is being stored has been answered.
    pub async fn settle(&self) {
        let all = u32::try_from(self.services.limits.posts_in_flight).unwrap_or(u32::MAX);
        // The semaphore is never closed; with all places free, all were given back.
        drop(self.posts.acquire_many(all).await);
    }

    /// Queues the answer to a command; it is sent when the session next waits.
    pub fn answer(&self, id: Option<&RequestId>, answer: &Result<Reply, Refusal>) {
        if let Err(refusal) = answer {
            self.services.metrics.refused(refusal);
        }
        match answer {
            Ok(Reply::Dialect(dialect)) => {
                let line = |in_json, lines: &mut Vec<u8>| append_answer(id, answer, in_json, lines);
                self.peer.outbox.push_switch(line, *dialect == Dialect::Json);
            }
            _ => self.peer.answer(id, answer),
        }
    }
}

enum Ended {
    Reading,
    Writing,
    Said,
    Stopping,
}
