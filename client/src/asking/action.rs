//! The actions that a face can ask for, and their answers.

use parlour_protocol::{Conversation, SafeText, Seq, Timestamp, UserName};
use serde::{Deserialize, Serialize};

use crate::reading::shown::Shown;
use crate::records::Reason;

/// Something a user asks for. In json it is an object whose `do` names it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
// Fields without a comment are what their names say.
#[allow(missing_docs)]
pub enum Action {
    /// Connect as a guest, if there is no connection.
    Connect,
    /// Take a name: make keys, have them certified, keep them. A login is a separate action.
    Register { name: UserName },
    /// Log in as this user, with the keys on this machine.
    Login {
        name: UserName,
        /// A patient login shows what is kept here and waits for a server that cannot be reached; otherwise
        /// the login fails.
        #[serde(default)]
        patient: bool,
    },
    /// Say something. Answered when the server has stored it, however long that takes.
    Say { to: Conversation, text: SafeText },
    /// List the users who are online.
    Users,
    /// A page of a conversation, oldest first; from the server if it is not kept here.
    History {
        conversation: Conversation,
        /// The page ends before this message; without this member it is the newest page.
        #[serde(default)]
        before: Option<Seq>,
        /// The generation of that message, as it was shown; without this member, what counts now.
        #[serde(default)]
        generation: Option<u64>,
        /// The most messages that the page may have.
        #[serde(default = "page")]
        limit: usize,
    },
    /// Note that the user has seen everything up to `seq`.
    MarkRead { conversation: Conversation, seq: Seq },
    /// Accept somebody's changed account key, because the user says that it is right.
    Trust { name: UserName },
    /// Explain what happened to a conversation's messages on this machine.
    Why {
        #[serde(default = "Conversation::lobby")]
        conversation: Conversation,
    },
    /// End the client.
    Quit,
}

impl Action {
    /// The conversation that the action is about; a user counts as the conversation with them.
    pub fn subject(&self) -> Option<Conversation> {
        match self {
            Self::Say { to, .. } => Some(to.clone()),
            Self::History { conversation, .. }
            | Self::MarkRead { conversation, .. }
            | Self::Why { conversation } => Some(conversation.clone()),
            Self::Trust { name } => Some(Conversation::Direct(name.clone())),
            Self::Connect | Self::Register { .. } | Self::Login { .. } | Self::Users | Self::Quit => None,
        }
    }
}

/// The size of a page of history when the action names none.
fn page() -> usize {
    50
}

/// The answer to an action that was done. In json it is an object whose `ok` names it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "ok", rename_all = "snake_case")]
// Fields without a comment are what their names say.
#[allow(missing_docs)]
pub enum Answer {
    /// It is done, and there is nothing more to say.
    Done,
    /// The name belongs to this user now.
    Registered { name: UserName },
    /// This user is logged in.
    LoggedIn {
        name: UserName,
        /// The newest messages of every conversation, by the server's time.
        backlog: Vec<Shown>,
    },
    /// The message as the server has stored it.
    Said { message: Box<Shown> },
    /// The users who are online, sorted by name.
    Users { users: Vec<UserName> },
    /// A page of a conversation.
    History {
        /// Oldest first.
        messages: Vec<Shown>,
        /// The page begins with the first message of the conversation.
        complete: bool,
        /// The generations that the page shows something of, and why each began.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ended: Vec<Ended>,
    },
    /// The changes to a conversation's kept messages, the newest first.
    Why {
        conversation: Conversation,
        ended: Vec<Ended>,
        /// The number of messages that the server delivered although it had refused them.
        #[serde(default)]
        refused: u64,
    },
}

/// A generation of a conversation that ended on this machine, and its fate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ended {
    /// Its number.
    pub generation: u64,
    /// Why it ended.
    pub reason: Reason,
    /// The time at which the end was noticed.
    pub noticed: Timestamp,
    /// The newest `seq` that the server named at that time.
    pub server_last: Seq,
    /// The newest `seq` on this machine at that time.
    pub kept_last: Seq,
    /// The number of its messages that do not fit what the server has and are set aside.
    pub set_aside: u64,
    /// The number of messages after it that are not on this machine.
    pub missing: u64,
}
