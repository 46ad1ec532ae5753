//! The refusals that a client gets for faults of the server.

use parlour_protocol::Refusal;
use tracing::error;

use crate::store::{AppendError, CreateAccountError, ReadError, WriteError};

/// The refusal for our own fault: the client gets an opaque number, under which the log has the details.
pub(crate) fn internal(error: &dyn std::fmt::Display) -> Refusal {
    let incident = format!("{:08x}", rand::random::<u32>());
    error!(incident, %error, "internal error");
    Refusal::Internal { incident }
}

/// The refusal when the store could not read.
pub(crate) fn read_refusal(error: &ReadError) -> Refusal {
    match error {
        ReadError::Damaged(_) | ReadError::Failed(_) | ReadError::Closed => internal(error),
    }
}

/// The refusal when the store did not append a message.
pub(crate) fn append_refusal(error: &AppendError) -> Refusal {
    match error {
        AppendError::IdInUse => Refusal::IdInUse,
        AppendError::AccountFull => Refusal::AccountFull,
        AppendError::Full => Refusal::NotStored,
        AppendError::Damaged(_) => internal(error),
        AppendError::Write(error) => write_refusal(error),
    }
}

/// The refusal when the store did not create an account.
pub(crate) fn create_account_refusal(error: &CreateAccountError) -> Refusal {
    match error {
        CreateAccountError::NameTaken => Refusal::UserExists,
        CreateAccountError::Write(error) => write_refusal(error),
    }
}

/// The refusal when the store wrote nothing.
pub(crate) fn write_refusal(error: &WriteError) -> Refusal {
    match error {
        // The writer logs it, once for many writes.
        WriteError::NotWritten => Refusal::NotStored,
        WriteError::Failed(_) | WriteError::Closed => internal(error),
    }
}
