//! The certificate of a user's account key.

use parlour_envelope::AccountPublicKey;
use parlour_protocol::UserName;

use super::reading::{self, Reading};
use super::{CertificateError, RootCertificate};

/// `keyUsage` with keyEncipherment alone (RFC 5280, 4.2.1.3).
const KEY_ENCIPHERMENT_ONLY: &[u8] = &[0x03, 0x02, 0x05, 0x20];

/// Certifies the RSA key to which a user's messages are sealed: CN = NAME, keyEncipherment alone, no extended use,
/// no alternative name, CA:FALSE, 3072 bits, exponent 65537.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountCertificate {
    der: Vec<u8>,
    user: UserName,
    spki_der: Vec<u8>,
    kid: String,
    not_before: i64,
    not_after: i64,
    serial: String,
}

impl AccountCertificate {
    /// Reads a DER certificate and checks the profile. [`verify`](Self::verify) checks issuer and validity.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let reading = Reading::new(der)?;
        let user: UserName = reading.common_name()?.parse().map_err(|_| CertificateError::UserName)?;
        if reading.alternative_name().is_some() {
            return Err(CertificateError::AlternativeName);
        }
        reading.check_no_authority()?;
        if reading.key_usage() != Some(KEY_ENCIPHERMENT_ONLY) {
            return Err(CertificateError::KeyUsage);
        }
        if reading.extended_key_usage().is_some() {
            return Err(CertificateError::ExtendedKeyUsage);
        }
        let key = AccountPublicKey::from_spki_der(reading.spki()).map_err(|_| CertificateError::PublicKey)?;
        Ok(Self {
            user,
            kid: key.kid().to_owned(),
            spki_der: reading.spki().to_vec(),
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

    /// The certificate as it was read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The account's owner.
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// The account's public key (`SubjectPublicKeyInfo`, DER).
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The RFC 7638 thumbprint of the account key, base64url: the `kid` of a key wrapped to it.
    pub fn kid(&self) -> &str {
        &self.kid
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
