//! Where accounts, messages and the audit log are kept: the [`Store`] trait, what goes in and what comes
//! out.
//!
//! [`sqlite`] is the backend. Nothing outside of this folder knows which backend runs, or assumes that
//! this process is the only one that uses it.

mod accounts;
mod audit;
mod audit_file;
mod chain;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod damage_tests;
mod health;
mod inspect;
mod migrations;
mod opening;
mod reader;
mod revocations;
mod rows;
pub mod sqlite;
mod survey;
mod tails;
mod writer;

use std::future::Future;
use std::pin::Pin;

use parlour_protocol::authority::Revocation;
use parlour_protocol::{
    Body, ChannelName, Conversation, ConversationHead, HistoryRange, Message, MessageId, RevokedDevice, Seq,
    Timestamp, UserName,
};
use thiserror::Error;
use tokio::sync::mpsc;

pub use self::audit::{AuditRow, Retention, hex};
pub use self::audit_file::{AuditFile, AuditFileError, Fault, Verdict, Wanted};
use crate::audit::Entry;
pub use inspect::inspect;

/// What a [`Store`] promises to deliver later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What became of an append, with what its caller gave along.
pub type Outcome<T> = (T, Result<Appended, StoreError>);

/// Where a store tells outcomes: after each commit all that it made durable, in the order in which
/// messages were stored. The queue holds no more than what callers have under way.
pub type Outcomes<T> = mpsc::UnboundedSender<Vec<Outcome<T>>>;

/// Keeps accounts, messages and the audit log. What it has confirmed is durable. `T` is what a caller of
/// [`append`](Self::append) gives along and finds again in the outcome.
pub trait Store<T>: Send + Sync + 'static {
    /// Takes a name for an account, and appends `entry` to the audit log in the same transaction. The same
    /// account again is no error; then only the entry is new.
    fn create_account(&self, account: Account, entry: Entry) -> Later<'_, ()>;

    /// The account with this name.
    fn account(&self, name: UserName) -> Later<'_, Option<Account>>;

    /// Gives a message the next `seq` of its conversation and keeps it. What is returned resolves when
    /// the message has a place in the queue (a full queue makes the caller wait); the outcome is told
    /// with `waiting` once the message is durable. When the store is closed, `waiting` is dropped.
    fn append(&self, message: NewMessage, waiting: T) -> Later<'_, ()>;

    /// A page of a conversation, oldest first, and its newest `seq`. A conversation in which nothing
    /// was said yet is empty.
    fn history(&self, conversation: ConversationKey, range: HistoryRange, limit: u16) -> Later<'_, Page>;

    /// The conversations that a user is in, with the newest `seq` of each.
    fn conversations(&self, user: UserName) -> Later<'_, Vec<ConversationHead>>;

    /// Keeps a revocation, and appends `entry` to the audit log in the same transaction. The same one
    /// again is no error, and changes nothing. What is kept under its number and was changed since it was written is
    /// put right.
    fn add_revocation(&self, revocation: Revocation, entry: Entry) -> Later<'_, ()>;

    /// All revoked devices of a user.
    fn revoked_devices(&self, user: UserName) -> Later<'_, Vec<RevokedDevice>>;

    /// The number of the newest revocation kept, 0 for none.
    fn newest_revocation(&self) -> Later<'_, u64>;

    /// Appends entries to the audit log, in this order.
    fn audit(&self, entries: Vec<Entry>) -> Later<'_, ()>;
}

/// Why the store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The name belongs to another account.
    #[error("the name belongs to another account")]
    NameTaken,
    /// The sender used this id for another message.
    #[error("the message id was used for another message")]
    IdInUse,
    /// Another revocation is kept under this number, as it was written.
    #[error("another revocation has this number")]
    OtherRevocation,
    /// Kept data does not fit its hash: the disk or somebody changed it.
    #[error("damaged data: {0}")]
    Damaged(String),
    /// The disk is full, or fails: it was not written, and nothing of it is kept.
    #[error("nothing can be stored now")]
    NotWritten,
    /// The backend failed.
    #[error("the store failed: {0}")]
    Failed(String),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// A user's account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Whose.
    pub name: UserName,
    /// The account certificate, DER.
    pub certificate: Vec<u8>,
    /// RFC 7638 thumbprint of the account key, base64url.
    pub kid: String,
    /// When the server first saw it.
    pub created: Timestamp,
}

/// A conversation as everyone calls it, unlike [`Conversation`], which is one user's view.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ConversationKey {
    /// A channel.
    Channel(ChannelName),
    /// The direct conversation of two users, sorted; a user's notes to herself have her name twice.
    Direct(UserName, UserName),
}

impl ConversationKey {
    /// The conversation that `reader` calls `conversation`.
    pub fn seen_by(reader: &UserName, conversation: &Conversation) -> Self {
        match conversation {
            Conversation::Channel(name) => Self::Channel(name.clone()),
            Conversation::Direct(other) if other < reader => Self::Direct(other.clone(), reader.clone()),
            Conversation::Direct(other) => Self::Direct(reader.clone(), other.clone()),
        }
    }

    /// Its name in the store.
    fn stored_name(&self) -> String {
        match self {
            Self::Channel(name) => format!("#{}", name.as_str()),
            Self::Direct(one, two) => format!("@{one}@{two}"),
        }
    }
}

/// A message to be kept.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Where to.
    pub to: Conversation,
    /// Who says it; must have an account.
    pub from: UserName,
    /// The sender's id for it.
    pub id: MessageId,
    /// What is said.
    pub body: Body,
    /// The clock; the message in front of it may push its time later, never earlier.
    pub now: Timestamp,
}

/// A kept message.
#[derive(Clone, Debug)]
pub struct Appended {
    /// As it is kept.
    pub message: Message,
    /// False when it was kept before under the same id: it has been fanned out then.
    pub fresh: bool,
}

/// A part of a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Oldest first.
    pub messages: Vec<Message>,
    /// The newest `seq` of the conversation, 0 when it is empty.
    pub last: Seq,
}
