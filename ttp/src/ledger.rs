//! The TTP's database, in SQLite: the owners of all names, and every certificate that was ever issued.
//!
//! Each act is one transaction (`Ledger::transact`). Nothing is ever changed or deleted except answers to renewals
//! that have expired: triggers on the tables enforce it.

mod accounts;
mod answers;
mod certificates;
mod inspect;
mod leaves;
mod migrations;
mod revocations;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use parlour_protocol::NameError;
use parlour_upkeep::{LogCopier, WriteFault, copy_log};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use thiserror::Error;

pub(crate) use accounts::NewAccount;
pub(crate) use answers::RequestKey;
pub use certificates::{CertificateKind, IssuedCertificate};
pub(crate) use inspect::{inspect, inspect_image};

/// The longest time that an act waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(10);

/// The reasons why the database did not carry out a request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LedgerError {
    /// The database does not exist.
    #[error("there is no database {}", .0.display())]
    Missing(PathBuf),
    /// The file is not a database of the TTP.
    #[error("{} is not a database of the TTP", .0.display())]
    Foreign(PathBuf),
    /// A later version of the program wrote it.
    #[error("the database has version {found}, and this program knows versions up to {known}")]
    Newer {
        /// Its version.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
    /// The disk is full.
    #[error("no space left for the database")]
    Full,
    /// The disk does not keep what is written.
    #[error("the disk does not keep what is written to the database")]
    Unsynced,
    /// The file or the system failed.
    #[error("the database failed: {0}")]
    Failed(String),
}

impl LedgerError {
    /// Advice for the operator.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing(_) => {
                "put the database back from your copy: without it names could be issued twice".to_owned()
            }
            Self::Foreign(_) => "put the database back as parlour-ttp wrote it".to_owned(),
            Self::Newer { .. } => "use the version of parlour-ttp that wrote it, or a newer one".to_owned(),
            Self::Full => "free some space where the folder of keys is".to_owned(),
            Self::Unsynced => "look at the system's log for errors of the disk, then start again".to_owned(),
            Self::Failed(_) => "check that this user may write the folder and that the disk works".to_owned(),
        })
    }
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        match WriteFault::of(&error) {
            Some(WriteFault::Full) => Self::Full,
            Some(WriteFault::Unsynced) => Self::Unsynced,
            Some(WriteFault::Other) | None => Self::Failed(error.to_string()),
        }
    }
}

/// An open database.
#[derive(Debug)]
pub struct Ledger {
    open: Mutex<Open>,
}

/// A connection, and the state of its disk.
#[derive(Debug)]
struct Open {
    connection: Connection,
    log: LogCopier,
    /// True once the disk has lost a write. Nothing more is written before the next start.
    given_up: bool,
}

impl Open {
    fn new(mut connection: Connection) -> Result<Mutex<Self>, LedgerError> {
        let log = LogCopier::take_over(&mut connection)?;
        Ok(Mutex::new(Self { connection, log, given_up: false }))
    }

    /// Classifies a failure to commit, and stops writing if the disk has lost a write.
    fn not_committed(&mut self, error: rusqlite::Error) -> LedgerError {
        let failure = LedgerError::from(error);
        if failure == LedgerError::Unsynced {
            self.given_up = true;
            tracing::error!("{failure}: nothing more is issued until this program is started again");
        }
        failure
    }

    /// Copies SQLite's log if it is long. After a failure everything committed is still in the log.
    fn copy_log(&mut self) {
        if let Err(error) = self.log.after_commit(&self.connection) {
            let failure = self.not_committed(error);
            tracing::warn!(%failure, "the database's log cannot be copied into it, and grows");
        }
    }
}

/// The ledger within one transaction. Its methods are in the files below `ledger/`, one for each kind of record.
pub(crate) struct LedgerTransaction<'a>(&'a Connection);

impl Ledger {
    /// Makes a new database, readable by its owner alone.
    pub(crate) fn create(path: &Path) -> Result<Self, LedgerError> {
        // SQLite would leave the mode to the umask. The files that it makes beside this one get the same mode.
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        created.map_err(|error| LedgerError::Failed(format!("{}: {error}", path.display())))?;
        let mut connection = connect(path)?;
        prepare(&connection)?;
        migrations::begin(&mut connection)?;
        Ok(Self { open: Open::new(connection)? })
    }

    /// Opens a database, and brings it up to this program's version. SQLite's log beside it is not copied before
    /// `settle`: it could belong to another database.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        refuse_missing(path)?;
        let mut connection = connect(path)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        migrations::check(&connection, path)?;
        prepare(&connection)?;
        migrations::advance(&mut connection)?;
        Ok(Self { open: Open::new(connection)? })
    }

    /// Copies SQLite's log into the database, once it is known that they belong together. If the disk failed before,
    /// the log's contents may have been in memory alone; afterwards they are on the disk.
    pub(crate) fn settle(&self) -> Result<(), LedgerError> {
        let open = self.opened();
        copy_log(&open.connection)?;
        open.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        Ok(())
    }

    /// Carries out one act: all of it, or nothing if it returns an error.
    pub(crate) fn transact<T, E: From<LedgerError>>(
        &self,
        act: impl FnOnce(&LedgerTransaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut open = self.opened();
        if open.given_up {
            return Err(LedgerError::Unsynced.into());
        }
        // Immediate, so that nothing is written between an act's reads and its writes.
        let transaction = open.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(LedgerError::from)?;
        let result = act(&LedgerTransaction(&transaction))?;
        transaction.commit().map_err(|error| open.not_committed(error))?;
        open.copy_log();
        Ok(result)
    }

    /// Reads, while others may write.
    pub(crate) fn read<T>(
        &self,
        act: impl FnOnce(&LedgerTransaction<'_>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut open = self.opened();
        let transaction = open.connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
        act(&LedgerTransaction(&transaction))
    }

    /// A number that changes when another connection, in this process or another, has written.
    pub(crate) fn data_version(&self) -> Result<i64, LedgerError> {
        Ok(self.opened().connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
    }

    /// Every certificate that was issued, oldest first.
    pub fn certificates(&self) -> Result<Vec<IssuedCertificate>, LedgerError> {
        self.read(certificates::all)
    }

    /// The number of the newest revocation, 0 when there is none.
    pub(crate) fn newest_revocation(&self) -> Result<u64, LedgerError> {
        self.read(revocations::newest)
    }

    /// Every leaf of the key log in order, as canonical bytes.
    pub fn leaves(&self) -> Result<Vec<Vec<u8>>, LedgerError> {
        self.read(leaves::all)
    }

    fn opened(&self) -> MutexGuard<'_, Open> {
        // A panic in an act rolls its transaction back, so the connection is as good as before.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses a path without a file. A path that cannot be looked up is another error: the file may exist.
fn refuse_missing(path: &Path) -> Result<(), LedgerError> {
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(LedgerError::Missing(path.to_owned())),
        Err(error) => Err(LedgerError::Failed(format!("{}: {error}", path.display()))),
    }
}

fn connect(path: &Path) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// Sets the options that belong to a connection and not to the file.
fn prepare(connection: &Connection) -> Result<(), LedgerError> {
    connection.pragma_update(None, "foreign_keys", true)?;
    // The sandbox allows no folder for temporary files, and none should have copies of this data.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Every act is durable before it is answered, even if the power fails.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// Parses a name or id from a column, which holds only valid ones.
fn parsed<T: FromStr<Err = NameError>>(text: &str) -> Result<T, LedgerError> {
    text.parse().map_err(|_| LedgerError::Failed(format!("'{text}' is no name")))
}

#[cfg(test)]
mod tests;
