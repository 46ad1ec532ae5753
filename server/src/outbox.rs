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

/// A queue of whole lines. The session's writer takes them out; anyone may put them in.
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

    /// Queues a line (with its line feed). When there is no room the outbox is closed: `farewell`
    /// makes the line that says so, which takes the place of what was queued.
    pub fn push(&self, line: Bytes, farewell: impl FnOnce(Farewell) -> Option<Bytes>) {
        let mut state = self.state();
        if state.closing.is_some() {
            return;
        }
        if state.bytes + line.len() > self.limit {
            self.end(&mut state, Closing::Said(Farewell::SlowReader), farewell(Farewell::SlowReader));
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line);
        drop(state);
        self.ready.notify_one();
    }

    /// Closes after what is queued, or, as a slow reader, without it. The first reason holds.
    pub fn close(&self, closing: Closing, line: Option<Bytes>) {
        let mut state = self.state();
        if state.closing.is_none() {
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
        outbox.push(line(40), |_| None);
        outbox.push(line(50), |_| None);
        let taken = outbox.take().await.unwrap();
        assert_eq!(taken.iter().map(Bytes::len).collect::<Vec<_>>(), [40, 50]);
        // Taken is not sent: the bytes still count.
        outbox.sent(90);
        outbox.push(line(100), |_| None);
        assert_eq!(outbox.closing(), None);
    }

    #[tokio::test]
    async fn a_full_outbox_is_closed_and_says_so_instead() {
        let outbox = Outbox::new(100);
        outbox.push(line(60), |_| None);
        outbox.push(line(60), |_| Some(line(7)));
        assert_eq!(outbox.closed().await, Closing::Said(Farewell::SlowReader));
        assert_eq!(outbox.take().await.unwrap(), [line(7)]);
        assert_eq!(outbox.take().await, None);
    }

    #[tokio::test]
    async fn what_is_queued_is_sent_before_the_end() {
        let outbox = Outbox::new(100);
        outbox.push(line(1), |_| None);
        outbox.close(Closing::Quiet, None);
        outbox.push(line(2), |_| None);
        assert_eq!(outbox.take().await.unwrap().len(), 1);
        assert_eq!(outbox.take().await, None);
    }
}
