//! The certificate of a user's device.

use parlour_envelope::p256::point_in_spki;
use parlour_protocol::{DeviceId, UserName};
use sha2::{Digest as _, Sha256};

use super::reading::{self, Reading};
use super::{CertificateError, RootCertificate};

/// `extKeyUsage` with clientAuth alone (RFC 5280, 4.2.1.12).
const CLIENT_AUTH_ONLY: &[u8] = &[0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

/// `keyUsage` with digitalSignature alone (RFC 5280, 4.2.1.3).
const DIGITAL_SIGNATURE_ONLY: &[u8] = &[0x03, 0x02, 0x07, 0x80];

/// The device id of a public key (`SubjectPublicKeyInfo`, DER).
pub fn device_id(spki_der: &[u8]) -> DeviceId {
    DeviceId::from_key_hash(&Sha256::digest(spki_der).into())
}

/// Certifies the P-256 key of a user's device: CN = NAME, alternative name the URI `parlour:NAME/DEVICE-ID` alone,
/// clientAuth and digitalSignature alone, CA:FALSE, and the device id is that of the key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceCertificate {
    der: Vec<u8>,
    user: UserName,
    device: DeviceId,
    spki_der: Vec<u8>,
    public_point: [u8; 65],
    not_before: i64,
    not_after: i64,
    serial: String,
}

impl DeviceCertificate {
    /// Reads a DER certificate and checks the profile. [`verify`](Self::verify) checks issuer and validity.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let reading = Reading::new(der)?;
        let user: UserName = reading.common_name()?.parse().map_err(|_| CertificateError::UserName)?;
        let uri = sole_uri(reading.alternative_name()).ok_or(CertificateError::AlternativeName)?;
        let (named, device) = read_uri(uri).ok_or(CertificateError::AlternativeName)?;
        if named != user {
            return Err(CertificateError::NameMismatch);
        }
        reading.check_no_authority()?;
        if reading.key_usage() != Some(DIGITAL_SIGNATURE_ONLY) {
            return Err(CertificateError::KeyUsage);
        }
        if reading.extended_key_usage() != Some(CLIENT_AUTH_ONLY) {
            return Err(CertificateError::ExtendedKeyUsage);
        }
        let public_point = point_in_spki(reading.spki()).ok_or(CertificateError::PublicKey)?;
        if device_id(reading.spki()) != device {
            return Err(CertificateError::DeviceMismatch);
        }
        Ok(Self {
            user,
            device,
            spki_der: reading.spki().to_vec(),
            public_point,
            not_before: reading.not_before(),
            not_after: reading.not_after(),
            serial: reading.serial(),
            der: der.to_vec(),
        })
    }

    /// Checks that the root issued it and that both are valid at `at`, in Unix seconds.
    pub fn verify(&self, root: &RootCertificate, at: i64) -> Result<(), CertificateError> {
        self.check_issuer(root)?;
        self.check_time(root, at)
    }

    /// The half of [`verify`](Self::verify) that does not depend on the time: checks that the root issued it.
    pub fn check_issuer(&self, root: &RootCertificate) -> Result<(), CertificateError> {
        reading::check_issuer(&self.der, root)
    }

    /// The other half: checks that both are valid at `at`, in Unix seconds.
    pub fn check_time(&self, root: &RootCertificate, at: i64) -> Result<(), CertificateError> {
        reading::check_time(self.not_before..=self.not_after, root, at)
    }

    /// The certificate as it was read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The device's owner.
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// The device's id.
    pub fn device(&self) -> &DeviceId {
        &self.device
    }

    /// The device's public key (`SubjectPublicKeyInfo`, DER).
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The device's public key as an uncompressed point: 0x04, x, y.
    pub fn public_point(&self) -> &[u8; 65] {
        &self.public_point
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

/// The text of `GeneralNames` that hold one URI (tag 6) and nothing else. These names are short, so each length
/// takes one byte.
fn sole_uri(alternative_name: Option<&[u8]>) -> Option<&str> {
    let [0x30, outer, 0x86, inner, uri @ ..] = alternative_name? else {
        return None;
    };
    let length = uri.len();
    if length > 125 || usize::from(*inner) != length || usize::from(*outer) != length + 2 {
        return None;
    }
    std::str::from_utf8(uri).ok()
}

/// `parlour:NAME/DEVICE-ID`
fn read_uri(uri: &str) -> Option<(UserName, DeviceId)> {
    let (name, device) = uri.strip_prefix("parlour:")?.split_once('/')?;
    Some((name.parse().ok()?, device.parse().ok()?))
}
