//! The errors of a store: one type for each operation, so that a caller handles only what can happen to it.

use thiserror::Error;

/// Stored data does not match its hash: a failing disk or a person changed it. The text names the data.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("damaged data: {0}")]
pub struct Damaged(pub String);

/// The reasons why a read failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// The data is damaged, so it is not served.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// The backend failed.
    #[error("the store failed: {0}")]
    Failed(String),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// The reasons why a write failed. The value to be written is not at fault, and nothing of the same transaction
/// was stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WriteError {
    /// The disk is full or failing.
    #[error("nothing can be stored now")]
    NotWritten,
    /// The backend failed.
    #[error("the store failed: {0}")]
    Failed(String),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// The reasons why an account was not created.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CreateAccountError {
    /// The name belongs to another account.
    #[error("the name belongs to another account")]
    NameTaken,
    /// Nothing was written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The reasons why a message was not stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AppendError {
    /// The sender used this id for another message.
    #[error("the message id was used for another message")]
    IdInUse,
    /// The sender's messages use all the space that an account may have.
    #[error("the account has no room for more messages")]
    AccountFull,
    /// The database or its disk has reached its limit.
    #[error("the store has no room for more messages")]
    Full,
    /// The conversation is damaged where the message belongs.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// Nothing was written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The reasons why a revocation was not stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddRevocationError {
    /// Another revocation is stored under this number, unchanged since it was written.
    #[error("another revocation has this number")]
    NumberTaken,
    /// Nothing was written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The reasons why entries were not appended to the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AuditError {
    /// The log is damaged, so nothing is appended to it.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// Nothing was written.
    #[error(transparent)]
    Write(#[from] WriteError),
}
