//! `init`: makes the root, the key log's key and the database, all or nothing.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::Ed25519KeyPair;
use parlour_envelope::AwsLc;
use parlour_keylog::{CertificateError, RootCertificate};
use parlour_protocol::Timestamp;
use rcgen::KeyPair;
use thiserror::Error;

use super::CommandError;
use crate::authority::{self, LogSigner, OpenError};
use crate::clock::Clock;
use crate::folder::{AuthorityFolder, KeyFolder};
use crate::keyfiles::{self, KeyFileError};
use crate::ledger::{CertificateKind, IssuedCertificate, Ledger, LedgerError};
use crate::{pem, profile};

/// The reasons why no root was made.
#[derive(Debug, Error)]
pub enum InitError {
    /// Something else is in its place.
    #[error("{} is there already", .0.display())]
    AlreadyThere(PathBuf),
    /// The folder of keys cannot be used.
    #[error("cannot use the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// A key cannot be made.
    #[error("cannot make a key")]
    Key,
    /// The root certificate cannot be made.
    #[error(transparent)]
    Profile(#[from] profile::ProfileError),
    /// The new root certificate is not valid.
    #[error("the certificate that was made is not good: {0}")]
    Certificate(#[from] CertificateError),
    /// The new files cannot be used, or the log's certificate was not issued.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database cannot be made.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl InitError {
    /// Advice for the operator.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::AlreadyThere(_) => Some(
                "it is never overwritten: its users would lose their root; choose another folder with --keys"
                    .to_owned(),
            ),
            Self::Folder { .. } => Some("choose a folder that this user may write, with --keys".to_owned()),
            Self::File(error) => error.hint(),
            Self::Open(error) => error.hint(),
            Self::Ledger(error) => error.hint(),
            Self::Key | Self::Profile(_) | Self::Certificate(_) => None,
        }
    }
}

pub(super) fn run(keys: &KeyFolder, clock: &impl Clock, out: &mut impl Write) -> Result<(), CommandError> {
    let root = init(keys, clock)?;
    writeln!(out, "made the root in {}", keys.authority().path().display())?;
    writeln!(out, "fingerprint {}", root.fingerprint())?;
    Ok(())
}

/// Makes the TTP's part of a folder of keys, and the folder itself if it is missing.
pub fn init(keys: &KeyFolder, clock: &impl Clock) -> Result<RootCertificate, InitError> {
    let failed = |source| InitError::Folder { path: keys.path().to_owned(), source };
    let _lock = keys.lock().map_err(failed)?;
    let (target, unfinished) = (keys.authority(), keys.unfinished_authority());
    if is_taken(target.path()) {
        return Err(InitError::AlreadyThere(target.path().to_owned()));
    }
    // An `init` that was killed may have left one.
    remove(unfinished.path()).map_err(failed)?;
    let made = build(&unfinished, clock.now()).and_then(|root| {
        // Renaming is atomic, and replaces nothing but an empty folder.
        fs::rename(unfinished.path(), target.path()).map_err(failed)?;
        keyfiles::sync_folder(keys.path()).map_err(failed)?;
        Ok(root)
    });
    if made.is_err() {
        let _ = remove(unfinished.path());
    }
    made
}

/// Returns true if anything but an empty folder has this path.
pub(super) fn is_taken(path: &Path) -> bool {
    match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

pub(super) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn build(folder: &AuthorityFolder, now: Timestamp) -> Result<RootCertificate, InitError> {
    keyfiles::make_folder(folder.path(), 0o700)?;
    let key = KeyPair::generate().map_err(|_| InitError::Key)?;
    let root = RootCertificate::from_der(&profile::root(&key, now)?, &AwsLc)?;
    keyfiles::write(&folder.root_key(), pem::private_key(key.serialized_der()).as_bytes(), 0o600)?;
    keyfiles::write(&folder.root_certificate(), pem::certificate(root.der()).as_bytes(), 0o644)?;
    write_log_key(&folder.log_key())?;
    let ledger = Ledger::create(&folder.database())?;
    ledger.transact(|ledger| ledger.add_certificate(&IssuedCertificate::of_root(&root, now)))?;
    LogSigner::open(folder, &root, &authority::read_issuer(folder, &root)?, &ledger, now)?;
    // Closing folds the write-ahead log into the database's one file.
    drop(ledger);
    // The server may pass through the folder to the socket, but not list it.
    keyfiles::make_folder(folder.path(), 0o711)?;
    keyfiles::sync_folder(folder.path())
        .map_err(|source| KeyFileError::new("make the folder", folder.path(), source))?;
    Ok(root)
}

/// Makes the key log's key: Ed25519, as signed notes require, in PKCS#8 version 1, because OpenSSL 3.0 does not read
/// version 2.
fn write_log_key(path: &Path) -> Result<(), InitError> {
    let key = Ed25519KeyPair::generate().map_err(|_| InitError::Key)?;
    let pkcs8: Pkcs8V1Der<'_> = key.as_der().map_err(|_| InitError::Key)?;
    keyfiles::write(path, pem::private_key(pkcs8.as_ref()).as_bytes(), 0o600)?;
    Ok(())
}

impl IssuedCertificate {
    fn of_root(root: &RootCertificate, now: Timestamp) -> Self {
        Self {
            kind: CertificateKind::Root,
            name: root.common_name().to_owned(),
            device: None,
            serial: root.serial().to_owned(),
            not_before: root.not_before(),
            not_after: root.not_after(),
            der: root.der().to_vec(),
            issued: now,
            revoked: None,
        }
    }
}
