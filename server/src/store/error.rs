//! Why a store did not do what it was asked: an error for each operation, so that a caller handles what can
//! happen to it and nothing else.

use thiserror::Error;

/// Stored data does not fit its hash: the disk or somebody changed it. Says which data.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("damaged data: {0}")]
pub struct Damaged(pub String);

/// Why nothing was read.
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

/// Why nothing was written. It says nothing against what was to be written: nothing of the same transaction was
/// kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WriteError {
    /// The disk is full or fails.
    #[error("nothing can be stored now")]
    NotWritten,
    /// The backend failed.
    #[error("the store failed: {0}")]
    Failed(String),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// Why an account was not created.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CreateAccountError {
    /// The name belongs to another account.
    #[error("the name belongs to another account")]
    NameTaken,
    /// Nothing was written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why a message was not stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AppendError {
    /// The sender used this id for another message.
    #[error("the message id was used for another message")]
    IdInUse,
    /// The sender has stored as much as an account may.
    #[error("the account has no room for more messages")]
    AccountFull,
    /// The database or its disk is as full as it may be.
    #[error("the store has no room for more messages")]
    Full,
    /// The conversation is damaged where the message belongs.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// Nothing was written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why a revocation was not stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddRevocationError {
    /// Another revocation is stored under this number, unchanged since it was written.
    #[error("another revocation has this number")]
    NumberTaken,
    /// Nothing was written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why entries were not appended to the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AuditError {
    /// The log is damaged, so nothing is appended to it.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// Nothing was written.
    #[error(transparent)]
    Write(#[from] WriteError),
}
