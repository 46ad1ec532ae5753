//! The lock by which one client process owns a profile.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::ProfileError;

/// Ownership of a profile until this is dropped. The system releases it when the process ends, however that happens.
#[derive(Debug)]
pub struct ProfileLock {
    _file: File,
}

impl ProfileLock {
    /// Takes the lock of the profile in `folder`, which must exist.
    pub fn take(folder: &Path) -> Result<Self, ProfileError> {
        let path = folder.join("lock");
        let wrong =
            |error: std::io::Error| ProfileError::File { path: path.clone(), reason: error.to_string() };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(wrong)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(ProfileError::InUse),
            Err(TryLockError::Error(error)) => Err(wrong(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_has_one_owner_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = ProfileLock::take(folder.path()).unwrap();
        assert!(matches!(ProfileLock::take(folder.path()), Err(ProfileError::InUse)));
        drop(first);
        assert!(ProfileLock::take(folder.path()).is_ok());
    }
}
