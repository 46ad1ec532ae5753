//! The data directory, and the lock that keeps a second server out of it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::operations::startup::StartError;

/// A data directory that this process owns while it lives.
pub struct DataDirectory {
    path: PathBuf,
    lock: File,
}

/// Whether a server uses a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// None does.
    Free,
    /// One does; where it listens, as far as it has said so already: for clients, then for the operator.
    Running(Vec<SocketAddr>),
}

impl DataDirectory {
    /// Makes the directory if it is missing, and takes its lock.
    pub fn open(path: &Path) -> Result<Self, StartError> {
        let unusable = |error: std::io::Error| {
            if error.kind() == ErrorKind::StorageFull {
                return StartError::Full(path.to_owned());
            }
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
            Ok(()) => Ok(Self { path: path.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => Err(StartError::DataInUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// Where the database is.
    pub fn database(&self) -> PathBuf {
        database_in(&self.path)
    }

    /// Removes a directory that was made for nothing. One in which there is something by now stays.
    pub fn remove(self) {
        // While the lock is held, so that it is nobody else's.
        let _ = std::fs::remove_file(self.path.join("lock"));
        let _ = std::fs::remove_dir(&self.path);
    }

    /// Notes in the lock where this server listens, first for clients, for [`usage`]. Done once.
    pub fn note_addresses(&mut self, addresses: &[SocketAddr]) -> Result<(), StartError> {
        let noted = self
            .lock
            .set_len(0)
            .and_then(|()| addresses.iter().try_for_each(|address| writeln!(self.lock, "{address}")));
        noted.map_err(|error| match error.kind() {
            ErrorKind::StorageFull => StartError::Full(self.path.clone()),
            _ => StartError::Data { path: self.path.clone(), reason: error.to_string() },
        })
    }
}

/// Where the database of a data directory is.
pub fn database_in(path: &Path) -> PathBuf {
    path.join("chat.db")
}

/// Whether a server uses this directory right now. Makes nothing.
pub fn usage(path: &Path) -> std::io::Result<Use> {
    let path = path.join("lock");
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Use::Free),
        Err(error) => return Err(error),
    };
    // Shared, so that two who ask do not take each other for a server.
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
    fn a_directory_is_in_use_as_long_as_somebody_owns_it() {
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
