//! The data directory, and the lock that keeps a second server out of it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a data directory cannot be taken or written to.
#[derive(Debug, Error)]
pub enum DataError {
    /// The directory cannot be used.
    #[error("data directory {path}: {reason}")]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// There is no room in the directory.
    #[error("no space left on {0}")]
    Full(PathBuf),
    /// Another server uses the directory.
    #[error("data directory {0} is in use by another server")]
    InUse(PathBuf),
}

impl DataError {
    /// Advice for the operator.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unusable { .. } => "choose a directory that this user may write, with --data",
            Self::Full(_) => FULL,
            Self::InUse(_) => "stop the other server, or give this one a directory of its own with --data",
        }
    }
}

/// Advice about a full disk.
pub(super) const FULL: &str = "free some space there, or choose another directory with --data";

/// A data directory that this process owns while it lives.
pub struct DataDirectory {
    path: PathBuf,
    lock: File,
}

/// The use of a data directory by a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// No server uses it.
    Free,
    /// A server uses it and listens on these addresses, for clients first, then for the operator. There are none while
    /// it is still starting.
    Running(Vec<SocketAddr>),
}

impl DataDirectory {
    /// Creates the directory if it is missing, and takes its lock.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let unusable = |error: std::io::Error| {
            if error.kind() == ErrorKind::StorageFull {
                return DataError::Full(path.to_owned());
            }
            let reason = match error.kind() {
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                    format!("cannot be written: {error}")
                }
                _ => error.to_string(),
            };
            DataError::Unusable { path: path.to_owned(), reason }
        };
        std::fs::create_dir_all(path).map_err(unusable)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => Err(DataError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// The path of the database.
    pub fn database(&self) -> PathBuf {
        database_in(&self.path)
    }

    /// Removes a directory that was created in vain. If there is something else in it, it stays.
    pub fn remove(self) {
        // Done while the lock is held, so that no other server can have taken it.
        let _ = std::fs::remove_file(self.path.join("lock"));
        let _ = std::fs::remove_dir(&self.path);
    }

    /// Notes the addresses of this server in the lock file, the one for clients first, for [`usage`]. Call it once.
    pub fn note_addresses(&mut self, addresses: &[SocketAddr]) -> Result<(), DataError> {
        let noted = self
            .lock
            .set_len(0)
            .and_then(|()| addresses.iter().try_for_each(|address| writeln!(self.lock, "{address}")));
        noted.map_err(|error| match error.kind() {
            ErrorKind::StorageFull => DataError::Full(self.path.clone()),
            _ => DataError::Unusable { path: self.path.clone(), reason: error.to_string() },
        })
    }
}

/// The path of the database in a data directory.
pub fn database_in(path: &Path) -> PathBuf {
    path.join("chat.db")
}

/// Finds out if a server uses this directory right now. Changes nothing.
pub fn usage(path: &Path) -> std::io::Result<Use> {
    let path = path.join("lock");
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Use::Free),
        Err(error) => return Err(error),
    };
    // Shared, so that two checks do not mistake each other for a server.
    match lock.try_lock_shared() {
        Ok(()) => Ok(Use::Free),
        Err(TryLockError::WouldBlock) => {
            let noted = std::fs::read_to_string(path)?;
            Ok(Use::Running(noted.lines().filter_map(|line| line.parse().ok()).collect()))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_in_use_as_long_as_its_lock_is_held() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(usage(folder.path()).unwrap(), Use::Free);
        let mut data = DataDirectory::open(folder.path()).unwrap();
        assert_eq!(usage(folder.path()).unwrap(), Use::Running(Vec::new()));
        let addresses = ["127.0.0.1:7275", "[::1]:9275"].map(|address| address.parse().unwrap());
        data.note_addresses(&addresses).unwrap();
        assert_eq!(usage(folder.path()).unwrap(), Use::Running(addresses.to_vec()));
        drop(data);
        assert_eq!(usage(folder.path()).unwrap(), Use::Free);
    }
}
