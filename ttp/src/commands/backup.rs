//! `backup`, `restore` and `verify`: the root, the log's key and the database in an encrypted file, and back.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use parlour_envelope::AwsLc;
use parlour_keylog::RootCertificate;
use parlour_upkeep::{
    Identities, Inspection, KeyError, Manifest, PackError, Recipient, Snapshot, SnapshotError, UnpackError,
    archive, key,
};
use thiserror::Error;
use zeroize::Zeroizing;

use super::CommandError;
use super::init::{is_taken, remove};
use crate::authority::{self, OpenError};
use crate::cli::{BackupArgs, RestoreArgs, VerifyArgs};
use crate::folder::KeyFolder;
use crate::keyfiles::{self, KeyFileError};
use crate::ledger::{LedgerError, inspect, inspect_image};

/// What backups of this program are marked with.
const PROGRAM: &str = "parlour-ttp";

/// What is in a backup. Whoever opens one can be this authority.
const FILES: [&str; 4] = ["ca.key", "ca.crt", "log.key", "ttp.db"];

/// Why a backup was not made or not used.
#[derive(Debug, Error)]
pub enum BackupError {
    /// There is no root, or it cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A key of backups cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Nobody said to whom it is to be encrypted.
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
    /// What is in the backup is not what the backup says.
    #[error("the backup is not sound: {0}")]
    Unsound(String),
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
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Open(error) => return error.hint(),
            Self::File(error) => return error.hint(),
            Self::Key(error) => error.hint(PROGRAM),
            Self::NoRecipient => {
                "'parlour-ttp backup-key FILE' makes a key and prints its recipient; give that \
                 with --recipient, or as backup-recipient = \"age1...\" in the file"
                    .to_owned()
            }
            Self::Snapshot(SnapshotError::UnderWay(_)) => "wait until it has ended".to_owned(),
            Self::Snapshot(_) => "run it as the TTP's user, with room for a copy of the database".to_owned(),
            Self::Pack(error) => error.hint(),
            Self::Unpack(error) => error.hint(),
            Self::Damaged(_) => "'parlour-ttp check' lists the damage".to_owned(),
            Self::Unsound(_) => "take another copy, or an older backup".to_owned(),
            Self::AlreadyThere(_) => {
                "an authority is never overwritten: one that is set back would give out \
                 names again; choose another folder with --keys"
                    .to_owned()
            }
            Self::System(_) => return None,
        })
    }

    /// Whether the backup itself is at fault.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Unpack(error) => error.is_damage(),
            Self::Unsound(_) => true,
            _ => false,
        }
    }
}

/// Makes a backup while the authority is served, or not.
pub(super) fn backup(keys: &KeyFolder, args: &BackupArgs, out: &mut impl Write) -> Result<(), CommandError> {
    let manifest = write(keys, args)?;
    writeln!(out, "wrote {}", args.file.display())?;
    describe(&manifest, out)
}

fn write(keys: &KeyFolder, args: &BackupArgs) -> Result<Manifest, BackupError> {
    let recipient: Recipient = args.recipient.as_deref().ok_or(BackupError::NoRecipient)?.parse()?;
    let root = authority::read_root(keys)?;
    let folder = keys.authority();
    let snapshot = Snapshot::take(&folder.database())?;
    let Inspection { inventory, .. } = sound(snapshot.path(), &root).map_err(BackupError::Damaged)?;
    let manifest = Manifest::new(PROGRAM, env!("CARGO_PKG_VERSION"), inventory);
    let [root_key, certificate, log_key, database] = FILES;
    let files = [
        (root_key, &*folder.root_key()),
        (certificate, &*folder.root_certificate()),
        (log_key, &*folder.log_key()),
        (database, snapshot.path()),
    ];
    archive::pack(&args.file, args.force, &recipient, &manifest, &files)?;
    Ok(manifest)
}

/// Opens a backup in memory and checks everything in it. Nothing of it is written anywhere.
pub(super) fn verify(args: &VerifyArgs, out: &mut impl Write) -> Result<(), CommandError> {
    let open_it = || -> Result<Opened, BackupError> {
        let identities = Identities::read(&args.identity)?;
        open(&args.file, &identities)
    };
    let Opened { manifest, .. } = open_it()?;
    writeln!(out, "{} is good, made {}", args.file.display(), manifest.made)?;
    describe(&manifest, out)
}

/// Puts the authority of a backup into a folder that has none, once all of it was checked.
pub(super) fn restore(
    keys: &KeyFolder,
    args: &RestoreArgs,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let manifest = put_back(keys, args)?;
    writeln!(out, "restored {}, made {}", keys.authority().path().display(), manifest.made)?;
    describe(&manifest, out)
}

/// All or nothing, as [`init`](super::init) makes one.
fn put_back(keys: &KeyFolder, args: &RestoreArgs) -> Result<Manifest, BackupError> {
    let identities = Identities::read(&args.identity)?;
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
            // One in which there is something by now stays.
            let _ = fs::remove_dir(keys.path());
        }
    }
    restored
}

/// A backup in memory that was checked.
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

/// Opens a backup; what is in it is sound, and what the backup says that it is.
fn open(file: &Path, identities: &Identities) -> Result<Opened, BackupError> {
    let (manifest, files) = archive::read(file, identities, PROGRAM, &FILES)?;
    let files: Result<[_; 4], _> = files.try_into();
    let Ok([root_key, certificate, log_key, database]) = files else {
        return Err(BackupError::Unsound("files are missing".to_owned()));
    };
    let unsound = |error: OpenError| BackupError::Unsound(error.to_string());
    let root =
        RootCertificate::from_pem(text(&certificate)?, &AwsLc).map_err(|error| unsound(error.into()))?;
    authority::parse_issuer(text(&root_key)?, &root).map_err(unsound)?;
    authority::log::parse_key(text(&log_key)?).map_err(unsound)?;
    let inspection = inspect_image(&database, Some(&root));
    let found = inspection.map_err(|error| error.to_string()).and_then(undamaged);
    let found = found.map_err(BackupError::Unsound)?.inventory;
    if found != manifest.inventory {
        let reason = format!("it holds {}, and should hold {}", found.line(), manifest.inventory.line());
        return Err(BackupError::Unsound(reason));
    }
    Ok(Opened { manifest, root_key, certificate, log_key, database })
}

fn text(bytes: &[u8]) -> Result<&str, BackupError> {
    str::from_utf8(bytes).map_err(|_| BackupError::Unsound("a key or certificate is no text".to_owned()))
}

/// What is in a database, if nothing of it is damaged.
fn sound(path: &Path, root: &RootCertificate) -> Result<Inspection, String> {
    inspect(path, Some(root)).map_err(|error: LedgerError| error.to_string()).and_then(undamaged)
}

fn undamaged(inspection: Inspection) -> Result<Inspection, String> {
    inspection.damage().map_or(Ok(inspection), Err)
}

fn describe(manifest: &Manifest, out: &mut impl Write) -> Result<(), CommandError> {
    let inventory = &manifest.inventory;
    writeln!(out, "{}", inventory.line())?;
    writeln!(out, "schema {}, digest {}", inventory.schema, inventory.digest)?;
    Ok(())
}

/// Makes a key that opens backups.
pub(super) fn make_key(file: &Path, out: &mut impl Write) -> Result<(), CommandError> {
    let recipient = key::make(file).map_err(BackupError::from)?;
    writeln!(out, "{recipient}")?;
    Ok(())
}
