//! The root: the one certificate that a client trusts.

use std::fmt;

use parlour_envelope::Verifier;
use parlour_envelope::p256::point_in_spki;
use parlour_protocol::Fingerprint;
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::KeyUsage;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;

use super::reading::Reading;
use super::{CERTIFICATE_BYTES, CertificateError};

/// A certificate that may issue others: CA:TRUE, `keyCertSign`, a P-256 key, signed by itself. Its existence does
/// not make it trusted: that depends on its [`fingerprint`](Self::fingerprint).
#[derive(Clone)]
pub struct RootCertificate {
    der: Vec<u8>,
    verifier: &'static dyn Verifier,
    public_point: [u8; 65],
    common_name: String,
    spki_der: Vec<u8>,
    serial: String,
    not_before: i64,
    not_after: i64,
}

impl PartialEq for RootCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for RootCertificate {}

impl RootCertificate {
    /// Reads a DER certificate and checks the profile and its own signature. The `verifier` also checks the
    /// signatures of all certificates that are verified to this root.
    pub fn from_der(der: &[u8], verifier: &'static dyn Verifier) -> Result<Self, CertificateError> {
        let reading = Reading::new(der)?;
        let common_name = reading.common_name()?.to_owned();
        if !may_issue(reading.basic_constraints()) {
            return Err(CertificateError::BasicConstraints);
        }
        if !signs_certificates(reading.key_usage()) {
            return Err(CertificateError::KeyUsage);
        }
        if reading.extended_key_usage().is_some() {
            return Err(CertificateError::ExtendedKeyUsage);
        }
        if reading.alternative_name().is_some() {
            return Err(CertificateError::AlternativeName);
        }
        let public_point = point_in_spki(reading.spki()).ok_or(CertificateError::PublicKey)?;
        if !reading.is_self_issued() {
            return Err(CertificateError::Issuer);
        }
        reading.check_signature(&public_point, verifier)?;
        Ok(Self {
            der: der.to_vec(),
            verifier,
            public_point,
            common_name,
            spki_der: reading.spki().to_vec(),
            serial: reading.serial(),
            not_before: reading.not_before(),
            not_after: reading.not_after(),
        })
    }

    /// Reads exactly one PEM certificate, as in `ca.crt`; text around the block is skipped.
    pub fn from_pem(pem: &str, verifier: &'static dyn Verifier) -> Result<Self, CertificateError> {
        // Base64 uses four characters for three bytes; the rest is room for line breaks and comments.
        if pem.len() > 4 * CERTIFICATE_BYTES {
            return Err(CertificateError::TooLong);
        }
        let mut blocks = Pem::iter_from_buffer(pem.as_bytes());
        let (Some(Ok(block)), None) = (blocks.next(), blocks.next()) else {
            return Err(CertificateError::Pem);
        };
        if block.label != "CERTIFICATE" {
            return Err(CertificateError::Pem);
        }
        Self::from_der(&block.contents, verifier)
    }

    /// The SHA-256 of the DER, as in an invitation.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(&self.der).into())
    }

    /// The verifier of all signatures below this root.
    pub(crate) fn verifier(&self) -> &'static dyn Verifier {
        self.verifier
    }

    /// Checks a signature of the root, ECDSA with SHA-256 in ASN.1 DER.
    pub(super) fn check_signature(&self, message: &[u8], signature: &[u8]) -> Result<(), CertificateError> {
        self.verifier
            .p256_asn1(&self.public_point, message, signature)
            .map_err(|_| CertificateError::Signature)
    }

    /// The certificate as it was read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The common name of subject and issuer.
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// The root's public key (`SubjectPublicKeyInfo`, DER).
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The first second in which it is valid, Unix time.
    pub fn not_before(&self) -> i64 {
        self.not_before
    }

    /// The last second in which it is valid, Unix time.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// The serial number in lower-case hexadecimal.
    pub fn serial(&self) -> &str {
        &self.serial
    }
}

/// Left out for length only: the DER, the key, the serial number and the times.
impl fmt::Debug for RootCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootCertificate")
            .field("common_name", &self.common_name)
            .field("fingerprint", &self.fingerprint())
            .finish_non_exhaustive()
    }
}

/// CA:TRUE with any path length or none, because paths here always have length one.
fn may_issue(basic_constraints: Option<&[u8]>) -> bool {
    matches!(
        basic_constraints,
        Some([0x30, 0x03, 0x01, 0x01, 0xff] | [0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0x00..=0x7f])
    )
}

fn signs_certificates(key_usage: Option<&[u8]>) -> bool {
    match key_usage.map(KeyUsage::from_der) {
        Some(Ok(([], usage))) => usage.key_cert_sign(),
        _ => false,
    }
}
