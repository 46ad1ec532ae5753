//! The data directory, and the lock that keeps a second server out of it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::startup::StartError;

/// A data directory that this process owns while it lives.
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Makes the directory if it is missing, and takes its lock.
    pub fn open(path: &Path) -> Result<Self, StartError> {
        let unusable = |error: std::io::Error| {
            let reason = match error.kind() {
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                    format!("cannot be written: {error}")
                }
                _ => error.to_string(),
            };
            StartError::Data { path: path.to_owned(), reason }
        };
        std::fs::create_dir_all(path).map_err(unusable)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StartError::DataInUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// Where the database is.
    pub fn database(&self) -> PathBuf {
        self.path.join("chat.db")
    }
}
