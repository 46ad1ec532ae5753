//! The key log's signer: the log's key and its certificate, which is issued here if there is none.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parlour_keylog::{Leaf, LeafKind, LogCertificate, RootCertificate, revocation_signing_input};
use parlour_protocol::Timestamp;
use parlour_protocol::ttp::Revocation;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use super::OpenError;
use crate::folder::AuthorityFolder;
use crate::keyfiles;
use crate::ledger::{CertificateKind, IssuedCertificate, Ledger};
use crate::pem;
use crate::profile::{self, RootIssuer};

/// Signs the key log's statements.
pub(crate) struct LogSigner {
    key: Ed25519KeyPair,
    certificate: LogCertificate,
}

impl LogSigner {
    /// Reads the log's key and its certificate, which is issued if the folder predates it. The ledger has the
    /// certificate; the file beside the key is a copy, and is written again if it is missing.
    pub(crate) fn open(
        folder: &AuthorityFolder,
        root: &RootCertificate,
        issuer: &RootIssuer,
        ledger: &Ledger,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        let key = read_key(folder)?;
        // The method's path does not fit the lifetimes of `read`'s argument.
        #[allow(clippy::redundant_closure_for_method_calls)]
        let kept = ledger.read(|ledger| ledger.log_certificate())?;
        let certificate = match kept {
            Some(der) => LogCertificate::from_der(&der).map_err(OpenError::LogCertificate)?,
            None => ledger.transact(|ledger| {
                // Another process may have issued it meanwhile.
                if let Some(der) = ledger.log_certificate()? {
                    return LogCertificate::from_der(&der).map_err(OpenError::LogCertificate);
                }
                let certificate = mint(root, issuer, &key, now)?;
                ledger.add_certificate(&IssuedCertificate::of_log(&certificate, now))?;
                Ok(certificate)
            })?,
        };
        certificate.check_issuer(root).map_err(OpenError::LogCertificate)?;
        if certificate.public_key().as_slice() != key.public_key().as_ref() {
            return Err(OpenError::LogPair);
        }
        let text = pem::certificate(certificate.der());
        let path = folder.log_certificate();
        if !keyfiles::read(&path).is_ok_and(|there| there == text) {
            keyfiles::write(&path, text.as_bytes(), 0o644)?;
        }
        Ok(Self { key, certificate })
    }

    /// Adds the statement that proves it to a revocation. It is the same statement each time, because Ed25519 uses no
    /// random numbers.
    pub(crate) fn state(&self, revocation: Revocation) -> Revocation {
        let leaf = revocation_leaf(&revocation);
        let mut statement = revocation_signing_input(revocation.number, &leaf, &self.certificate);
        let signature = self.key.sign(statement.as_bytes());
        statement.push('.');
        statement.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Revocation { statement: Some(statement), ..revocation }
    }
}

/// The leaf of a revocation in the key log.
pub(super) fn revocation_leaf(revocation: &Revocation) -> Leaf {
    Leaf {
        kind: LeafKind::Revocation { name: revocation.name.clone(), device: revocation.device.clone() },
        time: revocation.time,
        certificates: Vec::new(),
    }
}

fn read_key(folder: &AuthorityFolder) -> Result<Ed25519KeyPair, OpenError> {
    parse_key(&Zeroizing::new(keyfiles::read(&folder.log_key())?))
}

/// Reads the log's key: PKCS#8 in PEM.
pub(crate) fn parse_key(pem: &str) -> Result<Ed25519KeyPair, OpenError> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| OpenError::LogKey)?;
    Ed25519KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| OpenError::LogKey)
}

fn mint(
    root: &RootCertificate,
    issuer: &RootIssuer,
    key: &Ed25519KeyPair,
    now: Timestamp,
) -> Result<LogCertificate, OpenError> {
    let spki: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(|_| OpenError::LogKey)?;
    let der = profile::log(issuer, root, spki.as_ref(), now)?;
    let certificate = LogCertificate::from_der(&der).map_err(OpenError::LogCertificate)?;
    certificate.verify(root, now.as_seconds()).map_err(OpenError::LogCertificate)?;
    Ok(certificate)
}

impl IssuedCertificate {
    fn of_log(certificate: &LogCertificate, now: Timestamp) -> Self {
        Self {
            kind: CertificateKind::Log,
            name: certificate.common_name().to_owned(),
            device: None,
            serial: certificate.serial().to_owned(),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            der: certificate.der().to_vec(),
            issued: now,
            revoked: None,
        }
    }
}
