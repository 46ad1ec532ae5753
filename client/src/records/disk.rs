//! Working while the disk refuses writes: the records, with everything new, are kept in memory until the disk takes
//! them again. Only new outgoing messages are not accepted meanwhile.

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, ffi};

use super::Records;
use super::RecordsError;

/// The records' file, while they are in memory instead.
pub(super) struct Left {
    disk: Connection,
    reason: String,
}

/// The meaning of an SQLite failure for the records.
// Takes the error whole, as `map_err` hands it.
#[allow(clippy::needless_pass_by_value)]
pub(super) fn sqlite(error: rusqlite::Error) -> RecordsError {
    // The second code: the file that processes share to use the database could not grow.
    let is_full = error.sqlite_error().is_some_and(|error| {
        error.code == ErrorCode::DiskFull || error.extended_code == ffi::SQLITE_IOERR_SHMSIZE
    });
    match error.sqlite_error_code() {
        Some(_) if is_full => RecordsError::Disk("no space left on this machine".to_owned()),
        Some(ErrorCode::SystemIoFailure | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            RecordsError::Disk(error.to_string())
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            RecordsError::Damaged(error.to_string())
        }
        _ => RecordsError::Unusable(error.to_string()),
    }
}

impl Records {
    /// The reason why the records are in memory only, if they are.
    pub fn off_disk(&self) -> Option<&str> {
        self.left.as_ref().map(|left| left.reason.as_str())
    }

    /// Writes to the disk, or into memory if the disk does not take it.
    pub(super) fn write<T>(
        &mut self,
        act: impl Fn(&Self) -> Result<T, RecordsError>,
    ) -> Result<T, RecordsError> {
        match act(self) {
            Err(RecordsError::Disk(reason)) if self.left.is_none() => {
                self.leave_disk(reason)?;
                act(self)
            }
            outcome => outcome,
        }
    }

    fn leave_disk(&mut self, reason: String) -> Result<(), RecordsError> {
        let mut memory = Connection::open_in_memory().map_err(sqlite)?;
        copy(&self.connection, &mut memory)?;
        let disk = std::mem::replace(&mut self.connection, memory);
        self.left = Some(Left { disk, reason });
        Ok(())
    }

    /// Writes records that are in memory only to the disk, if the disk takes them.
    pub fn return_to_disk(&mut self) -> Result<(), RecordsError> {
        let Some(left) = &mut self.left else { return Ok(()) };
        copy(&self.connection, &mut left.disk)?;
        if let Some(Left { disk, .. }) = self.left.take() {
            self.connection = disk;
        }
        Ok(())
    }
}

/// Copies all of one database over another, or nothing.
fn copy(from: &Connection, to: &mut Connection) -> Result<(), RecordsError> {
    let backup = Backup::new(from, to).map_err(sqlite)?;
    match backup.step(-1).map_err(sqlite)? {
        StepResult::Done => Ok(()),
        _ => Err(RecordsError::Disk("the local history is in use".to_owned())),
    }
}
