//! Why the local history could not be read or written.

use thiserror::Error;

use crate::failure::{Explain, Explanation, Kind};
use crate::profile::ProfileError;

/// The hint for a local history that does not open.
pub(super) const DAMAGED: &str = "move local.db, local.db-wal and local.db-shm away from the folder of your keys and log in \
    again: the server has your messages; known account keys are learnt anew, and messages that waited to be sent \
    are only in the old file";

/// Why the local history could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordsError {
    /// It could not be used, for a reason of its own.
    #[error("the local history: {0}")]
    Unusable(String),
    /// The disk of this machine does not take it.
    #[error("the local history cannot be written: {0}")]
    Disk(String),
    /// It was damaged on the disk.
    #[error("the local history, local.db, is damaged: {0}")]
    Damaged(String),
    /// Its key could not be used.
    #[error(transparent)]
    Key(#[from] ProfileError),
}

impl Explain for RecordsError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Unusable(_) => Explanation::new("records", Kind::Broken),
            Self::Disk(_) => Explanation::new("disk", Kind::Broken)
                .hint("free some space where the folder of keys is; messages on the server are not lost"),
            Self::Damaged(_) => Explanation::new("damaged", Kind::Broken).hint(DAMAGED),
            Self::Key(error) => error.explain(),
        }
    }
}
