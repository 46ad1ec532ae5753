//! `backup`, `restore` and `verify`: the database in an encrypted file, and back.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use parlour_upkeep::{BackupFault, Identities, Manifest, Snapshot, archive, backup as backups};
use thiserror::Error;

use crate::operations::cli::{BackupArguments, RestoreArguments, VerifyArguments};
use crate::operations::config::{self, ConfigError};
use crate::operations::data::{DataDirectory, DataError, database_in};
use crate::store::{AuditFile, AuditFileError, NamelessDatabase, Verdict, inspect};

/// The mark of this program's backups.
const PROGRAM: &str = "parlour-server";

/// The file in a backup.
const DATABASE: &str = "chat.db";

/// The reasons why a backup is not made or not used.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A fault that backups of any program can have.
    #[error(transparent)]
    Fault(#[from] BackupFault),
    /// There is a database already.
    #[error("there is a database in {} already", .0.display())]
    AlreadyThere(PathBuf),
    /// The system refused something.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

impl BackupError {
    /// Advice for the operator.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Config(error) => error.hint().to_owned(),
            Self::Data(error) => error.hint().to_owned(),
            Self::Fault(fault) => fault.hint(PROGRAM),
            Self::AlreadyThere(_) => {
                "name a folder without one with --data, or move the old one away first".to_owned()
            }
            Self::System(_) => return None,
        })
    }

    /// Returns true if the backup itself is at fault.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Fault(fault) if fault.is_damage())
    }
}

/// Makes a backup while a server runs, or none.
pub fn backup(arguments: BackupArguments, out: &mut impl Write) -> Result<(), BackupError> {
    let (data, configured) = config::for_backup(arguments.config.as_deref(), arguments.data)?;
    let recipient = backups::recipient(arguments.recipient.or(configured).as_deref())?;
    let snapshot = Snapshot::take(&database_in(&data)).map_err(BackupFault::from)?;
    let inventory = backups::fit_to_back_up(inspect(snapshot.path(), None))?;
    let manifest = Manifest::new(PROGRAM, env!("CARGO_PKG_VERSION"), inventory);
    let files = [(DATABASE, snapshot.path())];
    archive::pack(&arguments.file, arguments.force, &recipient, &manifest, &files)
        .map_err(BackupFault::from)?;
    writeln!(out, "wrote {}", arguments.file.display())?;
    backups::describe(&manifest, out)?;
    // A damaged audit log is no reason not to keep the messages.
    writeln!(out, "audit log: {}", audit(AuditFile::open(snapshot.path())).unwrap_or_else(|fault| fault))?;
    Ok(())
}

/// Opens a backup in a file that nobody else can reach, and checks everything in it.
pub fn verify(arguments: &VerifyArguments, out: &mut impl Write) -> Result<(), BackupError> {
    let identities = read_identities(&arguments.identity)?;
    let mut database = NamelessDatabase::new()?;
    let manifest = database.fill(|contents| unpack(&arguments.file, &identities, contents))?;
    backups::agree(&manifest, database.inspect())?;
    let log = database.audit(audit).map_err(|fault| BackupFault::Unsound(format!("audit log: {fault}")))?;
    writeln!(out, "{} is good, made {}", arguments.file.display(), manifest.made)?;
    backups::describe(&manifest, out)?;
    writeln!(out, "audit log: {log}")?;
    Ok(())
}

/// Puts the database of a backup into a folder that has none, once all of it was checked.
pub fn restore(arguments: RestoreArguments, out: &mut impl Write) -> Result<(), BackupError> {
    let (data, _) = config::for_backup(arguments.config.as_deref(), arguments.data)?;
    let identities = read_identities(&arguments.identity)?;
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
    backups::describe(&manifest, out)?;
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
    let unfinished = Unfinished::new(data)?;
    let path = unfinished.folder.join(DATABASE);
    let mut contents = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let manifest = unpack(file, identities, &mut contents)?;
    backups::agree(&manifest, inspect(&path, None))?;
    let log = audit(AuditFile::open(&path));
    archive::settle(&path, &directory.database()).map_err(BackupFault::from)?;
    Ok((manifest, log))
}

/// The folder of a database that is being restored, for its owner alone. It is removed when this is dropped.
struct Unfinished {
    folder: PathBuf,
}

impl Unfinished {
    /// Makes the folder in a data directory whose lock this process has. It replaces one that a killed process left.
    fn new(data: &Path) -> std::io::Result<Self> {
        let unfinished = Self { folder: data.join(".restore") };
        unfinished.remove()?;
        fs::DirBuilder::new().mode(0o700).create(&unfinished.folder)?;
        Ok(unfinished)
    }

    fn remove(&self) -> std::io::Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // If this fails, the next restore removes it.
        let _ = self.remove();
    }
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

fn read_identities(file: &Path) -> Result<Identities, BackupFault> {
    Ok(Identities::read(file)?)
}

fn unpack(file: &Path, identities: &Identities, contents: &mut File) -> Result<Manifest, BackupError> {
    let files = &mut [(DATABASE, contents)];
    Ok(archive::unpack(file, identities, PROGRAM, files).map_err(BackupFault::from)?)
}

/// The state of an audit log, or what is wrong with it.
fn audit(log: Result<AuditFile, AuditFileError>) -> Result<String, String> {
    match log.and_then(|log| log.verify()).map_err(|error| error.to_string())? {
        verdict @ Verdict::Sound { .. } => Ok(verdict.to_string()),
        verdict @ Verdict::Broken { .. } => Err(verdict.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_folder_of_a_killed_restore_is_replaced_and_then_removed() {
        let data = tempfile::tempdir().unwrap();
        let left = data.path().join(".restore");
        fs::create_dir(&left).unwrap();
        fs::write(left.join(DATABASE), "half of a database").unwrap();
        let unfinished = Unfinished::new(data.path()).unwrap();
        assert_eq!(fs::read_dir(&unfinished.folder).unwrap().count(), 0);
        assert_eq!(fs::metadata(&left).unwrap().permissions().mode() & 0o777, 0o700);
        drop(unfinished);
        assert!(!left.exists());
    }
}
