//! A connection as seen by the rest of the server: events are put into its outbox and sent.

use std::cell::OnceCell;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parlour_protocol::json::{self, RequestId};
use parlour_protocol::{Body, Event, Farewell, Message, Refusal, Reply, plain};

use crate::delivery::outbox::{Closing, InJson, Outbox};
use crate::delivery::wire::{Sent, Wire};

/// Bytes of memory that a session takes besides its queue. They count as part of the queue, so that a client that does
/// not read costs no more than its limit.
const SESSION_BYTES: usize = 32 * 1024;

/// One connection.
pub struct Peer {
    /// Unique in this process.
    pub id: u64,
    /// Lines that wait to be sent.
    pub outbox: Outbox,
    /// The connection on which lines are sent; tests read the outbox instead.
    wire: Option<Wire>,
    /// True while the system takes no more: the session's own task waits for space, and then sends everything.
    blocked: AtomicBool,
    logged_in: AtomicBool,
    begun: Instant,
    /// Milliseconds after `begun` at which the client last sent something.
    heard: AtomicU64,
}

impl Peer {
    /// A new connection, in the plain dialect. It may take `outgoing_bytes` of memory.
    pub fn new(id: u64, outgoing_bytes: usize, wire: Option<Wire>) -> Self {
        Self {
            id,
            outbox: Outbox::new(outgoing_bytes.saturating_sub(SESSION_BYTES)),
            wire,
            blocked: AtomicBool::new(false),
            logged_in: AtomicBool::new(false),
            begun: Instant::now(),
            heard: AtomicU64::new(0),
        }
    }

    /// The connection on which lines are sent.
    pub fn wire(&self) -> Option<&Wire> {
        self.wire.as_ref()
    }

    /// Returns true if it speaks json.
    pub fn speaks_json(&self) -> bool {
        self.outbox.in_json()
    }

    /// Returns true if it belongs to a user.
    pub fn is_logged_in(&self) -> bool {
        self.logged_in.load(Ordering::Acquire)
    }

    /// Notes that it belongs to a user from now on.
    pub fn logged_in(&self) {
        self.logged_in.store(true, Ordering::Release);
    }

    /// Notes that the client sent something.
    pub fn hear(&self) {
        self.heard.store(self.age_millis(), Ordering::Release);
    }

    /// The time since the client last sent something.
    pub fn silence(&self) -> Duration {
        Duration::from_millis(self.age_millis().saturating_sub(self.heard.load(Ordering::Acquire)))
    }

    fn age_millis(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Queues the lines of events that `write` appends in the dialect of this connection. If they do not fit, the
    /// client is too slow: it is sent a goodbye instead, and its connection is closed.
    pub fn queue(&self, write: impl FnOnce(InJson, &mut Vec<u8>)) {
        self.outbox.push(write, |in_json, lines| {
            append_event(&Event::Goodbye(Farewell::SlowReader), in_json, lines);
        });
    }

    /// Queues a reply, or a refusal.
    pub fn answer(&self, id: Option<&RequestId>, answer: &Result<Reply, Refusal>) {
        self.outbox.push_reply(|in_json, lines| append_answer(id, answer, in_json, lines));
    }

    /// Sends an event in the session's dialect; plain has no lines for some events.
    pub fn tell(&self, event: &Encoded<'_>) {
        self.queue(|in_json, lines| lines.extend_from_slice(event.line(in_json)));
        self.outbox.call();
    }

    /// Sends the reason, and closes.
    pub fn dismiss(&self, farewell: Farewell) {
        self.outbox.close(Closing::Said(farewell), |in_json, lines| {
            append_event(&Event::Goodbye(farewell), in_json, lines);
        });
    }

    /// Sends queued lines as far as the system takes them without waiting. The session's own task sends the rest, and
    /// notices a broken connection.
    pub fn flush(&self) {
        // A task that finds this set has queued its lines before the session's task unsets it and looks into the queue.
        if self.blocked.load(Ordering::SeqCst) {
            return;
        }
        match self.take_and_send() {
            Ok(Sent::All) => {}
            Ok(Sent::Partly) => {
                self.blocked.store(true, Ordering::SeqCst);
                self.outbox.call();
            }
            Err(_) => self.outbox.call(),
        }
    }

    /// Like [`flush`](Self::flush), but for the session's own task.
    pub fn send(&self) -> io::Result<Sent> {
        self.blocked.store(false, Ordering::SeqCst);
        let sent = self.take_and_send()?;
        if sent == Sent::Partly {
            self.blocked.store(true, Ordering::SeqCst);
        }
        Ok(sent)
    }

    fn take_and_send(&self) -> io::Result<Sent> {
        match &self.wire {
            Some(wire) => wire.send(|buffer| self.outbox.take(buffer)),
            None => Ok(Sent::All),
        }
    }
}

/// An event that is written at most once in each dialect, no matter how many sessions get it.
pub struct Encoded<'a> {
    event: &'a Event,
    plain: OnceCell<Vec<u8>>,
    json: OnceCell<Vec<u8>>,
}

impl<'a> Encoded<'a> {
    /// An event that is not written yet.
    pub fn new(event: &'a Event) -> Self {
        Self { event, plain: OnceCell::new(), json: OnceCell::new() }
    }

    /// The line with its line feed; empty if plain has no line for it.
    pub fn line(&self, in_json: InJson) -> &[u8] {
        let line = if in_json { &self.json } else { &self.plain };
        line.get_or_init(|| {
            let mut line = Vec::with_capacity(256);
            append_event(self.event, in_json, &mut line);
            line
        })
    }
}

/// Approximate bytes that a message's line takes besides its body.
const FRAME: usize = 256;

/// Reserves space for a message's line, which would otherwise be moved as it grows.
fn reserve_for(message: &Message, lines: &mut Vec<u8>) {
    if let Body::Sealed(sealed) = &message.body {
        lines.reserve(sealed.as_json().len() + FRAME);
    }
}

/// Appends an event's line; nothing if plain has no line for it.
pub fn append_event(event: &Event, in_json: InJson, lines: &mut Vec<u8>) {
    if let Event::Message(message) = event {
        reserve_for(message, lines);
    }
    if in_json {
        json::write_event(lines, event);
    } else if !plain::write_event(lines, event) {
        return;
    }
    lines.push(b'\n');
}

/// Appends an answer's line; nothing if plain has no line for it.
pub fn append_answer(
    id: Option<&RequestId>,
    answer: &Result<Reply, Refusal>,
    in_json: InJson,
    lines: &mut Vec<u8>,
) {
    if let Ok(Reply::Posted(message)) = answer {
        reserve_for(message, lines);
    }
    match (answer, in_json) {
        (Ok(reply), true) => json::write_reply(lines, id, reply),
        (Ok(reply), false) if !plain::write_reply(lines, reply) => return,
        (Ok(_), false) => {}
        (Err(refusal), true) => json::write_refusal(lines, id, refusal),
        (Err(refusal), false) => plain::write_refusal(lines, refusal),
    }
    lines.push(b'\n');
}
