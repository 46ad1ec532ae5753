//! What a client may ask of the server.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::conversation::Conversation;
use crate::message::{Body, Seq};
use crate::message_id::MessageId;
use crate::name::UserName;
use crate::refusal::Refusal;

/// How the lines of a connection are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// For people and scripts; a connection begins in it.
    Plain,
    /// For programs: one JSON object a line.
    Json,
}

/// A command, whole and well-formed.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// Take a free name: `request` is the enrolment request (a compact JWS) for the TTP.
    Register {
        /// The name to take; the request must be for the same.
        name: UserName,
        /// Compact JWS, forwarded as it is.
        request: String,
    },
    /// Renew a device certificate: `request` is the renewal request (a compact JWS) for the TTP.
    Renew {
        /// Compact JWS, forwarded as it is.
        request: String,
    },
    /// Become a user on this connection.
    Login {
        /// The name in the certificate of this TLS connection.
        name: UserName,
        /// ECDSA P-256 with SHA-256 over [`crate::login_transcript`], ASN.1 DER.
        signature: Vec<u8>,
    },
    /// Who is online.
    Users,
    /// Close the connection.
    Exit,
    /// Which commands there are.
    Help,
    /// Speak another dialect from the next line on.
    Dialect(Dialect),
    /// Say something.
    Post(Post),
    /// A user's account certificate, and which of the user's devices are revoked.
    Account {
        /// Whose.
        name: UserName,
    },
    /// My conversations, with the newest `seq` of each.
    Conversations,
    /// A page of a conversation, oldest first.
    History {
        /// Which.
        conversation: Conversation,
        /// Which part.
        range: HistoryRange,
        /// At most so many messages, 1 to [`crate::limits::HISTORY_PAGE`].
        limit: u16,
    },
    /// The signed statements of revocations.
    Revocations {
        /// Those with a number above this, 0 for all.
        after: u64,
    },
    /// I am still here (the answer to [`crate::Event::Ping`]).
    Pong,
}

/// A message to be stored and fanned out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Post {
    /// Where to.
    pub to: Conversation,
    /// The sender's id; the server makes one for a plain line without.
    pub id: Option<MessageId>,
    /// What is said: [`Body::Text`] to a channel, [`Body::Sealed`] to a user.
    pub body: Body,
}

/// Which part of a conversation is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HistoryRange {
    /// The newest messages.
    Newest,
    /// The newest of those before this `seq`.
    Before(Seq),
    /// The oldest of those after this `seq`.
    After(Seq),
}

/// What kind of command a line is, known before its arguments are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // each is the command of the same name
pub enum Verb {
    Register,
    Renew,
    Login,
    Users,
    Exit,
    Help,
    Dialect,
    Post,
    Account,
    Conversations,
    History,
    Revocations,
    Pong,
}

impl Verb {
    /// Whether the verb may be used by a session that is logged in (`true`) or a guest (`false`).
    pub fn is_open_to(self, logged_in: bool) -> bool {
        match self {
            Self::Register | Self::Login => !logged_in,
            Self::Renew | Self::Exit | Self::Help | Self::Dialect | Self::Pong => true,
            Self::Users
            | Self::Post
            | Self::Account
            | Self::Conversations
            | Self::History
            | Self::Revocations => logged_in,
        }
    }
}

impl Command {
    /// What kind of command it is.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Register { .. } => Verb::Register,
            Self::Renew { .. } => Verb::Renew,
            Self::Login { .. } => Verb::Login,
            Self::Users => Verb::Users,
            Self::Exit => Verb::Exit,
            Self::Help => Verb::Help,
            Self::Dialect(_) => Verb::Dialect,
            Self::Post(_) => Verb::Post,
            Self::Account { .. } => Verb::Account,
            Self::Conversations => Verb::Conversations,
            Self::History { .. } => Verb::History,
            Self::Revocations { .. } => Verb::Revocations,
            Self::Pong => Verb::Pong,
        }
    }
}

/// A line that names a known command; its arguments may still be wrong. The server judges in this
/// order: unknown, then not now, then the format.
#[derive(Debug)]
pub struct Request {
    /// The kind of command.
    pub verb: Verb,
    /// The command, or what is wrong with its arguments.
    pub command: Result<Command, Refusal>,
}

/// Names the command and skips what it carries.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register { name, .. } => write!(f, "Register({name})"),
            Self::Renew { .. } => f.write_str("Renew"),
            Self::Login { name, .. } => write!(f, "Login({name})"),
            Self::Users => f.write_str("Users"),
            Self::Exit => f.write_str("Exit"),
            Self::Help => f.write_str("Help"),
            Self::Dialect(dialect) => write!(f, "Dialect({dialect:?})"),
            Self::Post(post) => write!(f, "Post({post:?})"),
            Self::Account { name } => write!(f, "Account({name})"),
            Self::Conversations => f.write_str("Conversations"),
            Self::History { conversation, range, limit } => {
                write!(f, "History({conversation}, {range:?}, {limit})")
            }
            Self::Revocations { after } => write!(f, "Revocations({after})"),
            Self::Pong => f.write_str("Pong"),
        }
    }
}
