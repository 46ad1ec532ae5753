//! Counters for the operator: numbers, never anybody's name, address or words.
//!
//! Counting costs a relaxed atomic addition, one for each batch where there are batches. Sessions and queues are
//! not counted as they change: monitoring reads them on request.

mod labels;
mod process;
mod words;

use std::time::Duration;

use parlour_protocol::{Farewell, Refusal};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

pub use self::labels::{Label, Labelled};
pub use self::process::Process;
pub use self::words::{Audience, Bound, ErrorCode, HandshakeFault, Line, LoginFault};
use crate::audit::Kind;

/// The upper bounds of the histogram of commit times, in seconds.
const COMMIT_SECONDS: [f64; 13] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// The upper bounds of the histogram of batch sizes; the last is the largest batch.
const BATCH_SIZES: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// Everything counted since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Stored messages by audience; a message sent again is not counted again.
    pub messages: Labelled<Audience>,
    /// Messages put into the queues of sessions, once for each receiving session. The sender's session is not
    /// counted, because it gets an answer.
    pub deliveries: Labelled<Audience>,
    /// Bytes of TLS received after the handshakes.
    pub received: Counter,
    /// Bytes of TLS sent after the handshakes.
    pub sent: Counter,
    /// Commands, including refused ones, and lines without a command. Unknown commands are counted only as errors.
    pub commands: Labelled<Line>,
    /// Commands and lines that were answered with an error.
    pub errors: Labelled<ErrorCode>,
    /// Transactions of the writer.
    pub commits: Commits,
    /// TLS handshakes that succeeded.
    pub handshakes: Counter,
    /// TLS handshakes that failed.
    pub handshake_failures: Labelled<HandshakeFault>,
    /// Devices that logged in.
    pub logins: Counter,
    /// Logins that failed, by the real reason.
    pub login_failures: Labelled<LoginFault>,
    /// Names that were registered, and the same requests again.
    pub registrations: Counter,
    /// Limits that were reached.
    pub limits: Labelled<Bound>,
    /// Sessions that the server closed.
    pub closed: Labelled<Farewell>,
    /// Events for the audit log, before repetitions become one entry.
    pub audit_events: Labelled<Kind>,
    /// Entries of the audit log that could not be written.
    pub audit_losses: Counter,
    /// Sessions: those of guests, and those of users.
    pub sessions: Gauge,
    /// 1 while the server follows the TTP's revocations.
    pub ttp_connected: Gauge,
}

/// Transactions of the writer, recorded by a single thread.
#[derive(Debug, Clone)]
pub struct Commits {
    /// Seconds until a transaction was durable.
    pub duration: Histogram,
    /// Writes in a transaction.
    pub batch: Histogram,
    /// Transactions that failed.
    pub failures: Counter,
}

impl Default for Commits {
    fn default() -> Self {
        Self {
            duration: Histogram::new(COMMIT_SECONDS),
            batch: Histogram::new(BATCH_SIZES),
            failures: Counter::default(),
        }
    }
}

impl Commits {
    /// Counts a transaction of `writes` writes that took this long.
    pub fn observe(&self, took: Duration, writes: usize) {
        self.duration.observe(took.as_secs_f64());
        self.batch.observe(f64::from(u32::try_from(writes).unwrap_or(u32::MAX)));
    }

    fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "commit_duration",
            "Time until a transaction was durable",
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register("commit_writes", "Writes in a transaction", self.batch.clone());
        registry.register("commit_failures", "Transactions that failed", self.failures.clone());
    }
}

/// A session, counted as long as this exists.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Counts a session.
    pub fn session(&self) -> Counted {
        self.sessions.inc();
        Counted(self.sessions.clone())
    }

    /// Counts an error sent to a client, and the limit behind it.
    pub fn refused(&self, refusal: &Refusal) {
        self.errors.count(ErrorCode::from(refusal));
        if let Some(bound) = Bound::of_refusal(refusal) {
            self.limits.count(bound);
        }
    }

    /// Counts a session that the server closed, and the limit behind it.
    pub fn dismissed(&self, farewell: Farewell) {
        self.closed.count(farewell);
        if let Some(bound) = Bound::behind(farewell) {
            self.limits.count(bound);
        }
    }

    /// Registers all of it with `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("messages", "Messages stored", self.messages.clone());
        registry.register(
            "deliveries",
            "Messages queued for sessions that hear them",
            self.deliveries.clone(),
        );
        let (received, sent) = (self.received.clone(), self.sent.clone());
        registry.register_with_unit("received", "TLS received after handshakes", Unit::Bytes, received);
        registry.register_with_unit("sent", "TLS sent after handshakes", Unit::Bytes, sent);
        registry.register("commands", "Commands understood, and unreadable lines", self.commands.clone());
        registry.register("errors", "Commands and lines answered with an error", self.errors.clone());
        self.commits.register(registry);
        registry.register("handshakes", "TLS handshakes that succeeded", self.handshakes.clone());
        registry.register(
            "handshake_failures",
            "TLS handshakes that failed",
            self.handshake_failures.clone(),
        );
        registry.register("logins", "Devices that logged in", self.logins.clone());
        registry.register("login_failures", "Logins that failed", self.login_failures.clone());
        registry.register("registrations", "Names registered", self.registrations.clone());
        registry.register("limits_hit", "Limits that somebody met", self.limits.clone());
        registry.register("sessions_closed", "Sessions that the server closed", self.closed.clone());
        registry.register("audit_events", "Events for the audit log", self.audit_events.clone());
        registry.register(
            "audit_losses",
            "Entries of the audit log that could not be written",
            self.audit_losses.clone(),
        );
        registry.register(
            "ttp_connected",
            "1 while the TTP's revocations are followed",
            self.ttp_connected.clone(),
        );
    }
}
