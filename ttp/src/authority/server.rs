//! Server certificates, which the operator asks for at the command line.

use parlour_keylog::{CertificateError, Host, ServerCertificate};
use thiserror::Error;

use super::Authority;
use crate::ledger::{CertificateKind, IssuedCertificate, LedgerError};
use crate::profile::{self, ProfileError};

/// The reasons why no server certificate was issued.
#[derive(Debug, Error)]
pub enum ServerIssueError {
    /// It could not be made.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The new certificate is not valid.
    #[error("the certificate that was made is not good: {0}")]
    Certificate(#[from] CertificateError),
    /// It could not be recorded.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Authority {
    /// Issues a certificate for a server's public key (`SubjectPublicKeyInfo`, DER) on some hosts.
    pub fn issue_server(&self, hosts: &[Host], spki: &[u8]) -> Result<ServerCertificate, ServerIssueError> {
        let now = self.now();
        let der = profile::server(&self.issuer, hosts, spki, now)?;
        let certificate = ServerCertificate::from_der(&der)?;
        certificate.verify(&self.root, now.as_seconds())?;
        let names: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        self.ledger.transact(|ledger| {
            ledger.add_certificate(&IssuedCertificate {
                kind: CertificateKind::Server,
                name: names.join(","),
                device: None,
                serial: certificate.serial().to_owned(),
                not_before: certificate.not_before(),
                not_after: certificate.not_after(),
                der,
                issued: now,
                revoked: None,
            })
        })?;
        tracing::info!(hosts = names.join(","), "issued a server certificate");
        Ok(certificate)
    }
}
