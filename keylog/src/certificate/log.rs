//! The certificate of the key that signs the key log.

use super::reading::{self, Reading};
use super::{CertificateError, RootCertificate};

/// The common name of every log certificate.
const COMMON_NAME: &str = "parlour log";

/// `keyUsage` with digitalSignature alone (RFC 5280, 4.2.1.3).
const DIGITAL_SIGNATURE_ONLY: &[u8] = &[0x03, 0x02, 0x07, 0x80];

/// `SubjectPublicKeyInfo` of an Ed25519 key (RFC 8410, section 4) up to the key itself.
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Certifies the Ed25519 key that signs the TTP's key log: CN = `parlour log`, digitalSignature alone, no
/// extended use, no alternative name, CA:FALSE. The root signs it with ECDSA, like every other certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogCertificate {
    der: Vec<u8>,
    public_key: [u8; 32],
    not_before: i64,
    not_after: i64,
    serial: String,
}

/// The key in the `SubjectPublicKeyInfo` of an Ed25519 key. It may not be a point of the curve: that shows when it is
/// used.
fn ed25519_key(spki_der: &[u8]) -> Option<[u8; 32]> {
    spki_der.strip_prefix(&ED25519_PREFIX)?.try_into().ok()
}

impl LogCertificate {
    /// Reads a DER certificate and checks the profile. [`verify`](Self::verify) checks issuer and validity.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let reading = Reading::new(der)?;
        if reading.common_name()? != COMMON_NAME {
            return Err(CertificateError::CommonName);
        }
        if reading.alternative_name().is_some() {
            return Err(CertificateError::AlternativeName);
        }
        reading.check_no_authority()?;
        if reading.key_usage() != Some(DIGITAL_SIGNATURE_ONLY) {
            return Err(CertificateError::KeyUsage);
        }
        if reading.extended_key_usage().is_some() {
            return Err(CertificateError::ExtendedKeyUsage);
        }
        Ok(Self {
            public_key: ed25519_key(reading.spki()).ok_or(CertificateError::PublicKey)?,
            not_before: reading.not_before(),
            not_after: reading.not_after(),
            serial: reading.serial(),
            der: der.to_vec(),
        })
    }

    /// Checks that the root issued it and that both are valid at `at`, in Unix seconds.
    pub fn verify(&self, root: &RootCertificate, at: i64) -> Result<(), CertificateError> {
        reading::verify(&self.der, root, at)
    }

    /// The half of [`verify`](Self::verify) that is the same at any time: checks that the root issued it.
    pub fn check_issuer(&self, root: &RootCertificate) -> Result<(), CertificateError> {
        reading::check_issuer(&self.der, root)
    }

    /// The certificate as it was read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The common name, which is the same for all.
    pub fn common_name(&self) -> &'static str {
        COMMON_NAME
    }

    /// The log's public key (Ed25519, RFC 8032).
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public_key
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
