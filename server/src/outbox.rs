//! What waits to be sent to one session: bounded, and closed with a reason when it is full.

use std::sync::{Mutex, MutexGuard, PoisonError};

use parlour_protocol::Farewell;
use tokio::sync::Notify;

/// Why no more is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closing {
    /// The client asked for it, or its side ended; what is queued is still sent.
    Quiet,
    /// The server ends it, and says why.
    Said(Farewell),
}

/// Whether a line is for json (or for plain).
pub type InJson = bool;

/// A buffer that is kept for the next lines if it is no larger than this, in bytes; a session that was
/// busy once does not hold more for ever.
const KEPT: usize = 4_096;

/// Whole lines on their way, and the dialect that they are in. Anyone may put lines in; the session's
/// writer takes all that is there at once.
pub struct Outbox {
    limit: usize,
    state: Mutex<State>,
    /// Something to send, or the end.
    ready: Notify,
    /// Room again.
    room: Notify,
    /// The end alone.
    closing: Notify,
}

#[derive(Default)]
struct State {
    /// Lines, one after the other.
    lines: Vec<u8>,
    /// Events that wait for a reply to go before them; `None` while none have to.
    held: Option<Vec<u8>>,
    /// Bytes of `lines` that are events; replies do not count against the limit.
    events: usize,
    /// Bytes that were taken and are being written.
    writing: usize,
    /// Bytes of those that are events.
    writing_events: usize,
    closing: Option<Closing>,
    in_json: InJson,
}

impl Outbox {
    /// An outbox for at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::default(),
            ready: Notify::new(),
            room: Notify::new(),
            closing: Notify::new(),
        }
    }

    /// Queues what `write` appends: lines with their line feeds, in the dialect that is spoken. When that
    /// is more than there is room for the outbox is closed, and what `farewell` appends, which says so,
    /// takes the place of everything queued.
    pub fn push(
        &self,
        write: impl FnOnce(InJson, &mut Vec<u8>),
        farewell: impl FnOnce(InJson, &mut Vec<u8>),
    ) {
        let mut state = self.state();
        if state.closing.is_some() {
            return;
        }
        let was_empty = state.append_event(write);
        if state.used_by_events() > self.limit {
            self.end(&mut state, Closing::Said(Farewell::SlowReader), farewell);
        } else if was_empty {
            drop(state);
            self.ready.notify_one();
        }
    }

    /// Holds events back until [`release`](Self::release): a reply is coming that has to be first.
    pub fn hold(&self) {
        self.state().held.get_or_insert_default();
    }

    /// Lets events through again; those that were held come first, or are dropped unless `with_held`,
    /// because the session may not hear them after all.
    pub fn release(&self, with_held: bool) {
        let mut state = self.state();
        let held = state.held.take().unwrap_or_default();
        if with_held && state.closing.is_none() && state.append(|_, lines| lines.extend_from_slice(&held)) {
            drop(state);
            self.ready.notify_one();
        }
    }

    /// Queues a reply. It is never too much: the next command is read only when there is [`room`](Self::room).
    pub fn push_reply(&self, write: impl FnOnce(InJson, &mut Vec<u8>)) {
        let mut state = self.state();
        if state.closing.is_none() && state.append(write) {
            drop(state);
            self.ready.notify_one();
        }
    }

    /// Queues a reply after which another dialect is spoken, so that no event comes in between in the
    /// wrong one.
    pub fn push_switch(&self, write: impl FnOnce(InJson, &mut Vec<u8>), in_json: InJson) {
        let mut state = self.state();
        state.append(write);
        state.in_json = in_json;
        drop(state);
        self.ready.notify_one();
    }

    /// Whether the dialect that is spoken is json.
    pub fn in_json(&self) -> InJson {
        self.state().in_json
    }

    /// Closes after what is queued and what `write` appends. The first reason holds.
    pub fn close(&self, closing: Closing, write: impl FnOnce(InJson, &mut Vec<u8>)) {
        let mut state = self.state();
        if state.closing.is_none() {
            self.end(&mut state, closing, write);
        }
    }

    fn end(&self, state: &mut State, closing: Closing, write: impl FnOnce(InJson, &mut Vec<u8>)) {
        if closing == Closing::Said(Farewell::SlowReader) {
            state.lines = Vec::new();
            state.events = 0;
        }
        state.append(write);
        state.closing = Some(closing);
        self.ready.notify_one();
        self.room.notify_one();
        self.closing.notify_waiters();
    }

    /// Why it was closed, if it was.
    pub fn closing(&self) -> Option<Closing> {
        self.state().closing
    }

    /// Waits for lines and takes all that are there, in exchange for the buffer that was taken before,
    /// whose lines are sent now; false when it is closed and empty.
    pub async fn take(&self, buffer: &mut Vec<u8>) -> bool {
        loop {
            {
                let mut state = self.state();
                if state.writing > 0 {
                    state.writing = 0;
                    state.writing_events = 0;
                    self.room.notify_one();
                }
                if !state.lines.is_empty() {
                    buffer.clear();
                    if buffer.capacity() > KEPT {
                        *buffer = Vec::new();
                    }
                    std::mem::swap(buffer, &mut state.lines);
                    state.writing = buffer.len();
                    state.writing_events = std::mem::take(&mut state.events);
                    return true;
                }
                if state.closing.is_some() {
                    return false;
                }
            }
            self.ready.notified().await;
        }
    }

    /// Waits until at most half of the outbox is used, so that the next reply fits. A client that asks
    /// without reading waits here. Returns at once when closed.
    pub async fn room(&self) {
        loop {
            {
                let state = self.state();
                if state.used() <= self.limit / 2 || state.closing.is_some() {
                    return;
                }
            }
            self.room.notified().await;
        }
    }

    /// Waits until it is closed.
    pub async fn closed(&self) -> Closing {
        loop {
            let notified = self.closing.notified();
            tokio::pin!(notified);
            // Registered before the look, so that a close in between is not missed.
            notified.as_mut().enable();
            if let Some(closing) = self.closing() {
                return closing;
            }
            notified.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Bytes on their way.
    fn used(&self) -> usize {
        self.lines.len() + self.held.as_ref().map_or(0, Vec::len) + self.writing
    }

    /// Bytes on their way that count against the limit.
    fn used_by_events(&self) -> usize {
        self.events + self.held.as_ref().map_or(0, Vec::len) + self.writing_events
    }

    /// As [`append`](Self::append), or to what is held back while events are.
    fn append_event(&mut self, write: impl FnOnce(InJson, &mut Vec<u8>)) -> bool {
        match &mut self.held {
            None => {
                let before = self.lines.len();
                let was_empty = self.append(write);
                self.events += self.lines.len() - before;
                was_empty
            }
            Some(held) => {
                write(self.in_json, held);
                false
            }
        }
    }

    /// Lets `write` append; returns whether there was nothing before and is something now, which is when
    /// the writer has to be woken.
    fn append(&mut self, write: impl FnOnce(InJson, &mut Vec<u8>)) -> bool {
        let was_empty = self.lines.is_empty();
        write(self.in_json, &mut self.lines);
        was_empty && !self.lines.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(size: usize) -> impl FnOnce(InJson, &mut Vec<u8>) {
        move |_, lines| lines.extend(std::iter::repeat_n(b'x', size))
    }

    fn nothing(_: InJson, _: &mut Vec<u8>) {}

    async fn taken(outbox: &Outbox, buffer: &mut Vec<u8>) -> Option<usize> {
        outbox.take(buffer).await.then_some(buffer.len())
    }

    #[tokio::test]
    async fn lines_come_out_together_and_room_comes_back_when_they_are_sent() {
        let (outbox, mut buffer) = (Outbox::new(100), Vec::new());
        outbox.push(line(40), nothing);
        outbox.push(line(20), nothing);
        assert_eq!(taken(&outbox, &mut buffer).await, Some(60));
        // Taken is not sent: the bytes still count.
        outbox.push(line(40), nothing);
        assert_eq!(outbox.closing(), None);
        assert_eq!(taken(&outbox, &mut buffer).await, Some(40));
        outbox.push(line(60), nothing);
        assert_eq!(outbox.closing(), None);
        outbox.push(line(1), nothing);
        assert_eq!(outbox.closing(), Some(Closing::Said(Farewell::SlowReader)));
    }

    #[tokio::test]
    async fn a_full_outbox_is_closed_and_says_so_instead() {
        let (outbox, mut buffer) = (Outbox::new(100), Vec::new());
        outbox.push(line(60), nothing);
        outbox.push(line(60), line(7));
        assert_eq!(outbox.closed().await, Closing::Said(Farewell::SlowReader));
        assert_eq!(taken(&outbox, &mut buffer).await, Some(7));
        assert_eq!(taken(&outbox, &mut buffer).await, None);
    }

    #[tokio::test]
    async fn what_is_queued_is_sent_before_the_end() {
        let (outbox, mut buffer) = (Outbox::new(100), Vec::new());
        outbox.push(line(1), nothing);
        outbox.close(Closing::Quiet, nothing);
        outbox.push(line(2), nothing);
        assert_eq!(taken(&outbox, &mut buffer).await, Some(1));
        assert_eq!(taken(&outbox, &mut buffer).await, None);
    }

    #[tokio::test]
    async fn a_reply_is_queued_even_when_it_is_long_and_the_next_command_waits() {
        let (outbox, mut buffer) = (Outbox::new(100), Vec::new());
        outbox.push_reply(line(500));
        assert_eq!(outbox.closing(), None);
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(20), outbox.room());
        assert!(waiting.await.is_err());
        assert_eq!(taken(&outbox, &mut buffer).await, Some(500));
        // What was asked for does not make somebody a slow reader of what was not.
        outbox.push(line(100), nothing);
        assert_eq!(outbox.closing(), None);
        outbox.push(line(1), nothing);
        assert_eq!(outbox.closing(), Some(Closing::Said(Farewell::SlowReader)));
    }

    #[tokio::test]
    async fn another_dialect_is_spoken_right_after_the_reply_that_says_so() {
        let (outbox, mut buffer) = (Outbox::new(100), Vec::new());
        let dialect = |in_json: InJson, lines: &mut Vec<u8>| lines.push(if in_json { b'j' } else { b'p' });
        outbox.push_switch(dialect, true);
        outbox.push(dialect, nothing);
        assert!(outbox.take(&mut buffer).await);
        assert_eq!(buffer, b"pj");
    }

    #[tokio::test]
    async fn events_that_are_held_come_after_the_reply() {
        let (outbox, mut buffer) = (Outbox::new(100), Vec::new());
        outbox.hold();
        outbox.push(|_, lines| lines.extend_from_slice(b"event"), nothing);
        outbox.push_reply(|_, lines| lines.extend_from_slice(b"reply "));
        outbox.release(true);
        outbox.push(|_, lines| lines.extend_from_slice(b" later"), nothing);
        assert!(outbox.take(&mut buffer).await);
        assert_eq!(buffer, b"reply event later");
    }

    #[tokio::test]
    async fn a_buffer_that_was_large_once_is_given_back() {
        let (outbox, mut buffer) = (Outbox::new(100_000), Vec::new());
        outbox.push(line(50_000), nothing);
        assert!(outbox.take(&mut buffer).await);
        outbox.push(line(1), nothing);
        assert!(outbox.take(&mut buffer).await);
        outbox.push(line(1), nothing);
        assert!(outbox.take(&mut buffer).await);
        assert!(buffer.capacity() <= KEPT);
    }
}
