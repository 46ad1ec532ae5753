//! Whether what a database was told to keep is on the disk, and what a failure to put it there means.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rusqlite::{Connection, ErrorCode, ffi};

/// Pages in SQLite's log from which they are copied into the database.
const LONG: i32 = 1_000;

/// So many pages later it is tried again, when it came to nothing or others still read what would go.
const LATER: i32 = 250;

/// Why something was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFault {
    /// No space is left. What was written before is whole, and it works again when there is some.
    Full,
    /// The system could not say that it is on the disk. From then on nobody knows what of the files is there and
    /// what is in memory alone: a second attempt may be confirmed although the first was lost for good. So
    /// nothing more may be confirmed before the files were read and written anew, which the next start does.
    Unsynced,
    /// Anything else. What was written before is whole; another attempt may work.
    Other,
}

impl WriteFault {
    /// What this failure of SQLite means; `None` when neither the disk nor the files on it are the reason.
    pub fn of(error: &rusqlite::Error) -> Option<Self> {
        let ffi::Error { code, extended_code } = error.sqlite_error()?;
        Some(match (code, *extended_code) {
            (_, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) => Self::Unsynced,
            // The latter: the file that readers and writers share could not be made longer.
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

/// What an operator reads of a failure on a file in this folder.
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

/// Copies SQLite's log into its database when it is long, as SQLite itself would; but when that fails, somebody
/// hears of it.
#[derive(Debug)]
pub struct LogCopier {
    pages: Arc<AtomicI32>,
    due: i32,
}

impl LogCopier {
    /// Takes over the copying on this connection, whose [`after_commit`](Self::after_commit) must be called then.
    pub fn take_over(connection: &mut Connection) -> rusqlite::Result<Self> {
        let pages = Arc::new(AtomicI32::new(0));
        let counted = Arc::clone(&pages);
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            counted.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self { pages, due: LONG })
    }

    /// Copies, if the log is long. A failure takes nothing back of what was committed.
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

/// Copies SQLite's log into its database, as far as nobody reads what would go, and has it on the disk when this
/// returns.
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
        // Each of these rows takes a page and more.
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
    fn a_full_disk_is_told_by_the_folder_that_is_full() {
        let full = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
        assert_eq!(write_fault_text(&full, Path::new("data/chat.db")), "no space left on data");
        assert_eq!(write_fault_text(&full, Path::new("chat.db")), "no space left on .");
        let lost = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), None);
        assert_eq!(WriteFault::of(&lost), Some(WriteFault::Unsynced));
        assert_eq!(WriteFault::of(&rusqlite::Error::QueryReturnedNoRows), None);
    }
}
