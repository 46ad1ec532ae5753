//! A database in a file without a name: no other process can open it, and nothing of it is left when this process ends,
//! however it ends. Only its folder, which is empty, may stay.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};

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
    /// Kept as long as the connection: SQLite applies a log or journal that it finds beside the file, by name, and
    /// anyone could make a folder of this name once it is gone.
    folder: TempDir,
}

impl NamelessDatabase {
    /// Makes an empty file in the system's folder for temporary files.
    pub fn new() -> io::Result<Self> {
        let alone = Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("parlour-").permissions(alone).tempdir()?;
        let path = folder.path().join("chat.db");
        let contents = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(io::Error::other)?;
        // The name goes before there are any contents: a process that is killed cannot clean up.
        std::fs::remove_file(&path)?;
        Ok(Self { contents, connection, folder })
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

    /// Has the audit log in it looked at.
    pub fn audit<T>(self, look: impl FnOnce(Result<AuditFile, AuditFileError>) -> T) -> T {
        let Self { connection, folder, .. } = self;
        let seen = look(AuditFile::of(connection, "chat.db".into()));
        drop(folder);
        seen
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::path::Path;

    use super::*;

    /// A database that has a log while it is open.
    fn database(folder: &Path) -> Connection {
        let connection = Connection::open(folder.join("chat.db")).unwrap();
        let contents = "PRAGMA journal_mode=WAL; CREATE TABLE t (word); INSERT INTO t VALUES ('good')";
        connection.execute_batch(contents).unwrap();
        connection
    }

    fn word(database: &NamelessDatabase) -> String {
        database.connection.query_row("SELECT word FROM t", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn nobody_can_put_a_log_beside_it_while_it_is_read() {
        let good = tempfile::tempdir().unwrap();
        database(good.path()).close().unwrap();
        let mut nameless = NamelessDatabase::new().unwrap();
        let path = nameless.folder.path().to_owned();
        // Anyone can make one in the system's folder for temporary files, once there is none.
        assert_eq!(fs::create_dir(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        let contents = fs::read(good.path().join("chat.db")).unwrap();
        nameless.fill(|file| file.write_all(&contents)).unwrap();
        assert_eq!(word(&nameless), "good");
        let was_there = nameless.audit(|_| path.exists());
        assert!(was_there && !path.exists());
    }
}
