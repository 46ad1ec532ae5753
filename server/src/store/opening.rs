//! Opens a database: checks it, updates its schema, and makes sure that it is on the disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use parlour_upkeep::{WriteFault, copy_log};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use thiserror::Error;
use tracing::{error, info};

use super::migrations::{self, MigrationError, migrate};
use super::survey::Survey;
use super::writer::Writer;
use super::{Bounds, Outcomes, revocations};
use crate::metrics::Commits;

/// The reasons why the database was not opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Made by a newer version of this program.
    #[error("{path} is of version {found}, this program knows versions up to {known}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: usize,
        /// The newest known here.
        known: usize,
    },
    /// The disk is full.
    #[error("no space left on {0}")]
    Full(PathBuf),
    /// The file is empty, which a database never is.
    #[error("{0} is empty: it is no database")]
    Empty(PathBuf),
    /// The database is missing but its log exists, and a new database would remove that.
    #[error("{path} is missing, and its log {path}-wal is there", path = .0.display())]
    Missing(PathBuf),
    /// The database and a log that was not copied into it yet do not belong together.
    #[error("{path} and its log {path}-wal do not fit each other: {damage}", path = .path.display())]
    Misfit {
        /// The file.
        path: PathBuf,
        /// The contradiction that was found.
        damage: String,
    },
    /// The database could not be opened or prepared.
    #[error("cannot open {path}: {reason}")]
    Failed {
        /// The file.
        path: PathBuf,
        /// The database's own message.
        reason: String,
    },
}

impl<T> Writer<T> {
    /// Opens or creates the database file `path`, for callers that write on a thread of their own. The writer
    /// keeps within `bounds`, sends the outcomes of messages to `outcomes`, and counts `commits`.
    pub fn open(
        path: &Path,
        bounds: Bounds,
        outcomes: Outcomes<T>,
        commits: Commits,
    ) -> Result<Self, OpenError> {
        refuse_empty(path)?;
        let is_new = !path.exists();
        if is_new && has_log(path) {
            return Err(OpenError::Missing(path.to_owned()));
        }
        let opened = Self::open_or_make(path, bounds, outcomes, commits);
        if is_new && opened.is_err() && refuse_empty(path).is_err() {
            // An empty file made by this start must not make the next start refuse it.
            let _ = std::fs::remove_file(path);
        }
        opened
    }

    fn open_or_make(
        path: &Path,
        bounds: Bounds,
        outcomes: Outcomes<T>,
        commits: Commits,
    ) -> Result<Self, OpenError> {
        let failed = |error: rusqlite::Error| OpenError::new(path, &error);
        // Checked before SQLite creates a log.
        let has_log = has_log(path);
        let mut connection = connect(path).map_err(failed)?;
        let survey = settle(&mut connection, path, has_log)?;
        if let Some(damage) = survey.damage() {
            error!(damage, "the database is damaged; what is damaged is not served");
        }
        if survey.trust_revocations().is_err() {
            match revocations::reindex(&connection).and_then(|()| survey.recheck_revocations(&connection)) {
                Ok(true) => info!("the list of revoked devices is whole again"),
                Ok(false) => {}
                Err(failure) => error!(%failure, "the list of revoked devices cannot be put right"),
            }
        }
        Self::new(connection, path, survey, bounds, outcomes, commits).map_err(failed)
    }
}

impl OpenError {
    pub(super) fn new(path: &Path, error: &rusqlite::Error) -> Self {
        match WriteFault::of(error) {
            Some(WriteFault::Full) => Self::Full(path.parent().unwrap_or(path).to_owned()),
            Some(WriteFault::Unsynced | WriteFault::Other) | None => {
                Self::Failed { path: path.to_owned(), reason: error.to_string() }
            }
        }
    }

    fn by_migration(path: &Path, error: &MigrationError) -> Self {
        match error {
            MigrationError::Newer { found, known } => {
                Self::Newer { path: path.to_owned(), found: *found, known: *known }
            }
            MigrationError::Sqlite(error) => Self::new(path, error),
            MigrationError::Foreign => Self::Failed { path: path.to_owned(), reason: error.to_string() },
        }
    }
}

/// Refuses an empty file, which SQLite would take for a new database: all of its former contents would be lost
/// without a word.
fn refuse_empty(path: &Path) -> Result<(), OpenError> {
    match std::fs::metadata(path) {
        Ok(file) if file.is_file() && file.len() == 0 => Err(OpenError::Empty(path.to_owned())),
        _ => Ok(()),
    }
}

/// Checks a database, updates its schema, and copies its log into it. If the disk failed before, the log's content
/// may be in memory only; afterwards it is on the disk.
fn settle(connection: &mut Connection, path: &Path, has_log: bool) -> Result<Survey, OpenError> {
    let failed = |error: rusqlite::Error| OpenError::new(path, &error);
    let keep_log = |connection: &Connection, keep| {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep).map(drop)
    };
    // Otherwise a log of another database, or of another state of this one, would be copied when this connection
    // closes, at the latest, and overwrite the database.
    keep_log(connection, true).map_err(failed)?;
    let version: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    let mut survey = None;
    if version == migrations::newest() {
        let mut taken = Survey::take(connection);
        if has_log {
            taken = taken.with_newest_messages(connection);
            if let Some(damage) = taken.damage() {
                return Err(OpenError::Misfit { path: path.to_owned(), damage });
            }
        }
        survey = Some(taken);
    }
    migrate(connection).map_err(|error| OpenError::by_migration(path, &error))?;
    copy_log(connection).map_err(failed)?;
    keep_log(connection, false).map_err(failed)?;
    Ok(survey.unwrap_or_else(|| Survey::take(connection)))
}

/// Returns true if the log beside a database may contain something that the database does not.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(Path::new(&log)).is_ok_and(|log| log.len() > 0)
}

/// Opens a connection with the settings that the store relies on.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // The sandbox allows no folder for temporary files, and none of them should contain data from the database.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}
