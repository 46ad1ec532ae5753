//! Reports that the engine sends without being asked. A face's [`State`](crate::face::tui::state::State) is built from
//! them.

use std::time::Duration;

use parlour_protocol::{Conversation, DeviceId, MessageId, Seq, ServerAddress, UserName};

use crate::failure::Failure;
use crate::reading::shown::Shown;

/// Something that changed.
#[derive(Clone, PartialEq, Eq, Debug)]
// Fields without a comment are what their names say.
#[allow(missing_docs)]
pub enum Update {
    /// The connection to the server came, went, or is being retried.
    Connection(Connection),
    /// Something takes a while; the text says what.
    Progress(String),
    /// A user is logged in, on this device.
    LoggedIn { user: UserName, device: DeviceId },
    /// Nobody is logged in any more.
    LoggedOut { reason: Failure },
    /// The newest message of a conversation, and the last that was read.
    Conversation {
        name: Conversation,
        /// The newest `seq`.
        last: Seq,
        /// The newest that the user has seen.
        read: Seq,
    },
    /// The server's messages differ from what is kept of a conversation, which goes on in a new generation;
    /// messages that do not fit are set aside.
    Regrouped {
        name: Conversation,
        /// The number of the present generation.
        generation: u64,
        /// The `seq` with which it begins.
        begins: Seq,
        /// The newest `seq` that counts.
        last: Seq,
        /// The newest that the user has seen.
        read: Seq,
        /// The number of messages that are set aside.
        set_aside: u64,
        /// The newest of all that is kept, in its present state.
        messages: Vec<Shown>,
    },
    /// The newest messages of a conversation, ahead of everything that is still being fetched. They come
    /// again: in the backlog, or one by one.
    Newest {
        name: Conversation,
        /// By `seq`, without gaps.
        messages: Vec<Shown>,
        /// The newest that the user has seen.
        read: Seq,
        /// True if the judgement is final. Otherwise messages before them are still missing, and only those
        /// can tell whether these are in their right places.
        settled: bool,
    },
    /// The newest messages of all conversations, by the server's time, after a login.
    Backlog(Vec<Shown>),
    /// Messages that were told before and are judged anew, because a device was revoked.
    Judged(Vec<Shown>),
    /// A message that is new here.
    Message(Box<Shown>),
    /// The messages that wait to be stored by the server.
    Outbox {
        /// Their number.
        count: usize,
        /// The newest of them, oldest first.
        newest: Vec<Waiting>,
    },
    /// A waiting message was refused, and no face was waiting for its answer any more. It is not sent again;
    /// its text goes back to the user.
    NotSent(Box<NotSent>),
    /// Something the user should know.
    Notice(String),
}

/// The state of the connection to the server.
#[derive(Clone, PartialEq, Eq, Debug)]
// Fields without a comment are what their names say.
#[allow(missing_docs)]
pub enum Connection {
    /// A connection is being made.
    Connecting { server: ServerAddress },
    /// Connected, and nobody is logged in.
    Guest { server: ServerAddress },
    /// Connected, and logged in.
    Online { server: ServerAddress },
    /// Not connected.
    Offline {
        reason: Failure,
        /// The time until the next automatic attempt, if there will be one.
        retry: Option<Duration>,
    },
}

/// A message that will not be sent, and why.
#[derive(Clone, PartialEq, Eq)]
#[allow(missing_docs)] // its names say it
pub struct NotSent {
    pub to: Conversation,
    pub text: String,
    pub reason: Failure,
}

impl NotSent {
    /// The message for the user, besides the text.
    pub fn failure(&self) -> Failure {
        self.reason.clone().of(&format!("a message to {} was not sent", self.to))
    }
}

/// Leaves its text out.
impl std::fmt::Debug for NotSent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NotSent({}: {})", self.to, self.reason)
    }
}

/// A message that the server has not stored yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its id, which it keeps once it is stored.
    pub id: MessageId,
    /// The conversation it goes to.
    pub to: Conversation,
    /// Its text.
    pub text: String,
}

/// Leaves its text out.
impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Waiting({})", self.to)
    }
}
