//! What the server answers when it did what it was asked.

use serde::{Deserialize, Serialize};

use crate::command::Dialect;
use crate::conversation::Conversation;
use crate::message::{Message, Seq};
use crate::name::{DeviceId, UserName};
use crate::timestamp::Timestamp;

/// An answer to a command; certificates are DER.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// The name is taken, and these certificates were issued.
    Registered {
        /// The device's.
        device_certificate: Vec<u8>,
        /// The account's.
        account_certificate: Vec<u8>,
    },
    /// A fresh device certificate.
    Renewed {
        /// The device's.
        device_certificate: Vec<u8>,
    },
    /// The session belongs to this user and device from now on.
    LoggedIn {
        /// Who.
        user: UserName,
        /// On which device.
        device: DeviceId,
        /// The server's clock.
        time: Timestamp,
    },
    /// All online users, sorted.
    Users(Vec<UserName>),
    /// The connection is closed after this.
    Goodbye,
    /// The commands, as one line each.
    Help(Vec<String>),
    /// From the next line on.
    Dialect(Dialect),
    /// The message as stored.
    Posted(Message),
    /// A user's account.
    Account(AccountInfo),
    /// My conversations.
    Conversations(Vec<ConversationHead>),
    /// A page of a conversation, oldest first.
    History {
        /// The messages.
        messages: Vec<Message>,
        /// The newest `seq` in the conversation, 0 when it is empty.
        last: Seq,
    },
    /// Signed statements of revocations, in the order of their numbers.
    Revocations {
        /// Compact JWS, as the TTP signed them.
        statements: Vec<String>,
        /// Whether there are others with higher numbers.
        more: bool,
    },
    /// The server heard that the client lives.
    Pong,
}

/// A user's account as the server knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountInfo {
    /// Whose.
    pub user: UserName,
    /// The account certificate, DER.
    pub certificate: Vec<u8>,
    /// Devices that the TTP revoked.
    pub revoked: Vec<RevokedDevice>,
}

/// A device that may not be used any more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RevokedDevice {
    /// Which.
    pub device: DeviceId,
    /// Since when.
    pub time: Timestamp,
    /// The TTP's signed statement of it, a compact JWS. Without it nobody has to believe it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub statement: Option<String>,
}

/// A conversation and how far it goes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConversationHead {
    /// The conversation, as the asking user calls it.
    pub name: Conversation,
    /// The newest `seq` in it.
    pub last: Seq,
}
