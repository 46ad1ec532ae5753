//! Commands sent over a link, and the parts of the client that wait for their answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use parlour_protocol::json::{self, RequestId};
use parlour_protocol::{Command, Refusal, Reply};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{ANSWER, LinkError};

/// The waiters by the number of their answer; `None` when the connection is over.
type Expected = Arc<Mutex<Option<HashMap<u64, Waiter>>>>;

/// A part of the client that waits for an answer.
pub(super) enum Waiter {
    /// The owner of the link, who gets the answer in its order among the events.
    Reader,
    /// A task beside the owner.
    Other(Answering),
}

type Answering = oneshot::Sender<Result<Reply, Refusal>>;

/// A handle for asking over a link, for tasks beside its owner.
#[derive(Clone)]
pub struct Requests {
    next_id: Arc<AtomicU64>,
    out: mpsc::Sender<String>,
    expected: Expected,
}

impl Requests {
    /// A handle that sends its lines through `out`.
    pub(super) fn new(out: mpsc::Sender<String>) -> Self {
        Self {
            // Number 0 is for answers to pings, which nobody waits for.
            next_id: Arc::new(AtomicU64::new(1)),
            out,
            expected: Arc::new(Mutex::new(Some(HashMap::new()))),
        }
    }

    /// Sends a command and waits for its answer.
    pub async fn ask(&self, command: &Command) -> Result<Reply, LinkError> {
        let (answer, answered) = oneshot::channel();
        let id = self.next_id();
        self.expect(id, Waiter::Other(answer))?;
        // If it cannot be sent, the reading side sees the end as well, and knows why.
        let _ = self.send(id, command).await;
        match timeout(ANSWER, answered).await {
            Ok(Ok(reply)) => reply.map_err(LinkError::Refused),
            Ok(Err(_)) | Err(_) => Err(LinkError::Lost),
        }
    }

    /// Tells everyone who waits for an answer that none will come.
    pub(super) fn close(&self) {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(super) fn expect(&self, id: u64, waiter: Waiter) -> Result<(), LinkError> {
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        expected.as_mut().ok_or(LinkError::Lost)?.insert(id, waiter);
        Ok(())
    }

    /// Takes out the waiter for this answer, if the answer was asked for and has not come yet.
    pub(super) fn waiter(&self, id: u64) -> Option<Waiter> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner).as_mut()?.remove(&id)
    }

    pub(super) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) async fn send(&self, id: u64, command: &Command) -> Result<(), LinkError> {
        let line = json::encode_command(&RequestId::Number(id), command);
        self.out.send(line).await.map_err(|_| LinkError::Lost)
    }
}
