//! Failures inside the store, before they become the errors that its callers see.

use super::Damaged;

/// The reasons why a step failed. This keeps the refusal of one request apart from a failure of the database,
/// which ends the whole transaction.
#[derive(Debug)]
pub(super) enum Failure<E> {
    /// This request alone is refused; the rest of the transaction stands.
    Refused(E),
    /// The database failed.
    Database(rusqlite::Error),
}

impl<E> From<rusqlite::Error> for Failure<E> {
    fn from(failure: rusqlite::Error) -> Self {
        Self::Database(failure)
    }
}

impl<E: From<Damaged>> From<Damaged> for Failure<E> {
    fn from(damaged: Damaged) -> Self {
        Self::Refused(damaged.into())
    }
}
