//! The refusals that a client hears when the fault is ours.

use parlour_protocol::Refusal;
use tracing::error;

use crate::store::StoreError;

/// Our own fault: the client gets an opaque number, under which the log says more.
pub(crate) fn internal(error: &dyn std::fmt::Display) -> Refusal {
    let incident = format!("{:08x}", rand::random::<u32>());
    error!(incident, %error, "internal error");
    Refusal::Internal { incident }
}

/// The refusal that a client hears when the store failed.
pub(crate) fn store_refusal(error: &StoreError) -> Refusal {
    match error {
        StoreError::NameTaken => Refusal::UserExists,
        StoreError::IdInUse => Refusal::IdInUse,
        StoreError::AccountFull => Refusal::AccountFull,
        // The writer tells the log, once for many.
        StoreError::Full | StoreError::NotWritten => Refusal::NotStored,
        StoreError::OtherRevocation | StoreError::Damaged(_) | StoreError::Failed(_) | StoreError::Closed => {
            internal(error)
        }
    }
}
