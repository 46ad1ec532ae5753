//! What waits to be sent to one session: bounded, and closed with a reason when it is full.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
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

/// A queue of whole lines, and the dialect that they are in. The session's writer takes them out; anyone may put them in.
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
    lines: VecDeque<Bytes>,
    /// Bytes in `lines`, and those that are being written.
    bytes: usize,
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

    /// Queues a line (with its line feed), which `line` makes for the dialect that is spoken. When there
    /// is no room the outbox is closed: `farewell` makes the line that says so, which takes the place of
    /// what was queued.
    pub fn push(
        &self,
        line: impl FnOnce(InJson) -> Option<Bytes>,
        farewell: impl FnOnce(InJson) -> Option<Bytes>,
    ) {
        let mut state = self.state();
        if state.closing.is_some() {
            return;
        }
        let in_json = state.in_json;
        let Some(line) = line(in_json) else { return };
        if state.bytes + line.len() > self.limit {
            let said = farewell(in_json);
            self.end(&mut state, Closing::Said(Farewell::SlowReader), said);
            return;
        }
        Self::queue(&mut state, line);
        drop(state);
        self.ready.notify_one();
    }

    /// Queues a reply. It is never too much: the next command is read only when there is [`room`](Self::room).
    pub fn push_reply(&self, line: impl FnOnce(InJson) -> Option<Bytes>) {
        let mut state = self.state();
        if state.closing.is_some() {
            return;
        }
        if let Some(line) = line(state.in_json) {
            Self::queue(&mut state, line);
            drop(state);
            self.ready.notify_one();
        }
    }

    /// Queues a reply after which another dialect is spoken, so that no event comes in between in the
    /// wrong one.
    pub fn push_switch(&self, line: impl FnOnce(InJson) -> Option<Bytes>, in_json: InJson) {
        let mut state = self.state();
        if let Some(line) = line(state.in_json) {
            Self::queue(&mut state, line);
        }
        state.in_json = in_json;
        drop(state);
        self.ready.notify_one();
    }

    /// Whether the dialect that is spoken is json.
    pub fn in_json(&self) -> InJson {
        self.state().in_json
    }

    fn queue(state: &mut State, line: Bytes) {
        state.bytes += line.len();
        state.lines.push_back(line);
    }

    /// Closes after what is queued, or, as a slow reader, without it. The first reason holds.
    pub fn close(&self, closing: Closing, line: impl FnOnce(InJson) -> Option<Bytes>) {
        let mut state = self.state();
        if state.closing.is_none() {
            let line = line(state.in_json);
            self.end(&mut state, closing, line);
        }
    }

    fn end(&self, state: &mut State, closing: Closing, line: Option<Bytes>) {
        if closing == Closing::Said(Farewell::SlowReader) {
            state.lines.clear();
        }
        state.lines.extend(line);
        state.closing = Some(closing);
        self.ready.notify_one();
        self.room.notify_one();
        self.closing.notify_waiters();
    }

    /// Why it was closed, if it was.
    pub fn closing(&self) -> Option<Closing> {
        self.state().closing
    }

    /// Waits for lines and takes all that are there; `None` when it is closed and empty.
    pub async fn take(&self) -> Option<VecDeque<Bytes>> {
        loop {
            {
                let mut state = self.state();
                if !state.lines.is_empty() {
                    return Some(std::mem::take(&mut state.lines));
                }
                if state.closing.is_some() {
                    return None;
                }
            }
            self.ready.notified().await;
        }
    }

    /// Gives back the room of so many bytes that were taken and sent.
    pub fn sent(&self, bytes: usize) {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_sub(bytes);
        drop(state);
        self.room.notify_one();
    }

    /// Waits until at most half of the outbox is used, so that the next reply fits. A client that asks
    /// without reading waits here. Returns at once when closed.
    pub async fn room(&self) {
        loop {
            {
                let state = self.state();
                if state.bytes <= self.limit / 2 || state.closing.is_some() {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn line(size: usize) -> Bytes {
        Bytes::from(vec![b'x'; size])
    }

    #[tokio::test]
    async fn lines_come_out_in_order_and_room_comes_back() {
        let outbox = Outbox::new(100);
        outbox.push(|_| Some(line(40)), |_| None);
        outbox.push(|_| Some(line(50)), |_| None);
        let taken = outbox.take().await.unwrap();
        assert_eq!(taken.iter().map(Bytes::len).collect::<Vec<_>>(), [40, 50]);
        // Taken is not sent: the bytes still count.
        outbox.sent(90);
        outbox.push(|_| Some(line(100)), |_| None);
        assert_eq!(outbox.closing(), None);
    }

    #[tokio::test]
    async fn a_full_outbox_is_closed_and_says_so_instead() {
        let outbox = Outbox::new(100);
        outbox.push(|_| Some(line(60)), |_| None);
        outbox.push(|_| Some(line(60)), |_| Some(line(7)));
        assert_eq!(outbox.closed().await, Closing::Said(Farewell::SlowReader));
        assert_eq!(outbox.take().await.unwrap(), [line(7)]);
        assert_eq!(outbox.take().await, None);
    }

    #[tokio::test]
    async fn what_is_queued_is_sent_before_the_end() {
        let outbox = Outbox::new(100);
        outbox.push(|_| Some(line(1)), |_| None);
        outbox.close(Closing::Quiet, |_| None);
        outbox.push(|_| Some(line(2)), |_| None);
        assert_eq!(outbox.take().await.unwrap().len(), 1);
        assert_eq!(outbox.take().await, None);
    }

    #[tokio::test]
    async fn a_reply_is_queued_even_when_it_is_long_and_the_next_command_waits() {
        let outbox = Outbox::new(100);
        outbox.push_reply(|_| Some(line(500)));
        assert_eq!(outbox.closing(), None);
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(20), outbox.room());
        assert!(waiting.await.is_err());
        outbox.sent(500);
        outbox.room().await;
    }

    #[tokio::test]
    async fn another_dialect_is_spoken_right_after_the_reply_that_says_so() {
        let outbox = Outbox::new(100);
        let dialect = |in_json: InJson| Some(if in_json { line(1) } else { line(2) });
        outbox.push_switch(dialect, true);
        outbox.push(dialect, |_| None);
        let lines = outbox.take().await.unwrap();
        assert_eq!(lines.iter().map(Bytes::len).collect::<Vec<_>>(), [2, 1]);
    }
}
