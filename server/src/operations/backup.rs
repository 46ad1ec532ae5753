//! `backup`, `restore` and `verify`: the database in an encrypted file, and back.

use std::io::Write;
use std::path::{Path, PathBuf};

use parlour_upkeep::{
    Identities, Inspection, KeyError, Manifest, PackError, Recipient, Snapshot, SnapshotError, UnpackError,
    archive,
};
use tempfile::TempDir;
use thiserror::Error;

use crate::operations::cli::{BackupArguments, RestoreArguments, VerifyArguments};
use crate::operations::config::{self, ConfigError};
use crate::operations::data::{DataDirectory, DataError, database_in};
use crate::store::{AuditFile, Verdict, inspect};

/// The mark of this program's backups.
const PROGRAM: &str = "parlour-server";

/// The file in a backup.
const DATABASE: &str = "chat.db";

/// Why a backup was not made or not used.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No recipient is named.
    #[error("nobody is named to whom the backup is to be encrypted")]
    NoRecipient,
    /// The database cannot be copied.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The backup cannot be written.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The backup cannot be opened.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// The database is not sound.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The contents of the backup do not fit its description.
    #[error("the backup is not sound: {0}")]
    Unsound(String),
    /// There is a database already.
    #[error("there is a database in {} already", .0.display())]
    AlreadyThere(PathBuf),
    /// The system refused something.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

impl BackupError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Config(error) => error.hint().to_owned(),
            Self::Data(error) => error.hint().to_owned(),
            Self::Key(error) => error.hint(PROGRAM),
            Self::NoRecipient => {
                "'parlour-server backup-key FILE' makes a key and prints its recipient; give that with \
                 --recipient, or as backup-recipient = \"age1...\" in the file"
                    .to_owned()
            }
            Self::Snapshot(SnapshotError::Missing(_)) => {
                "name the folder of the database with --data".to_owned()
            }
            Self::Snapshot(SnapshotError::UnderWay(_)) => "wait until it has ended".to_owned(),
            Self::Snapshot(
                SnapshotError::Hidden { .. } | SnapshotError::File { .. } | SnapshotError::Copy { .. },
            ) => "run it as the server's user, with room for a copy beside the database".to_owned(),
            Self::Pack(error) => error.hint(),
            Self::Unpack(error) => error.hint(),
            Self::Damaged(_) => {
                "'parlour-server check --data DIR' lists the damage; restore an older backup \
                 into another folder"
                    .to_owned()
            }
            Self::Unsound(_) => "take another copy, or an older backup".to_owned(),
            Self::AlreadyThere(_) => {
                "name a folder without one with --data, or move the old one away first".to_owned()
            }
            Self::System(_) => return None,
        })
    }

    /// Returns whether the backup itself is at fault.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Unpack(error) => error.is_damage(),
            Self::Unsound(_) => true,
            _ => false,
        }
    }
}

/// Makes a backup while a server runs, or none.
pub fn backup(arguments: BackupArguments, out: &mut impl Write) -> Result<(), BackupError> {
    let (data, configured) = config::for_backup(arguments.config.as_deref(), arguments.data)?;
    let recipient = arguments.recipient.or(configured).ok_or(BackupError::NoRecipient)?;
    let recipient: Recipient = recipient.parse()?;
    let snapshot = Snapshot::take(&database_in(&data))?;
    let Inspection { inventory, .. } = sound(snapshot.path()).map_err(BackupError::Damaged)?;
    let manifest = Manifest::new(PROGRAM, env!("CARGO_PKG_VERSION"), inventory);
    let files = [(DATABASE, snapshot.path())];
    archive::pack(&arguments.file, arguments.force, &recipient, &manifest, &files)?;
    writeln!(out, "wrote {}", arguments.file.display())?;
    describe(&manifest, out)?;
    // It is no reason not to keep the messages.
    writeln!(out, "audit log: {}", audit(snapshot.path()).unwrap_or_else(|fault| fault))?;
    Ok(())
}

/// Opens a backup in a temporary place and checks everything in it.
pub fn verify(arguments: &VerifyArguments, out: &mut impl Write) -> Result<(), BackupError> {
    let identities = Identities::read(&arguments.identity)?;
    let folder = TempDir::with_prefix("parlour-verify-")?;
    let (manifest, log) = open(&arguments.file, &identities, folder.path())?;
    let log = log.map_err(|fault| BackupError::Unsound(format!("audit log: {fault}")))?;
    writeln!(out, "{} is good, made {}", arguments.file.display(), manifest.made)?;
    describe(&manifest, out)?;
    writeln!(out, "audit log: {log}")?;
    Ok(())
}

/// Puts the database of a backup into a folder that has none, once all of it was checked.
pub fn restore(arguments: RestoreArguments, out: &mut impl Write) -> Result<(), BackupError> {
    let (data, _) = config::for_backup(arguments.config.as_deref(), arguments.data)?;
    let identities = Identities::read(&arguments.identity)?;
    refuse_database(&data)?;
    let is_new = !data.exists();
    // Owned from here on: no server starts on it, and no other restore.
    let directory = DataDirectory::open(&data)?;
    let restored = put_back(&directory, &data, &arguments.file, &identities);
    if restored.is_err() && is_new {
        directory.remove();
    }
    let (manifest, log) = restored?;
    writeln!(out, "restored {}, made {}", database_in(&data).display(), manifest.made)?;
    describe(&manifest, out)?;
    writeln!(out, "audit log: {}", log.unwrap_or_else(|fault| fault))?;
    Ok(())
}

fn put_back(
    directory: &DataDirectory,
    data: &Path,
    file: &Path,
    identities: &Identities,
) -> Result<(Manifest, Result<String, String>), BackupError> {
    refuse_database(data)?;
    // In the same folder, so on the same disk as its place.
    let unfinished = tempfile::Builder::new().prefix(".restore-").tempdir_in(data)?;
    let opened = open(file, identities, unfinished.path())?;
    archive::settle(&unfinished.path().join(DATABASE), &directory.database())?;
    Ok(opened)
}

/// Refuses a folder in which there is a database, or the log of one, which would be applied to the other.
fn refuse_database(data: &Path) -> Result<(), BackupError> {
    let database = database_in(data);
    let log = database.with_file_name("chat.db-wal");
    if database.symlink_metadata().is_ok() || log.symlink_metadata().is_ok() {
        return Err(BackupError::AlreadyThere(data.to_owned()));
    }
    Ok(())
}

/// Unpacks a backup into a folder; what is in it is sound, and what the backup says that it is, but for the audit log, of
/// which is told what is in it or what is wrong with it.
fn open(
    file: &Path,
    identities: &Identities,
    into: &Path,
) -> Result<(Manifest, Result<String, String>), BackupError> {
    let manifest = archive::unpack(file, identities, PROGRAM, &[DATABASE], into)?;
    let database = into.join(DATABASE);
    let found = sound(&database).map_err(BackupError::Unsound)?.inventory;
    if found != manifest.inventory {
        let reason = format!("it holds {}, and should hold {}", found.line(), manifest.inventory.line());
        return Err(BackupError::Unsound(reason));
    }
    Ok((manifest, audit(&database)))
}

/// The inventory of a database that is not damaged.
fn sound(path: &Path) -> Result<Inspection, String> {
    let inspection = inspect(path, None)?;
    inspection.damage().map_or(Ok(inspection), Err)
}

/// The state of the audit log in a database, or what is wrong with it.
fn audit(database: &Path) -> Result<String, String> {
    let verdict =
        AuditFile::open(database).and_then(|log| log.verify()).map_err(|error| error.to_string())?;
    match verdict {
        Verdict::Sound { .. } => Ok(verdict.to_string()),
        Verdict::Broken { .. } => Err(verdict.to_string()),
    }
}

fn describe(manifest: &Manifest, out: &mut impl Write) -> Result<(), BackupError> {
    let inventory = &manifest.inventory;
    writeln!(out, "{}", inventory.line())?;
    writeln!(out, "schema {}, digest {}", inventory.schema, inventory.digest)?;
    Ok(())
}
