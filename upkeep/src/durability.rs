//! Failures to put committed data on the disk, and their meaning.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rusqlite::{Connection, ErrorCode, ffi};

/// Pages in SQLite's write-ahead log from which they are copied into the database.
const LONG: i32 = 1_000;

/// After an attempt that failed, or that readers held up, the next one comes this many pages later.
const LATER: i32 = 250;

/// The reasons why data was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFault {
    /// No space is left. Everything written before is intact, and writing works again once there is space.
    Full,
    /// The system could not confirm that data is on the disk. From then on it is unknown which data is in the
    /// files and which is in memory only: a second attempt may be confirmed although the first was lost for good.
    /// So nothing more may be confirmed until the files were read and written again, which the next start does.
    Unsynced,
    /// Anything else. Everything written before is intact; another attempt may succeed.
    Other,
}

impl WriteFault {
    /// Classifies an error of SQLite; `None` when neither the disk nor the files on it are the reason.
    pub fn of(error: &rusqlite::Error) -> Option<Self> {
        let ffi::Error { code, extended_code } = error.sqlite_error()?;
        Some(match (code, *extended_code) {
            (_, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) => Self::Unsynced,
            // The latter means that the file shared by readers and writers could not grow.
            (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => Self::Full,
            (
                ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked,
                _,
            ) => Self::Other,
            _ => return None,
        })
    }
}

/// Describes a failure on this file to the operator.
pub fn write_fault_text(error: &rusqlite::Error, file: &Path) -> String {
    match WriteFault::of(error) {
        Some(WriteFault::Full) => {
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
            format!("no space left on {}", folder.unwrap_or_else(|| Path::new(".")).display())
        }
        Some(WriteFault::Unsynced) => format!("the disk does not keep what is written to {}", file.display()),
        Some(WriteFault::Other) | None => format!("{}: {error}", file.display()),
    }
}

/// Copies SQLite's write-ahead log into the database when it is long, as SQLite would do by itself, but reports
/// failures, which SQLite ignores.
#[derive(Debug)]
pub struct LogCopier {
    pages: Arc<AtomicI32>,
    due: i32,
}

impl LogCopier {
    /// Takes over the copying on this connection. Call [`after_commit`](Self::after_commit) after each commit from
    /// then on.
    pub fn take_over(connection: &mut Connection) -> rusqlite::Result<Self> {
        let pages = Arc::new(AtomicI32::new(0));
        let counted = Arc::clone(&pages);
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            counted.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self { pages, due: LONG })
    }

    /// Copies the log if it is long. A failure does not undo anything that was committed.
    pub fn after_commit(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < LONG {
            self.due = LONG;
        }
        if pages < self.due {
            return Ok(());
        }
        self.due = pages.saturating_add(LATER);
        copy_log(connection)
    }
}

/// Copies SQLite's write-ahead log into the database, as far as readers allow. What was copied is on the disk when
/// this returns.
pub fn copy_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_is_copied_and_a_short_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = Connection::open(folder.path().join("a.db")).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        let mut copier = LogCopier::take_over(&mut connection).unwrap();
        connection.execute_batch("CREATE TABLE a (x)").unwrap();
        let size = || std::fs::metadata(folder.path().join("a.db")).unwrap().len();
        copier.after_commit(&connection).unwrap();
        let empty = size();
        // Each of these rows takes more than a page.
        for _ in 0..LONG {
            connection.execute("INSERT INTO a VALUES (zeroblob(4096))", []).unwrap();
            copier.after_commit(&connection).unwrap();
        }
        assert!(size() > empty);
        let log = std::fs::metadata(folder.path().join("a.db-wal")).unwrap().len();
        connection.execute("INSERT INTO a VALUES (zeroblob(4096))", []).unwrap();
        assert_eq!(std::fs::metadata(folder.path().join("a.db-wal")).unwrap().len(), log, "begun anew");
    }

    #[test]
    fn a_full_disk_is_reported_with_its_folder() {
        let full = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
        assert_eq!(write_fault_text(&full, Path::new("data/chat.db")), "no space left on data");
        assert_eq!(write_fault_text(&full, Path::new("chat.db")), "no space left on .");
        let lost = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), None);
        assert_eq!(WriteFault::of(&lost), Some(WriteFault::Unsynced));
        assert_eq!(WriteFault::of(&rusqlite::Error::QueryReturnedNoRows), None);
    }
}
