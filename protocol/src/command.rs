//! The commands that a client sends to the server.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::conversation::Conversation;
use crate::message::{Body, Seq};
use crate::message_id::MessageId;
use crate::name::UserName;
use crate::refusal::Refusal;

/// The format of the lines on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// For people and scripts; every connection begins in it.
    Plain,
    /// For programs: one JSON object on each line.
    Json,
}

/// A complete, well-formed command.
#[derive(Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Command {
    /// Take a free name: `request` is the enrolment request (a compact JWS) for the TTP.
    Register {
        /// The name to take, which must also be the one in the request.
        name: UserName,
        /// A compact JWS, forwarded unchanged.
        request: String,
    },
    /// Renew a device certificate: `request` is the renewal request (a compact JWS) for the TTP.
    Renew {
        /// A compact JWS, forwarded unchanged.
        request: String,
    },
    /// Log in as a user on this connection.
    Login {
        /// The name in the certificate of this TLS connection.
        name: UserName,
        /// ECDSA P-256 with SHA-256 over [`crate::login_transcript`], ASN.1 DER.
        signature: Vec<u8>,
    },
    /// List the users who are online.
    Users,
    /// Close the connection.
    Exit,
    /// List the commands.
    Help,
    /// Speak another dialect from the next line on.
    Dialect(Dialect),
    /// Post a message.
    Post(Post),
    /// Get a user's account certificate and revoked devices.
    Account { name: UserName },
    /// List the conversations of the session's user, with the newest `seq` of each.
    Conversations,
    /// Get a page of a conversation, oldest first.
    History {
        conversation: Conversation,
        range: HistoryRange,
        /// The most messages to return, from 1 to [`crate::limits::HISTORY_PAGE`].
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

/// A message to be stored and delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Post {
    /// The destination.
    pub to: Conversation,
    /// The sender's id; for a plain line without one, the server makes it.
    pub id: Option<MessageId>,
    /// The content: [`Body::Text`] to a channel, [`Body::Sealed`] to a user.
    pub body: Body,
}

/// The part of a conversation that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HistoryRange {
    /// The newest messages.
    Newest,
    /// The newest of those before this `seq`.
    Before(Seq),
    /// The oldest of those after this `seq`.
    After(Seq),
}

/// The name of a command without its arguments.
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
    /// Returns true if a session that is logged in (`true`) or a guest (`false`) may use the verb.
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
    /// The command's name.
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

/// A line that names a known command; its arguments may still be wrong. The server checks in this order: unknown
/// command, command not allowed now, wrong format.
#[derive(Debug)]
pub struct Request {
    /// The command's name.
    pub verb: Verb,
    /// The command, or the fault in its arguments.
    pub command: Result<Command, Refusal>,
}

/// Names the command and leaves out its arguments.
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
