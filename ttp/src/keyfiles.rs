//! Writes files atomically: after a crash either the old or the new file exists, and no byte of it was ever readable
//! to others than its mode says.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The longest file of keys or certificates that is read, in bytes.
const FILE_BYTES: u64 = 65_536;

/// A file or folder that could not be read or written.
#[derive(Debug, Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct KeyFileError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl KeyFileError {
    pub(crate) fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_owned(), source }
    }

    /// Advice for the operator.
    pub fn hint(&self) -> Option<String> {
        match self.source.kind() {
            io::ErrorKind::PermissionDenied => {
                Some("run it as the user who owns the folder of keys".to_owned())
            }
            io::ErrorKind::StorageFull => Some("make room on the disk".to_owned()),
            _ => None,
        }
    }

    /// Returns true if the file does not exist.
    pub fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// Writes a file under a temporary name, makes it durable, and renames it over the old one.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), KeyFileError> {
    replace(path, bytes, mode).map_err(|source| KeyFileError::new("write", path, source))
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(".new");
    let temporary = folder.join(temporary);
    // A process that died here may have left one.
    remove_if_there(&temporary)?;
    let written = create(&temporary, bytes, mode).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_folder(folder)
}

fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    // Set again, because the umask limits the mode given at creation.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // The parent of a bare file name is empty, and means the current folder.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

/// Makes a folder of this mode, or gives an existing one the mode.
pub(crate) fn make_folder(path: &Path, mode: u32) -> Result<(), KeyFileError> {
    let made = match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    };
    made.and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)))
        .map_err(|source| KeyFileError::new("make the folder", path, source))
}

/// Reads a file as text.
pub fn read(path: &Path) -> Result<String, KeyFileError> {
    let text = match fs::metadata(path) {
        Ok(metadata) if metadata.len() > FILE_BYTES => Err(io::Error::from(io::ErrorKind::FileTooLarge)),
        Ok(_) => fs::read_to_string(path),
        Err(error) => Err(error),
    };
    text.map_err(|source| KeyFileError::new("read", path, source))
}

/// Returns true if others than its owner can read a private key's file.
pub(crate) fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_whole_with_its_mode_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        fs::write(folder.path().join(".a.key.new"), "left by a dead process").unwrap();
        write(&path, b"one", 0o644).unwrap();
        assert_eq!((read(&path).unwrap().as_str(), mode(&path)), ("one", 0o644));
        write(&path, b"two", 0o600).unwrap();
        assert_eq!((read(&path).unwrap().as_str(), mode(&path)), ("two", 0o600));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(!is_open_to_others(&path));
    }

    #[test]
    fn a_link_under_the_temporary_name_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        fs::write(&target, "untouched").unwrap();
        std::os::unix::fs::symlink(&target, folder.path().join(".a.key.new")).unwrap();
        write(&folder.path().join("a.key"), b"secret", 0o600).unwrap();
        assert_eq!(read(&target).unwrap(), "untouched");
    }

    #[test]
    fn an_error_in_writing_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing/a.key");
        let error = write(&path, b"", 0o600).unwrap_err();
        assert!(error.is_missing());
        assert!(error.to_string().starts_with(&format!("cannot write {}: ", path.display())));
    }
}
