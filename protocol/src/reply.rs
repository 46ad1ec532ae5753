//! The server's answers to successful commands.

use serde::{Deserialize, Serialize};

use crate::command::Dialect;
use crate::conversation::Conversation;
use crate::message::{Message, Seq};
use crate::message_id::MessageId;
use crate::name::{DeviceId, UserName};
use crate::timestamp::Timestamp;

/// An answer to a command; certificates are DER.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Reply {
    /// The name was registered, and these certificates were issued.
    Registered { device_certificate: Vec<u8>, account_certificate: Vec<u8> },
    /// A new device certificate.
    Renewed { device_certificate: Vec<u8> },
    /// The session belongs to this user and device from now on.
    LoggedIn {
        user: UserName,
        device: DeviceId,
        /// The server's clock.
        time: Timestamp,
    },
    /// All online users, sorted.
    Users(Vec<UserName>),
    /// The server closes the connection after this.
    Goodbye,
    /// The commands, one line each.
    Help(Vec<String>),
    /// The dialect from the next line on.
    Dialect(Dialect),
    /// The message as stored.
    Posted(Message),
    /// A user's account.
    Account(AccountInfo),
    /// The conversations of the session's user.
    Conversations(Vec<ConversationHead>),
    /// A page of a conversation, oldest first.
    History {
        messages: Vec<Message>,
        /// The newest `seq` in the conversation, 0 when it is empty.
        last: Seq,
    },
    /// Signed statements of revocations, in the order of their numbers.
    Revocations {
        /// Compact JWS, as the TTP signed them.
        statements: Vec<String>,
        /// True if there are statements with higher numbers.
        more: bool,
    },
    /// The server heard that the client lives.
    Pong,
}

/// A user's account as the server knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountInfo {
    /// The account's owner.
    pub user: UserName,
    /// The account certificate, DER.
    pub certificate: Vec<u8>,
    /// Devices of the user that the TTP revoked.
    pub revoked: Vec<RevokedDevice>,
}

/// A revoked device.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RevokedDevice {
    /// The device's id.
    pub device: DeviceId,
    /// The time of the revocation.
    pub time: Timestamp,
    /// The TTP's signed statement of it, a compact JWS. Without it nobody has to believe it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub statement: Option<String>,
}

/// A conversation and its newest message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConversationHead {
    /// The conversation as the session's user sees it.
    pub name: Conversation,
    /// The newest `seq` in it.
    pub last: Seq,
    /// The id of the message there. Older servers do not name it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub newest: Option<MessageId>,
}
