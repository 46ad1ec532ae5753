//! Reads the public key from a sender's leaf certificate, and nothing else.

use x509_parser::certificate::X509CertificateParser;
use x509_parser::nom::Parser as _;

use crate::p256::{P256KeyError, P256PublicKey};
use crate::verifier::Verifier;

/// The reasons why a leaf certificate's key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Not one DER-encoded certificate.
    #[error("not a certificate")]
    Malformed,
    /// Its key is not on P-256.
    #[error("the certificate's key is refused: {0}")]
    Key(#[source] P256KeyError),
}

/// The public key of a DER certificate. The caller must check everything else: issuer, validity, names, usages and
/// revocation.
pub fn leaf_public_key(der: &[u8], verifier: &dyn Verifier) -> Result<P256PublicKey, LeafError> {
    let parsed = X509CertificateParser::new().with_deep_parse_extensions(false).parse(der);
    let Ok(([], certificate)) = parsed else {
        return Err(LeafError::Malformed);
    };
    P256PublicKey::from_spki_der(certificate.tbs_certificate.subject_pki.raw, verifier)
        .map_err(LeafError::Key)
}
