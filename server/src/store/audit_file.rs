//! Reads the audit log for an operator, beside a running server and without changing anything.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parlour_protocol::Timestamp;
use rusqlite::{Connection, OpenFlags, params};
use thiserror::Error;

use super::audit::{AUDIT_COLUMNS, AuditRow, End, Ends, hex, removal};
use super::chain::Hash;
use super::migrations;
use crate::audit::Kind;

/// The reasons why the log cannot be read.
#[derive(Debug, Error)]
pub enum AuditFileError {
    /// There is no database.
    #[error("there is no database {0}")]
    Missing(PathBuf),
    /// The database could not be read.
    #[error("cannot read {path}: {reason}")]
    Failed {
        /// The file.
        path: PathBuf,
        /// The database's own message.
        reason: String,
    },
    /// The database was made by another version of this program.
    #[error("{path} is of version {found}, this program reads the audit log of version {known}")]
    Version {
        /// The file.
        path: PathBuf,
        /// The database's version.
        found: usize,
        /// The version that this program knows.
        known: usize,
    },
    /// An entry could not be passed on.
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}

/// The selection of entries: those that match every member that is set.
#[derive(Debug, Default)]
pub struct AuditFilter {
    /// Entries from this moment on.
    pub since: Option<Timestamp>,
    /// Entries about this user.
    pub user: Option<String>,
    /// Entries of this kind.
    pub kind: Option<Kind>,
}

/// The result of checking the chain.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every entry is intact.
    Sound {
        /// The number of entries.
        entries: u64,
        /// The hash of the newest entry, or of the last one removed when none is left.
        newest: Hash,
    },
    /// An entry is not intact; this is the first.
    Broken {
        /// The entry's number.
        number: i64,
        /// The fault found in it.
        fault: Fault,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sound { entries, newest } => write!(f, "{entries} entries, newest hash {}", hex(newest)),
            Self::Broken { number, fault } => write!(f, "entry {number} {fault}"),
        }
    }
}

/// A fault found in an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// It is missing.
    #[error("is missing")]
    Missing,
    /// It, or an entry before it, was changed.
    #[error("does not fit its hash")]
    Changed,
    /// It is in a place where the server has written nothing.
    #[error("was not written by the server")]
    Foreign,
    /// It was removed from the beginning, and no entry records that.
    #[error("was removed, and the log does not say so")]
    Removed,
    /// The record of the log's beginning and end is missing.
    #[error("cannot be checked: the note of where the log begins and ends is missing")]
    NoEnds,
}

/// A database opened for reading its audit log.
pub struct AuditFile {
    connection: Connection,
    path: PathBuf,
}

impl AuditFile {
    /// Opens the database file `path`, which a server may be using.
    pub fn open(path: &Path) -> Result<Self, AuditFileError> {
        if !path.exists() {
            return Err(AuditFileError::Missing(path.to_owned()));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| failed(path, &error))?;
        Self::of(connection, path.to_owned())
    }

    /// The audit log of a database that is open. `path` is for error messages.
    pub(super) fn of(connection: Connection, path: PathBuf) -> Result<Self, AuditFileError> {
        let failed = |error: rusqlite::Error| failed(&path, &error);
        connection.busy_timeout(Duration::from_secs(10)).map_err(failed)?;
        let found = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
        let known = migrations::newest();
        if found != known {
            return Err(AuditFileError::Version { path, found, known });
        }
        Ok(Self { connection, path })
    }

    /// Passes the entries that match `filter` to `visit`, the oldest first.
    pub fn read(
        &self,
        filter: &AuditFilter,
        mut visit: impl FnMut(AuditRow) -> std::io::Result<()>,
    ) -> Result<(), AuditFileError> {
        let failed = |error: rusqlite::Error| failed(&self.path, &error);
        let mut statement = self
            .connection
            .prepare(&format!(
                "SELECT {AUDIT_COLUMNS} FROM audit WHERE (?1 IS NULL OR time >= ?1)
                 AND (?2 IS NULL OR user = ?2) AND (?3 IS NULL OR kind = ?3) ORDER BY number"
            ))
            .map_err(failed)?;
        let since = filter.since.map(Timestamp::as_millis);
        let kind = filter.kind.map(Kind::as_str);
        let rows = statement.query_map(params![since, filter.user, kind], AuditRow::read).map_err(failed)?;
        for row in rows {
            visit(row.map_err(failed)?)?;
        }
        Ok(())
    }

    /// Checks the whole chain.
    pub fn verify(&self) -> Result<Verdict, AuditFileError> {
        self.walk().map_err(|error| failed(&self.path, &error))
    }

    fn walk(&self) -> rusqlite::Result<Verdict> {
        let broken = |number, fault| Ok(Verdict::Broken { number, fault });
        // One snapshot, while the server may keep writing.
        let snapshot = self.connection.unchecked_transaction()?;
        let Some(Ends { removed, newest }) = Ends::load(&snapshot)? else {
            return broken(1, Fault::NoEnds);
        };
        let mut reached = removed;
        let mut said_removed = None;
        let mut statement =
            snapshot.prepare(&format!("SELECT {AUDIT_COLUMNS} FROM audit ORDER BY number"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let expected = reached.number.saturating_add(1);
            let number: i64 = row.get(0)?;
            if number < expected || number > newest.number {
                return broken(number, Fault::Foreign);
            }
            if number > expected {
                return broken(expected, Fault::Missing);
            }
            // A column without the type that it must have was changed.
            let Ok(row) = AuditRow::read(row) else { return broken(number, Fault::Changed) };
            if row.link(&reached.hash) != row.hash {
                return broken(number, Fault::Changed);
            }
            if row.kind == Kind::Retention.as_str() {
                said_removed = Some(row.detail);
            }
            reached = End { number, hash: row.hash };
        }
        if reached.number < newest.number {
            return broken(reached.number.saturating_add(1), Fault::Missing);
        }
        if reached != newest {
            return broken(reached.number, Fault::Changed);
        }
        // The server removes the oldest entries only together with an entry that records it.
        if said_removed != (removed.number > 0).then(|| removal(&removed)) {
            return broken(removed.number.max(1), Fault::Removed);
        }
        let entries = u64::try_from(newest.number.saturating_sub(removed.number)).unwrap_or(0);
        Ok(Verdict::Sound { entries, newest: newest.hash })
    }
}

fn failed(path: &Path, error: &rusqlite::Error) -> AuditFileError {
    AuditFileError::Failed { path: path.to_owned(), reason: error.to_string() }
}
