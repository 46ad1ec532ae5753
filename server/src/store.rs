//! Stores accounts, messages, revocations and the audit log: the [`Store`] trait and its types.
//!
//! - [`sqlite`] is the backend. Nothing outside this folder knows which backend runs, or assumes that this process
//!   is the only one that uses it.
//! - `opening` checks a database (`survey`) and brings it up to date (`migrations`). `writer` is the one thread that
//!   writes: messages (`append`, at the `tail` of their conversation, if there is `room`), `accounts`, `revocations`
//!   and the audit log (`audit`). `reader` reads.
//! - `chain` has the hashes that reveal changed rows. [`inspect()`] checks a whole database with them, and
//!   [`AuditFile`] the audit log; a [`NamelessDatabase`] is for contents that nobody else may reach.
//! - `error` has an error for each operation.

mod accounts;
mod append;
mod audit;
mod audit_file;
mod chain;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod damage_tests;
mod error;
mod failure;
mod health;
mod inspect;
mod memory;
mod migrations;
mod nameless;
mod opening;
mod outcomes;
mod reader;
mod revocations;
mod room;
mod rows;
pub mod sqlite;
mod survey;
mod tail;
mod writer;

use std::future::Future;
use std::pin::Pin;

use parlour_protocol::ttp::Revocation;
use parlour_protocol::{
    Body, ChannelName, Conversation, ConversationHead, HistoryRange, Message, MessageId, RevokedDevice, Seq,
    Timestamp, UserName,
};

pub use self::audit::{AuditRow, Retention, hex};
pub use self::audit_file::{AuditFile, AuditFileError, AuditFilter, Fault, Verdict};
pub use self::error::{
    AddRevocationError, AppendError, AuditError, CreateAccountError, Damaged, ReadError, WriteError,
};
use self::failure::Failure;
pub use self::inspect::inspect;
pub use self::nameless::NamelessDatabase;
pub use self::outcomes::{Batch, OutcomeQueue, Outcomes, outcome_queue};
pub use self::room::Bounds;
use crate::audit::Entry;

/// The result of an operation of a [`Store`], to be awaited.
pub type Later<'a, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

/// The outcome of an append, with the value that its caller passed along.
pub type Outcome<T> = (T, Result<Appended, AppendError>);

/// Stores accounts, messages, revocations and the audit log. Confirmed writes are durable. `T` is a value that a
/// caller of [`append`](Self::append) passes along and gets back with the outcome.
pub trait Store<T>: Send + Sync + 'static {
    /// Creates an account, and appends `entry` to the audit log in the same transaction. Creating the same account
    /// again is no error, and only appends the entry.
    fn create_account(&self, account: Account, entry: Entry) -> Later<'_, (), CreateAccountError>;

    /// Finds the account with this name.
    fn account(&self, name: UserName) -> Later<'_, Option<Account>, ReadError>;

    /// Gives a message the next `seq` of its conversation and stores it. The returned future resolves when the message
    /// has a place in the queue; a full queue makes the caller wait. The outcome is sent with `waiting` once the
    /// message is durable. When the store is closed, `waiting` is dropped.
    ///
    /// A message that the sender has stored before under the same id is not stored again. Its outcome is the first
    /// one, unless another message has that id.
    fn append(&self, message: NewMessage, waiting: T) -> Later<'_, (), WriteError>;

    /// Reads a page of at most `limit` messages of a conversation. A conversation without messages gives an empty
    /// page.
    fn history(
        &self,
        conversation: ConversationKey,
        range: HistoryRange,
        limit: u16,
    ) -> Later<'_, Page, ReadError>;

    /// Lists the lobby and the direct conversations of a user, with the newest `seq` of each.
    fn conversations(&self, user: UserName) -> Later<'_, Vec<ConversationHead>, ReadError>;

    /// Stores a revocation, and appends `entry` to the audit log in the same transaction. Adding the same one again is
    /// no error, and at most replaces the kept statement. A damaged row under its number is replaced.
    fn add_revocation(&self, revocation: Revocation, entry: Entry) -> Later<'_, (), AddRevocationError>;

    /// Lists the revoked devices of a user.
    fn revoked_devices(&self, user: UserName) -> Later<'_, Vec<RevokedDevice>, ReadError>;

    /// Lists the signed statements of revocations with a number above `after`, as many as go into one reply.
    fn statements(&self, after: u64) -> Later<'_, Statements, ReadError>;

    /// The number of the newest revocation, 0 for none.
    fn newest_revocation(&self) -> Later<'_, u64, ReadError>;

    /// Appends entries to the audit log, in this order.
    fn audit(&self, entries: Vec<Entry>) -> Later<'_, (), AuditError>;

    /// Makes a durable write that changes nothing, in turn with all others.
    fn probe(&self) -> Later<'_, (), WriteError>;

    /// The number of writes that wait for their turn.
    fn waiting(&self) -> usize;
}

/// Signed statements of revocations, in the order of their numbers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Statements {
    /// Compact JWS, as the TTP signed them.
    pub statements: Vec<String>,
    /// True if there are statements with higher numbers.
    pub more: bool,
}

/// A user's account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// The name, which belongs to this account forever.
    pub name: UserName,
    /// The account certificate, DER.
    pub certificate: Vec<u8>,
    /// RFC 7638 thumbprint of the account key, base64url.
    pub kid: String,
    /// The time of registration on this server.
    pub created: Timestamp,
}

/// A conversation under one name for everyone, unlike [`Conversation`], which is one user's view.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ConversationKey {
    /// A channel.
    Channel(ChannelName),
    /// The direct conversation of two users, whose names are sorted. A user's notes to herself have her name twice.
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

    /// The conversation's name in the store.
    fn stored_name(&self) -> String {
        match self {
            Self::Channel(name) => format!("#{}", name.as_str()),
            Self::Direct(one, two) => format!("@{one}@{two}"),
        }
    }
}

/// A message to be stored.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// The conversation as the sender names it.
    pub to: Conversation,
    /// The sender, who must have an account.
    pub from: UserName,
    /// The sender's id for the message.
    pub id: MessageId,
    /// The text, or the sealed message.
    pub body: Body,
    /// The time by the server's clock. The message gets this time, or that of the message before it if that one is
    /// later.
    pub now: Timestamp,
}

/// A stored message.
#[derive(Clone, Debug)]
pub struct Appended {
    /// The message as it is stored.
    pub message: Message,
    /// False when it had been stored, and therefore delivered, before under the same id.
    pub fresh: bool,
}

/// A part of a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// The messages, oldest first.
    pub messages: Vec<Message>,
    /// The newest `seq` of the conversation; 0 when it is empty.
    pub last: Seq,
}
