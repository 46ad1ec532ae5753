//! What a face can have done, and what comes of it.

use parlour_protocol::{Conversation, SafeText, Seq, UserName};
use serde::{Deserialize, Serialize};

use crate::reading::shown::Shown;

/// Something a user wants. In json it is an object whose `do` names it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// Connect as a guest, if there is no connection.
    Connect,
    /// Take a name: make keys, have them certified, keep them. A login comes after.
    Register {
        /// The name.
        name: UserName,
    },
    /// Become this user, with the keys on this machine.
    Login {
        /// The user.
        name: UserName,
        /// Whether a server that cannot be reached is waited for: what is kept here is shown meanwhile.
        #[serde(default)]
        patient: bool,
    },
    /// Say something. Answered when the server has stored it, however long that takes.
    Say {
        /// Where.
        to: Conversation,
        /// What.
        text: SafeText,
    },
    /// Who is online.
    Users,
    /// A page of a conversation, oldest first; from the server if it is not kept here.
    History {
        /// Which.
        conversation: Conversation,
        /// Only what came before this; `None` for the newest.
        #[serde(default)]
        before: Option<Seq>,
        /// At most so many.
        #[serde(default = "page")]
        limit: usize,
    },
    /// The user has seen everything up to here.
    MarkRead {
        /// Where.
        conversation: Conversation,
        /// Up to here.
        seq: Seq,
    },
    /// The user says that somebody's changed account key is right.
    Trust {
        /// Whose.
        name: UserName,
    },
    /// End.
    Quit,
}

/// What a page of history holds when nothing is said about it.
fn page() -> usize {
    50
}

/// What came of an action that was done. In json it is an object whose `ok` names it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "ok", rename_all = "snake_case")]
pub enum Answer {
    /// Nothing more to say.
    Done,
    /// The name is ours.
    Registered {
        /// Which.
        name: UserName,
    },
    /// We are this user.
    LoggedIn {
        /// Who.
        name: UserName,
        /// The newest messages of every conversation, by the server's time.
        backlog: Vec<Shown>,
    },
    /// The message as it is stored.
    Said {
        /// The message.
        message: Box<Shown>,
    },
    /// Who is online.
    Users {
        /// Sorted.
        users: Vec<UserName>,
    },
    /// A page of a conversation.
    History {
        /// Oldest first.
        messages: Vec<Shown>,
        /// Whether nothing came before it.
        complete: bool,
    },
}
