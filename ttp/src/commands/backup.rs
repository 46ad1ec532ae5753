//! `backup`, `restore` and `verify`: the root, the log's key and the database in an encrypted file, and back.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use parlour_envelope::AwsLc;
use parlour_keylog::RootCertificate;
use parlour_upkeep::{BackupFault, Identities, Manifest, Snapshot, archive, backup as backups, key};
use thiserror::Error;
use zeroize::Zeroizing;

use super::CommandError;
use super::init::{is_taken, remove};
use crate::authority::{self, OpenError};
use crate::cli::{BackupArgs, RestoreArgs, VerifyArgs};
use crate::folder::KeyFolder;
use crate::keyfiles::{self, KeyFileError};
use crate::ledger::{inspect, inspect_image};

/// The mark of this program's backups.
const PROGRAM: &str = "parlour-ttp";

/// The files in a backup. Anyone who opens one can be this authority.
const FILES: [&str; 4] = ["ca.key", "ca.crt", "log.key", "ttp.db"];

/// The reasons why a backup is not made or not used.
#[derive(Debug, Error)]
pub enum BackupError {
    /// There is no root, or it cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A fault that backups of any program can have.
    #[error(transparent)]
    Fault(#[from] BackupFault),
    /// There is an authority already.
    #[error("{} is there already", .0.display())]
    AlreadyThere(PathBuf),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The system refused something.
    #[error("the system refused: {0}")]
    System(#[from] io::Error),
}

impl BackupError {
    /// Advice for the operator.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Open(error) => return error.hint(),
            Self::File(error) => return error.hint(),
            Self::Fault(fault) => fault.hint(PROGRAM),
            Self::AlreadyThere(_) => {
                "an authority is never overwritten: one that is set back would give out \
                 names again; choose another folder with --keys"
                    .to_owned()
            }
            Self::System(_) => return None,
        })
    }

    /// Returns true if the backup itself is at fault.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Fault(fault) if fault.is_damage())
    }
}

/// Makes a backup, also while the authority is served.
pub(super) fn backup(keys: &KeyFolder, args: &BackupArgs, out: &mut impl Write) -> Result<(), CommandError> {
    let manifest = write(keys, args)?;
    writeln!(out, "wrote {}", args.file.display())?;
    Ok(backups::describe(&manifest, out)?)
}

fn write(keys: &KeyFolder, args: &BackupArgs) -> Result<Manifest, BackupError> {
    let recipient = backups::recipient(args.recipient.as_deref())?;
    let root = authority::read_root(keys)?;
    let folder = keys.authority();
    let snapshot = Snapshot::take(&folder.database()).map_err(BackupFault::from)?;
    let inspected = inspect(snapshot.path(), Some(&root)).map_err(|error| error.to_string());
    let inventory = backups::fit_to_back_up(inspected)?;
    let manifest = Manifest::new(PROGRAM, env!("CARGO_PKG_VERSION"), inventory);
    let [root_key, certificate, log_key, database] = FILES;
    let files = [
        (root_key, &*folder.root_key()),
        (certificate, &*folder.root_certificate()),
        (log_key, &*folder.log_key()),
        (database, snapshot.path()),
    ];
    archive::pack(&args.file, args.force, &recipient, &manifest, &files).map_err(BackupFault::from)?;
    Ok(manifest)
}

/// Opens a backup in memory and checks everything in it. Nothing is written to any file.
pub(super) fn verify(args: &VerifyArgs, out: &mut impl Write) -> Result<(), CommandError> {
    let Opened { manifest, .. } = open(&args.file, &read_identities(&args.identity)?)?;
    writeln!(out, "{} is good, made {}", args.file.display(), manifest.made)?;
    Ok(backups::describe(&manifest, out)?)
}

/// Puts the authority of a backup into a folder that has none, once all of it was checked.
pub(super) fn restore(
    keys: &KeyFolder,
    args: &RestoreArgs,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let manifest = put_back(keys, args)?;
    writeln!(out, "restored {}, made {}", keys.authority().path().display(), manifest.made)?;
    Ok(backups::describe(&manifest, out)?)
}

/// Restores all of it or nothing, as [`init`](super::init) does.
fn put_back(keys: &KeyFolder, args: &RestoreArgs) -> Result<Manifest, BackupError> {
    let identities = read_identities(&args.identity)?;
    let (target, unfinished) = (keys.authority(), keys.unfinished_authority());
    if is_taken(target.path()) {
        return Err(BackupError::AlreadyThere(target.path().to_owned()));
    }
    let is_new = !keys.path().exists();
    let _lock = keys.lock()?;
    if is_taken(target.path()) {
        return Err(BackupError::AlreadyThere(target.path().to_owned()));
    }
    remove(unfinished.path())?;
    keyfiles::make_folder(unfinished.path(), 0o700)?;
    let restored = open(&args.file, &identities).and_then(|opened| {
        for (name, content, mode) in opened.files() {
            keyfiles::write(&unfinished.path().join(name), content, mode)?;
        }
        keyfiles::make_folder(unfinished.path(), 0o711)?;
        fs::rename(unfinished.path(), target.path())?;
        keyfiles::sync_folder(keys.path())?;
        Ok(opened.manifest)
    });
    if restored.is_err() {
        let _ = remove(unfinished.path());
        if is_new {
            // If there is something else in it, it stays.
            let _ = fs::remove_dir(keys.path());
        }
    }
    restored
}

/// A checked backup, in memory.
struct Opened {
    manifest: Manifest,
    root_key: Zeroizing<Vec<u8>>,
    certificate: Zeroizing<Vec<u8>>,
    log_key: Zeroizing<Vec<u8>>,
    database: Zeroizing<Vec<u8>>,
}

impl Opened {
    /// Each file with its name and mode.
    fn files(&self) -> [(&'static str, &[u8], u32); 4] {
        let [root_key, certificate, log_key, database] = FILES;
        [
            (root_key, &self.root_key, 0o600),
            (certificate, &self.certificate, 0o644),
            (log_key, &self.log_key, 0o600),
            (database, &self.database, 0o600),
        ]
    }
}

fn read_identities(file: &Path) -> Result<Identities, BackupError> {
    Ok(Identities::read(file).map_err(BackupFault::from)?)
}

/// Opens a backup and checks everything in it.
fn open(file: &Path, identities: &Identities) -> Result<Opened, BackupError> {
    let (manifest, files) = archive::read(file, identities, PROGRAM, &FILES).map_err(BackupFault::from)?;
    let files: Result<[_; 4], _> = files.try_into();
    let Ok([root_key, certificate, log_key, database]) = files else {
        return Err(BackupFault::Unsound("files are missing".to_owned()).into());
    };
    let unsound = |error: OpenError| BackupFault::Unsound(error.to_string());
    let root =
        RootCertificate::from_pem(text(&certificate)?, &AwsLc).map_err(|error| unsound(error.into()))?;
    authority::parse_issuer(text(&root_key)?, &root).map_err(unsound)?;
    authority::log::parse_key(text(&log_key)?).map_err(unsound)?;
    let inspected = inspect_image(&database, Some(&root)).map_err(|error| error.to_string());
    backups::agree(&manifest, inspected)?;
    Ok(Opened { manifest, root_key, certificate, log_key, database })
}

fn text(bytes: &[u8]) -> Result<&str, BackupFault> {
    str::from_utf8(bytes)
        .map_err(|_| BackupFault::Unsound("a key or certificate in it is not text".to_owned()))
}

/// Makes a key that opens backups.
pub(super) fn make_key(file: &Path, out: &mut impl Write) -> Result<(), CommandError> {
    let recipient = key::make(file).map_err(|error| BackupError::from(BackupFault::from(error)))?;
    writeln!(out, "{recipient}")?;
    Ok(())
}
