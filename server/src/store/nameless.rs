//! A database in a file without a name: no other process can open it, and nothing of it is left when this process ends,
//! however it ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};

use parlour_upkeep::Inspection;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::audit_file::{AuditFile, AuditFileError};
use super::inspect::inspect_open;

/// The place of the format's versions in a database's header, and the version of one without a write-ahead log (SQLite's
/// file format, 1.3.3). Such a log is a file beside the database, by name.
const FORMAT: (u64, [u8; 2]) = (18, [1, 1]);

/// A database whose contents are written once, and then read.
pub struct NamelessDatabase {
    contents: File,
    connection: Connection,
}

impl NamelessDatabase {
    /// Makes an empty file in the system's folder for temporary files.
    pub fn new() -> io::Result<Self> {
        let folder = TempDir::with_prefix("parlour-")?;
        let path = folder.path().join("chat.db");
        let contents = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(io::Error::other)?;
        // The name goes before there are any contents: a process that is killed cannot clean up.
        folder.close()?;
        Ok(Self { contents, connection })
    }

    /// Has the contents written.
    pub fn fill<T, E: From<io::Error>>(
        &mut self,
        write: impl FnOnce(&mut File) -> Result<T, E>,
    ) -> Result<T, E> {
        let written = write(&mut self.contents)?;
        let (place, versions) = FORMAT;
        self.contents.write_all_at(&versions, place)?;
        Ok(written)
    }

    /// Summarizes the contents and lists the damage, as [`inspect`](super::inspect()) does for a file with a name.
    pub fn inspect(&self) -> Result<Inspection, String> {
        inspect_open(&self.connection, None)
    }

    /// The audit log in it.
    pub fn audit(self) -> Result<AuditFile, AuditFileError> {
        AuditFile::of(self.connection, "chat.db".into())
    }
}
