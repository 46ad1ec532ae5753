//! Lines that wait to be sent to one session: bounded, and closed with a reason when full.

mod pieces;

use std::sync::{Mutex, MutexGuard, PoisonError};

use parlour_protocol::Farewell;
use tokio::sync::Notify;

use self::pieces::Pieces;

/// The reasons why an outbox accepts no more lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closing {
    /// The client asked for it, or closed its side; queued lines are still sent.
    Quiet,
    /// The server ends the session, and says why.
    Said(Farewell),
}

/// True for json, false for plain.
pub type InJson = bool;

/// Whole lines on their way, and their dialect. Any task may put lines in; the task that sends takes all
/// of them at once.
pub struct Outbox {
    limit: usize,
    state: Mutex<State>,
    /// Wakes the session's own task to send, or to notice the end.
    attention: Notify,
    /// Signals that there is room again.
    room: Notify,
    /// Signals only the end.
    closing: Notify,
}

#[derive(Default)]
struct State {
    pieces: Pieces,
    /// Events that wait until a reply has gone; `None` while none have to wait.
    held: Option<Vec<u8>>,
    closing: Option<Closing>,
    in_json: InJson,
}

impl Outbox {
    /// An outbox for at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::default(),
            attention: Notify::new(),
            room: Notify::new(),
            closing: Notify::new(),
        }
    }

    /// Queues the lines with line feeds that `write` appends, in the present dialect. If there is no room for
    /// them, the outbox is closed, and everything queued is replaced by the line that `farewell` appends,
    /// which says so. The caller sends, or [calls](Self::call) the session.
    pub fn push(
        &self,
        write: impl FnOnce(InJson, &mut Vec<u8>),
        farewell: impl FnOnce(InJson, &mut Vec<u8>),
    ) {
        let mut state = self.state();
        if state.closing.is_some() {
            return;
        }
        state.append_event(write);
        if state.used_by_events() > self.limit {
            self.end(&mut state, Closing::Said(Farewell::SlowReader), farewell);
        }
    }

    /// Holds events back until [`release`](Self::release), because a reply must go first.
    pub fn hold(&self) {
        self.state().held.get_or_insert_default();
    }

    /// Lets events through again. The held events come first if `with_held`. Otherwise they are dropped, because the
    /// session may not see them after all.
    pub fn release(&self, with_held: bool) {
        let mut state = self.state();
        let held = state.held.take().unwrap_or_default();
        if with_held && state.closing.is_none() {
            state.append_event(|_, lines| lines.extend_from_slice(&held));
        }
    }

    /// Queues a reply. It always fits: the next command is read only when there is [`room`](Self::room).
    pub fn push_reply(&self, write: impl FnOnce(InJson, &mut Vec<u8>)) {
        let mut state = self.state();
        if state.closing.is_none() {
            state.append(write, false);
        }
    }

    /// Queues a reply and changes the dialect after it, so that no event comes in between in the wrong
    /// dialect.
    pub fn push_switch(&self, write: impl FnOnce(InJson, &mut Vec<u8>), in_json: InJson) {
        let mut state = self.state();
        if state.closing.is_none() {
            state.append(write, false);
        }
        state.in_json = in_json;
    }

    /// Returns true if the dialect is json.
    pub fn in_json(&self) -> InJson {
        self.state().in_json
    }

    /// Closes after the queued lines and those that `write` appends. Only the first reason counts.
    pub fn close(&self, closing: Closing, write: impl FnOnce(InJson, &mut Vec<u8>)) {
        let mut state = self.state();
        if state.closing.is_none() {
            self.end(&mut state, closing, write);
        }
    }

    fn end(&self, state: &mut State, closing: Closing, write: impl FnOnce(InJson, &mut Vec<u8>)) {
        if closing == Closing::Said(Farewell::SlowReader) {
            state.pieces.forget_waiting();
        }
        state.append(write, false);
        state.closing = Some(closing);
        self.attention.notify_one();
        self.room.notify_one();
        self.closing.notify_waiters();
    }

    /// The reason for which it was closed, if it was.
    pub fn closing(&self) -> Option<Closing> {
        self.state().closing
    }

    /// Moves the waiting lines into `buffer`, replacing its content: all of them, or a piece if there are
    /// many. The lines taken before count as sent. Returns false if there are none.
    pub fn take(&self, buffer: &mut Vec<u8>) -> bool {
        let mut state = self.state();
        if state.pieces.written() {
            self.room.notify_one();
        }
        state.pieces.take(buffer)
    }

    /// Bytes that have not been taken yet.
    pub fn waiting(&self) -> usize {
        self.state().pieces.waiting()
    }

    /// Bytes on their way: waiting, or taken and not sent yet.
    pub fn on_their_way(&self) -> usize {
        self.state().used()
    }

    /// Wakes the session's own task to send, or to notice the end.
    pub fn call(&self) {
        self.attention.notify_one();
    }

    /// Waits until another task [calls](Self::call).
    pub async fn called(&self) {
        self.attention.notified().await;
    }

    /// Returns true if at most half of the outbox is used.
    pub fn has_room(&self) -> bool {
        self.state().used() <= self.limit / 2
    }

    /// Waits until at most half of the outbox is used, so that the next reply fits. This slows down a client
    /// that asks without reading. Returns at once if the outbox is closed.
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
            // Registered before checking, so that a close in between is not missed.
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
        self.pieces.used() + self.held_bytes()
    }

    /// Bytes on their way that count against the limit.
    fn used_by_events(&self) -> usize {
        self.pieces.used_by_events() + self.held_bytes()
    }

    fn held_bytes(&self) -> usize {
        self.held.as_ref().map_or(0, Vec::len)
    }

    /// Like [`append`](Self::append), but counts as an event, and goes to the held events while there are any.
    fn append_event(&mut self, write: impl FnOnce(InJson, &mut Vec<u8>)) {
        match &mut self.held {
            None => self.append(write, true),
            Some(held) => write(self.in_json, held),
        }
    }

    fn append(&mut self, write: impl FnOnce(InJson, &mut Vec<u8>), is_event: bool) {
        let in_json = self.in_json;
        self.pieces.append(|lines| write(in_json, lines), is_event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(size: usize) -> impl FnOnce(InJson, &mut Vec<u8>) {
        move |_, lines| lines.extend(std::iter::repeat_n(b'x', size))
    }

    fn nothing(_: InJson, _: &mut Vec<u8>) {}

    fn lines(outbox: &Outbox) -> Vec<u8> {
        let mut lines = Vec::new();
        outbox.take(&mut lines);
        lines
    }

    fn taken(outbox: &Outbox) -> Option<usize> {
        Some(lines(outbox).len()).filter(|length| *length > 0)
    }

    #[test]
    fn lines_come_out_together_and_room_comes_back_when_they_are_sent() {
        let outbox = Outbox::new(100);
        outbox.push(line(40), nothing);
        outbox.push(line(20), nothing);
        assert_eq!(taken(&outbox), Some(60));
        // Taken lines are not sent yet: their bytes still count.
        outbox.push(line(40), nothing);
        assert_eq!(outbox.closing(), None);
        assert_eq!(taken(&outbox), Some(40));
        outbox.push(line(60), nothing);
        assert_eq!(outbox.closing(), None);
        outbox.push(line(1), nothing);
        assert_eq!(outbox.closing(), Some(Closing::Said(Farewell::SlowReader)));
    }

    #[test]
    fn many_lines_come_out_in_pieces_and_in_order() {
        let outbox = Outbox::new(1 << 20);
        let mut expected = Vec::new();
        for number in 0..3_000 {
            let text = format!("{number}-{}\n", "x".repeat(number % 200));
            expected.extend_from_slice(text.as_bytes());
            if number % 3 == 0 {
                outbox.push_reply(|_, lines| lines.extend_from_slice(text.as_bytes()));
            } else {
                outbox.push(|_, lines| lines.extend_from_slice(text.as_bytes()), nothing);
            }
        }
        assert_eq!(outbox.waiting(), expected.len());
        let (mut pieces, mut taken, mut buffer) = (0, Vec::new(), Vec::new());
        while outbox.take(&mut buffer) {
            pieces += 1;
            taken.extend_from_slice(&buffer);
        }
        assert_eq!(taken, expected);
        assert!(pieces > expected.len() / (64 * 1024), "{pieces} pieces");
        let state = outbox.state();
        assert_eq!((state.used(), state.used_by_events(), state.pieces.waiting()), (0, 0, 0));
    }

    #[tokio::test]
    async fn a_full_outbox_is_closed_and_says_so_instead() {
        let outbox = Outbox::new(100);
        outbox.push(line(60), nothing);
        outbox.push(line(60), line(7));
        assert_eq!(outbox.closed().await, Closing::Said(Farewell::SlowReader));
        assert_eq!(taken(&outbox), Some(7));
        assert_eq!(taken(&outbox), None);
    }

    #[test]
    fn queued_lines_are_sent_before_the_end() {
        let outbox = Outbox::new(100);
        outbox.push(line(1), nothing);
        outbox.close(Closing::Quiet, nothing);
        outbox.push(line(2), nothing);
        assert_eq!(taken(&outbox), Some(1));
        assert_eq!(taken(&outbox), None);
    }

    #[tokio::test]
    async fn a_reply_is_queued_even_when_it_is_long_and_the_next_command_waits() {
        let outbox = Outbox::new(100);
        outbox.push_reply(line(500));
        assert_eq!(outbox.closing(), None);
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(20), outbox.room());
        assert!(waiting.await.is_err());
        assert_eq!(taken(&outbox), Some(500));
        // A long reply does not make the client a slow reader.
        outbox.push(line(100), nothing);
        assert_eq!(outbox.closing(), None);
        outbox.push(line(1), nothing);
        assert_eq!(outbox.closing(), Some(Closing::Said(Farewell::SlowReader)));
    }

    #[test]
    fn another_dialect_is_spoken_right_after_the_reply_that_says_so() {
        let outbox = Outbox::new(100);
        let dialect = |in_json: InJson, lines: &mut Vec<u8>| lines.push(if in_json { b'j' } else { b'p' });
        outbox.push_switch(dialect, true);
        outbox.push(dialect, nothing);
        assert_eq!(lines(&outbox), b"pj");
    }

    #[test]
    fn events_that_are_held_come_after_the_reply() {
        let outbox = Outbox::new(100);
        outbox.hold();
        outbox.push(|_, lines| lines.extend_from_slice(b"event"), nothing);
        outbox.push_reply(|_, lines| lines.extend_from_slice(b"reply "));
        outbox.release(true);
        outbox.push(|_, lines| lines.extend_from_slice(b" later"), nothing);
        assert_eq!(lines(&outbox), b"reply event later");
    }
}
