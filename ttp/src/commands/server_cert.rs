//! `server-cert`: mints the server's certificate, and its key if there is none.

use std::io::{self, Write};
use std::path::PathBuf;

use parlour_envelope::AwsLc;
use parlour_keylog::{Host, RootCertificate, ServerCertificate};
use rcgen::{KeyPair, PublicKeyData as _};
use thiserror::Error;
use zeroize::Zeroizing;

use super::CommandError;
use crate::authority::{Authority, OpenError, ServerIssueError};
use crate::clock::Clock;
use crate::folder::{KeyFolder, ServerFolder};
use crate::keyfiles::{self, KeyFileError};
use crate::pem;

/// A certificate with fewer seconds left than this is replaced.
const ENOUGH: i64 = 30 * 24 * 60 * 60;

/// The requirements for a server certificate.
#[derive(Debug)]
pub struct CertificateRequirements {
    /// The hosts that the certificate is for; at least one.
    pub hosts: Vec<Host>,
    /// Keep the present certificate if it serves as well.
    pub if_needed: bool,
}

/// The outcome of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There is a new certificate.
    Minted,
    /// The present one was kept.
    Kept,
}

/// The reasons why no server certificate was minted.
#[derive(Debug, Error)]
pub enum ServerCertError {
    /// No host was named.
    #[error("a server certificate is for at least one host")]
    NoHost,
    /// The folder of keys cannot be used.
    #[error("cannot use the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The authority cannot work.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The server's present key cannot be used.
    #[error("{} is not a P-256 key", .0.display())]
    Key(PathBuf),
    /// A key cannot be made.
    #[error("cannot make a key")]
    MakeKey,
    /// The certificate was not issued.
    #[error(transparent)]
    Issue(#[from] ServerIssueError),
}

impl ServerCertError {
    /// Advice for the operator.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoHost => {
                Some("name the server as clients reach it, for example --host chat.example.org".to_owned())
            }
            Self::Folder { .. } => Some("choose a folder that this user may write, with --keys".to_owned()),
            Self::Open(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Key(_) => Some("move it away, and a new one is made".to_owned()),
            Self::Issue(ServerIssueError::Ledger(error)) => error.hint(),
            Self::MakeKey | Self::Issue(_) => None,
        }
    }
}

pub(super) fn run(
    keys: &KeyFolder,
    required: &CertificateRequirements,
    clock: impl Clock,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let chain = keys.server().chain();
    match server_cert(keys, required, clock)? {
        Outcome::Minted => writeln!(out, "minted {}", chain.display())?,
        Outcome::Kept => writeln!(out, "kept {}", chain.display())?,
    }
    Ok(())
}

/// Mints the server's certificate into a folder of keys that has a root.
///
/// The key is made once and kept; only certificates replace each other. So key and certificate always fit each other,
/// even if this process is killed.
pub fn server_cert(
    keys: &KeyFolder,
    required: &CertificateRequirements,
    clock: impl Clock,
) -> Result<Outcome, ServerCertError> {
    if required.hosts.is_empty() {
        return Err(ServerCertError::NoHost);
    }
    // Read first, so that no wrong folder is created.
    crate::authority::read_root(keys)?;
    let failed = |source| ServerCertError::Folder { path: keys.path().to_owned(), source };
    let _lock = keys.lock().map_err(failed)?;
    let authority = Authority::open(keys.path(), clock)?;
    let folder = keys.server();
    keyfiles::make_folder(folder.path(), 0o700)?;
    let key = key(&folder)?;
    let at = authority.now().as_seconds();
    if required.if_needed && serves(&folder, authority.root(), &key, &required.hosts, at) {
        return Ok(Outcome::Kept);
    }
    let certificate = authority.issue_server(&distinct(&required.hosts), &key.subject_public_key_info())?;
    let root = pem::certificate(authority.root().der());
    let chain = format!("{}{root}", pem::certificate(certificate.der()));
    keyfiles::write(&folder.root_certificate(), root.as_bytes(), 0o644)?;
    keyfiles::write(&folder.chain(), chain.as_bytes(), 0o644)?;
    Ok(Outcome::Minted)
}

/// The server's key: the present one, or else a new one.
fn key(folder: &ServerFolder) -> Result<KeyPair, ServerCertError> {
    let path = folder.key();
    match keyfiles::read(&path).map(Zeroizing::new) {
        Ok(pem) => match KeyPair::from_pem(&pem) {
            Ok(key) if key.is_compatible(&rcgen::PKCS_ECDSA_P256_SHA256) => Ok(key),
            Ok(_) | Err(_) => Err(ServerCertError::Key(path)),
        },
        Err(error) if error.is_missing() => {
            let key = KeyPair::generate().map_err(|_| ServerCertError::MakeKey)?;
            keyfiles::write(&path, pem::private_key(key.serialized_der()).as_bytes(), 0o600)?;
            Ok(key)
        }
        Err(error) => Err(error.into()),
    }
}

/// The present certificate of a server, if it can be read.
pub(super) fn present(folder: &ServerFolder) -> Option<ServerCertificate> {
    let chain = pem::read_chain(&keyfiles::read(&folder.chain()).ok()?)?;
    ServerCertificate::from_der(chain.first()?).ok()
}

/// Returns true if the present certificate is for this key, this root and these hosts, and has enough time left.
fn serves(folder: &ServerFolder, root: &RootCertificate, key: &KeyPair, hosts: &[Host], at: i64) -> bool {
    let chain = keyfiles::read(&folder.chain()).ok().and_then(|pem| pem::read_chain(&pem));
    let root_there = keyfiles::read(&folder.root_certificate()).ok();
    let root_fits =
        root_there.is_some_and(|pem| RootCertificate::from_pem(&pem, &AwsLc).as_ref() == Ok(root));
    let (Some(certificate), Some([_, second])) = (present(folder), chain.as_deref()) else {
        return false;
    };
    let (mut there, mut wanted) = (distinct(certificate.hosts()), distinct(hosts));
    there.sort();
    wanted.sort();
    root_fits
        && second.as_slice() == root.der()
        && certificate.spki_der() == key.subject_public_key_info()
        && there == wanted
        && certificate.verify(root, at).is_ok()
        && certificate.not_after().saturating_sub(at) >= ENOUGH
}

/// Each host once, in the order in which they were named.
fn distinct(hosts: &[Host]) -> Vec<Host> {
    let mut distinct = Vec::new();
    for host in hosts {
        if !distinct.contains(host) {
            distinct.push(host.clone());
        }
    }
    distinct
}
