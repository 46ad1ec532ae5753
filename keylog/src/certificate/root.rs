//! The root: the one certificate that a client trusts.

use std::fmt;

use parlour_protocol::Fingerprint;
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::KeyUsage;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;

use super::key::is_p256;
use super::reading::Reading;
use super::{CERTIFICATE_BYTES, CertificateError};

/// A certificate that may issue others: CA:TRUE, `keyCertSign`, a P-256 key, signed by itself.
/// Having one says nothing about trust: that comes from its [`fingerprint`](Self::fingerprint).
#[derive(Clone, PartialEq, Eq)]
pub struct RootCertificate {
    der: Vec<u8>,
    common_name: String,
    spki_der: Vec<u8>,
    serial: String,
    not_before: i64,
    not_after: i64,
}

impl RootCertificate {
    /// Reads a DER certificate and checks the profile and its own signature.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
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
        if !is_p256(reading.spki()) {
            return Err(CertificateError::PublicKey);
        }
        if !reading.is_self_issued() {
            return Err(CertificateError::Issuer);
        }
        reading.check_signature(&reading)?;
        Ok(Self {
            der: der.to_vec(),
            common_name,
            spki_der: reading.spki().to_vec(),
            serial: reading.serial(),
            not_before: reading.not_before(),
            not_after: reading.not_after(),
        })
    }

    /// Reads exactly one PEM certificate, as in `ca.crt`; text around the block is skipped.
    pub fn from_pem(pem: &str) -> Result<Self, CertificateError> {
        // Base64 takes four characters for three bytes; the rest is room for line breaks and comments.
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
        Self::from_der(&block.contents)
    }

    /// SHA-256 of the DER: what an invitation names.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(&self.der).into())
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

/// CA:TRUE, with any length of path or none: the length is always one.
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
