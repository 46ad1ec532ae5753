//! A consistent copy of a database that is in use.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

/// The longest wait for a lock that another process holds briefly.
const BUSY: Duration = Duration::from_secs(10);

/// The reasons why a copy cannot be made.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum SnapshotError {
    /// The database does not exist.
    #[error("there is no database {}", .0.display())]
    Missing(PathBuf),
    /// The system does not say if the database exists.
    #[error("cannot look at {}: {source}", path.display())]
    Hidden { path: PathBuf, source: io::Error },
    /// Another backup of it is being made right now.
    #[error("another backup of {} is under way", .0.display())]
    UnderWay(PathBuf),
    /// A file cannot be created.
    #[error("cannot write {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// SQLite could not copy.
    #[error("cannot copy {}: {reason}", path.display())]
    Copy { path: PathBuf, reason: String },
}

impl SnapshotError {
    /// Advice for the operator.
    pub fn hint(&self) -> String {
        match self {
            Self::Missing(_) => "name the folder in which the database is".to_owned(),
            Self::UnderWay(_) => "wait until it has ended".to_owned(),
            Self::Hidden { .. } | Self::File { .. } | Self::Copy { .. } => {
                "run it as the program's user, with room for a copy beside the database".to_owned()
            }
        }
    }
}

/// The copy, readable by its owner alone and removed when this is dropped.
///
/// It lies beside the database, not beside the future backup: that place may be on another disk or machine, which
/// must see only encrypted data.
#[derive(Debug)]
pub struct Snapshot {
    folder: PathBuf,
    path: PathBuf,
    _lock: File,
}

impl Snapshot {
    /// Copies a database, which others may write to meanwhile.
    pub fn take(database: &Path) -> Result<Self, SnapshotError> {
        match database.try_exists() {
            Ok(true) => {}
            Ok(false) => return Err(SnapshotError::Missing(database.to_owned())),
            Err(source) => return Err(SnapshotError::Hidden { path: database.to_owned(), source }),
        }
        let lock = lock(database)?;
        // A folder, because SQLite may make files beside the copy when it is read.
        let folder = database.with_file_name(".snapshot");
        let unwritable = |source| SnapshotError::File { path: folder.clone(), source };
        // An earlier process that died here may have left one.
        remove(&folder).map_err(unwritable)?;
        DirBuilder::new().mode(0o700).create(&folder).map_err(unwritable)?;
        let snapshot = Self { path: folder.join("copy.db"), folder, _lock: lock };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&snapshot.path);
        file.map_err(|source| SnapshotError::File { path: snapshot.path.clone(), source })?;
        copy(database, &snapshot.path)
            .map_err(|reason| SnapshotError::Copy { path: database.to_owned(), reason })?;
        Ok(snapshot)
    }

    /// The path of the copy.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // If this fails, the next backup removes it.
        let _ = remove(&self.folder);
    }
}

fn lock(database: &Path) -> Result<File, SnapshotError> {
    let path = database.with_file_name("backup.lock");
    let unwritable = |source| SnapshotError::File { path: path.clone(), source };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SnapshotError::UnderWay(database.to_owned())),
        Err(TryLockError::Error(source)) => Err(unwritable(source)),
    }
}

fn copy(database: &Path, copy: &Path) -> Result<(), String> {
    let text = |error: rusqlite::Error| error.to_string();
    let source = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(text)?;
    source.busy_timeout(BUSY).map_err(text)?;
    let mut target = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(text)?;
    // A copy that failed is removed as a whole, so SQLite needs no journal for it.
    target.pragma_update(None, "journal_mode", "OFF").map_err(text)?;
    target.pragma_update(None, "synchronous", "OFF").map_err(text)?;
    let backup = Backup::new(&source, &mut target).map_err(text)?;
    // All pages in one step, under one snapshot: a copy in several steps starts again whenever somebody writes in
    // between, and would never end under load.
    match backup.step(-1).map_err(text)? {
        StepResult::Done => Ok(()),
        other => Err(format!("the database is in use: {other:?}")),
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_copy_shows_one_moment_is_its_owners_alone_and_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let database = Connection::open(&path).unwrap();
        database.pragma_update(None, "journal_mode", "WAL").unwrap();
        database.execute_batch("CREATE TABLE a (x); INSERT INTO a VALUES (1)").unwrap();
        let snapshot = Snapshot::take(&path).unwrap();
        assert!(matches!(Snapshot::take(&path), Err(SnapshotError::UnderWay(_))));
        database.execute_batch("INSERT INTO a VALUES (2)").unwrap();
        let mode = fs::metadata(snapshot.path()).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let copy = Connection::open(snapshot.path()).unwrap();
        let count: u64 = copy.query_row("SELECT count(*) FROM a", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 1);
        drop(copy);
        drop(snapshot);
        assert!(!folder.path().join(".snapshot").exists());
    }

    #[test]
    fn a_missing_database_is_not_created() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Snapshot::take(&folder.path().join("a.db")), Err(SnapshotError::Missing(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
