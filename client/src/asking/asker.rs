//! The way from a face to the engine and back: an action goes in, its outcome comes out once.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use parlour_protocol::{Conversation, Refusal, UserName};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::action::{Action, Answer};
use crate::failure::{Explain, Explanation, Failure, Kind};

/// The most actions that wait; beyond this, the face waits.
const ACTIONS: usize = 64;

/// The time for which a face without a terminal waits for an absent server.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The sender for the outcome of an action.
pub type Answering = oneshot::Sender<Result<Answer, Failure>>;

/// The outcome of an action, which can be waited for.
pub struct Outcome {
    answered: oneshot::Receiver<Result<Answer, Failure>>,
    subject: Option<Conversation>,
}

impl Future for Outcome {
    type Output = Result<Answer, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answered).poll(context).map(|outcome| {
            let outcome = outcome.map_err(|_| AskError::Ending)?;
            outcome.map_err(|failure| match &self.subject {
                Some(subject) => failure.about(subject),
                None => failure,
            })
        })
    }
}

/// Why an action was not begun, or its outcome will not come.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AskError {
    /// Only a guest can do that, and this user is logged in.
    #[error("{}", Refusal::NotNow)]
    LoggedIn(UserName),
    /// A message waits in the outbox, and the server was away for too long.
    #[error("message not sent: the server cannot be reached")]
    Unsent,
    /// The client is ending.
    #[error("the client is ending")]
    Ending,
}

impl Explain for AskError {
    fn explain(&self) -> Explanation {
        match self {
            Self::LoggedIn(name) => Explanation::new("not_now", Kind::LoggedIn)
                .hint(format!("you are logged in as {name}; /exit, and start again, to be somebody else")),
            Self::Unsent => {
                Explanation::new("unsent", Kind::Failed).hint("it is kept, and sent after the next login")
            }
            Self::Ending => Explanation::new("ending", Kind::Failed),
        }
    }
}

/// An action, and the sender for its outcome.
pub struct Asked {
    /// The action.
    pub action: Action,
    /// Takes its outcome.
    pub answer: Answering,
}

/// A handle for asking the engine. Copies of it ask the same engine.
#[derive(Clone)]
pub struct Asker {
    actions: mpsc::Sender<Asked>,
}

impl Asker {
    /// A handle, and the receiving end for the engine.
    pub fn new() -> (Self, mpsc::Receiver<Asked>) {
        let (actions, asked) = mpsc::channel(ACTIONS);
        (Self { actions }, asked)
    }

    /// Asks for an action, and waits for its outcome.
    pub async fn ask(&self, action: Action) -> Result<Answer, Failure> {
        self.begin(action).await?.await
    }

    /// Asks for an action; the outcome can be awaited later.
    pub async fn begin(&self, action: Action) -> Result<Outcome, AskError> {
        let (answer, answered) = oneshot::channel();
        let subject = action.subject();
        self.actions.send(Asked { action, answer }).await.map_err(|_| AskError::Ending)?;
        Ok(Outcome { answered, subject })
    }
}
