//! What the engine says without being asked. A face's [`State`](crate::face::tui::state::State) is made of these.

use std::time::Duration;

use parlour_protocol::{Conversation, DeviceId, Seq, ServerAddress, UserName};

use crate::asking::failure::Failure;
use crate::reading::shown::Shown;

/// Something that changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Update {
    /// How it stands with the server.
    Connection(Connection),
    /// Something takes a while.
    Progress(String),
    /// We are this user now.
    LoggedIn {
        /// Who.
        user: UserName,
        /// On which device.
        device: DeviceId,
    },
    /// We are nobody any more, and why.
    LoggedOut {
        /// Why.
        reason: Failure,
    },
    /// How far a conversation goes, and how far it is read.
    Conversation {
        /// Which.
        name: Conversation,
        /// The newest `seq`.
        last: Seq,
        /// The newest that the user has seen.
        read: Seq,
    },
    /// What was told of a conversation does not hold any more: the server has lost some of it.
    Forgotten {
        /// Which.
        name: Conversation,
    },
    /// The newest messages of a conversation, ahead of all else that is still being fetched. They come
    /// again: in the backlog, or one by one.
    Newest {
        /// Which.
        name: Conversation,
        /// By `seq`, without gaps.
        messages: Vec<Shown>,
        /// The newest that the user has seen.
        read: Seq,
        /// Whether they are judged as they will stay. Otherwise messages before them are missing yet, and
        /// only what those show can tell whether these are in their right places.
        settled: bool,
    },
    /// The newest messages of all conversations, by the server's time, after a login.
    Backlog(Vec<Shown>),
    /// A message that is new here.
    Message(Box<Shown>),
    /// All messages that wait to be stored by the server, oldest first.
    Outbox(Vec<Waiting>),
    /// Something the user should know.
    Notice(String),
}

/// How it stands with the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Connection {
    /// Not yet.
    Connecting {
        /// To where.
        server: ServerAddress,
    },
    /// Connected, and nobody.
    Guest {
        /// To where.
        server: ServerAddress,
    },
    /// Connected, and logged in.
    Online {
        /// To where.
        server: ServerAddress,
    },
    /// Not connected.
    Offline {
        /// Why.
        reason: Failure,
        /// When it is tried again.
        retry: Option<Duration>,
    },
}

/// A message that the server has not stored yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Where to.
    pub to: Conversation,
    /// What it says.
    pub text: String,
}

/// Skips what it says.
impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Waiting({})", self.to)
    }
}
