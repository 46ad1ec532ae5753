//! The way from a face to the engine and back: an action goes in, its outcome comes out once.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::action::{Action, Answer};
use super::failure::Failure;

/// Actions that wait; with more, the face waits.
const ACTIONS: usize = 64;

/// How long a face without a terminal waits for a server that is away.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where the outcome of an action goes.
pub type Answering = oneshot::Sender<Result<Answer, Failure>>;

/// Where the outcome of an action comes from.
pub type Outcome = oneshot::Receiver<Result<Answer, Failure>>;

/// An action, and where its outcome goes.
pub struct Asked {
    /// What to do.
    pub action: Action,
    /// Hears what came of it.
    pub answer: Answering,
}

/// A handle for asking the engine. Copies of it ask the same engine.
#[derive(Clone)]
pub struct Asker {
    actions: mpsc::Sender<Asked>,
}

impl Asker {
    /// A handle, and the other end for the engine.
    pub fn new() -> (Self, mpsc::Receiver<Asked>) {
        let (actions, asked) = mpsc::channel(ACTIONS);
        (Self { actions }, asked)
    }

    /// Has an action done, and waits for its outcome.
    pub async fn ask(&self, action: Action) -> Result<Answer, Failure> {
        self.begin(action).await?.await.map_err(|_| Failure::Ending)?
    }

    /// Has an action done; its outcome can be waited for later.
    pub async fn begin(&self, action: Action) -> Result<Outcome, Failure> {
        let (answer, answered) = oneshot::channel();
        self.actions.send(Asked { action, answer }).await.map_err(|_| Failure::Ending)?;
        Ok(answered)
    }
}
