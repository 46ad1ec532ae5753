//! The authority: it issues certificates, and never gives a name to a second account.

mod enrol;
pub(crate) mod log;
mod outcome;
mod renew;
mod revoke;
mod server;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use parlour_envelope::AwsLc;
use parlour_keylog::{CertificateError, RootCertificate};
use parlour_protocol::ttp::{Issued, Revocation, TtpRefusal};
use parlour_protocol::{DeviceId, Timestamp, UserName};
use rcgen::{Issuer, KeyPair};
use thiserror::Error;
use zeroize::Zeroizing;

pub(crate) use log::LogSigner;
pub use revoke::{RevokeRefusal, Revoked};
pub use server::ServerIssueError;

use crate::clock::Clock;
use crate::folder::{AuthorityFolder, KeyFolder};
use crate::keyfiles::{self, KeyFileError};
use crate::ledger::{Ledger, LedgerError};
use crate::profile::{ProfileError, RootIssuer};

/// The reasons why the authority cannot work.
#[derive(Debug, Error)]
pub enum OpenError {
    /// There is no root in this folder.
    #[error("there is no root in {}", .0.display())]
    NoRoot(std::path::PathBuf),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The root certificate cannot be used.
    #[error("the root certificate cannot be used: {0}")]
    Root(#[from] CertificateError),
    /// The root key cannot be used.
    #[error("the root key cannot be used: {0}")]
    Key(rcgen::Error),
    /// Root key and root certificate are not a pair.
    #[error("the root key does not belong to the root certificate")]
    Pair,
    /// The log's key is no Ed25519 key.
    #[error("the log's key cannot be used")]
    LogKey,
    /// The log's certificate cannot be used, or was issued by another root.
    #[error("the log's certificate cannot be used: {0}")]
    LogCertificate(CertificateError),
    /// Log key and log certificate are not a pair.
    #[error("the log's key does not belong to the log's certificate")]
    LogPair,
    /// The log's certificate cannot be issued.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The database cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Everything that is needed to issue certificates: the root's key, the log's, the database and a clock.
pub struct Authority {
    root: RootCertificate,
    issuer: RootIssuer,
    log: LogSigner,
    ledger: Ledger,
    clock: Box<dyn Clock>,
}

impl Authority {
    /// Opens the folder of keys, as the command `init` made it.
    pub fn open(keys: impl AsRef<Path>, clock: impl Clock) -> Result<Self, OpenError> {
        let folder = KeyFolder::new(keys.as_ref()).authority();
        let root = read_root(&KeyFolder::new(keys.as_ref()))?;
        if keyfiles::is_open_to_others(&folder.root_key()) {
            tracing::warn!(path = %folder.root_key().display(), "others can read the root's key");
        }
        let issuer = read_issuer(&folder, &root)?;
        let ledger = Ledger::open(&folder.database())?;
        let log = LogSigner::open(&folder, &root, &issuer, &ledger, clock.now())?;
        Ok(Self { root, issuer, log, ledger, clock: Box::new(clock) })
    }

    /// The root.
    pub fn root(&self) -> &RootCertificate {
        &self.root
    }

    /// The database.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Issues both certificates for a free name to the sender of an enrolment request (a compact JWS). The same
    /// request gets the same answer again.
    pub fn enrol(&self, request: &str) -> Result<Issued, TtpRefusal> {
        outcome::issued(&self.enrol_line(request)?)
    }

    /// Issues a fresh device certificate to a known device that sends a renewal request (a compact JWS). The same
    /// request gets the same answer again. Until half of the newest certificate's time is over, that one is returned.
    pub fn renew(&self, request: &str) -> Result<Issued, TtpRefusal> {
        outcome::issued(&self.renew_line(request)?)
    }

    /// Revokes one device of a name, or all of them at once. Earlier revocations stay as they are.
    pub fn revoke(&self, name: &UserName, device: Option<&DeviceId>) -> Result<Vec<Revoked>, RevokeRefusal> {
        revoke::revoke(self, name, device)
    }

    /// Up to `most` revocations with numbers above `after`, in order, each with its signed statement.
    pub fn revocations_after(&self, after: u64, most: u32) -> Result<Vec<Revocation>, LedgerError> {
        let revocations = self.ledger.read(|ledger| ledger.revocations_after(after, most))?;
        Ok(revocations.into_iter().map(|revocation| self.log.state(revocation)).collect())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Reads the root certificate of a folder of keys.
pub(crate) fn read_root(keys: &KeyFolder) -> Result<RootCertificate, OpenError> {
    match read_root_of(&keys.authority()) {
        Err(OpenError::File(error)) if error.is_missing() => Err(OpenError::NoRoot(keys.path().to_owned())),
        read => read,
    }
}

/// Reads the root certificate among the TTP's files.
pub(crate) fn read_root_of(folder: &AuthorityFolder) -> Result<RootCertificate, OpenError> {
    Ok(RootCertificate::from_pem(&keyfiles::read(&folder.root_certificate())?, &AwsLc)?)
}

/// Reads the root's key, which must belong to `root`.
pub(crate) fn read_issuer(folder: &AuthorityFolder, root: &RootCertificate) -> Result<RootIssuer, OpenError> {
    parse_issuer(&Zeroizing::new(keyfiles::read(&folder.root_key())?), root)
}

/// Parses the root's key in PEM, which must belong to `root`.
pub(crate) fn parse_issuer(pem: &str, root: &RootCertificate) -> Result<RootIssuer, OpenError> {
    let key = KeyPair::from_pem(pem).map_err(OpenError::Key)?;
    if rcgen::PublicKeyData::subject_public_key_info(&key) != root.spki_der() {
        return Err(OpenError::Pair);
    }
    Issuer::from_ca_cert_der(&root.der().into(), key).map_err(OpenError::Key)
}

impl OpenError {
    /// Advice for the operator.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoRoot(keys) => Some(format!(
                "make one with 'parlour-ttp init --keys {}', or name the folder with --keys",
                keys.display()
            )),
            Self::File(error) => error.hint(),
            Self::Profile(_) => None,
            Self::Root(_)
            | Self::Key(_)
            | Self::Pair
            | Self::LogKey
            | Self::LogCertificate(_)
            | Self::LogPair => {
                Some("put the files back as 'parlour-ttp init' made them, from your copy".to_owned())
            }
            Self::Ledger(error) => error.hint(),
        }
    }
}

/// The issuer's key and the log's are secret and left out.
impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("root", &self.root).finish_non_exhaustive()
    }
}
