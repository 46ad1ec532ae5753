//! The seal key: ECDH on P-256, one for each device, to seal what is meant for this device alone.

use std::fmt;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use parlour_envelope::{AwsLc, P256PublicKey};
use zeroize::Zeroizing;

use crate::private_key::{self, KeyFailure, ReadKeyError};

/// A device's private key for key agreement.
///
/// aws-lc-rs clears its memory when it is dropped. It draws the key from its own generator and cannot take
/// randomness as an argument.
pub struct SealKey {
    private: PrivateKey,
    public: P256PublicKey,
}

impl SealKey {
    /// Makes a new key.
    pub fn generate() -> Result<Self, KeyFailure> {
        let private = PrivateKey::generate(&ECDH_P256).map_err(|_| KeyFailure::Generate)?;
        Self::new(private).ok_or(KeyFailure::Generate)
    }

    /// Reads an unencrypted PKCS#8 key in PEM.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, ReadKeyError> {
        let document = private_key::from_pem(pem)?;
        let private = PrivateKey::from_private_key_der(&ECDH_P256, document.as_bytes())
            .map_err(|_| ReadKeyError::WrongKey)?;
        Self::new(private).ok_or(ReadKeyError::WrongKey)
    }

    fn new(private: PrivateKey) -> Option<Self> {
        let point = private.compute_public_key().ok()?.as_ref().try_into().ok()?;
        Some(Self { private, public: P256PublicKey::from_point(point, &AwsLc).ok()? })
    }

    /// The key as PKCS#8 version 1 in PEM, which OpenSSL and Python's cryptography read.
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, KeyFailure> {
        let der: Pkcs8V1Der<'_> = self.private.as_der().map_err(|_| KeyFailure::Export)?;
        private_key::to_pem(der.as_ref())
    }

    /// The public half.
    pub fn public(&self) -> &P256PublicKey {
        &self.public
    }

    /// The public half as a DER `SubjectPublicKeyInfo`.
    pub fn public_spki(&self) -> Vec<u8> {
        self.public.to_spki_der()
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Left out: private.
        formatter.debug_struct("SealKey").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_read_from_pem_has_the_same_public_half() {
        let key = SealKey::generate().unwrap();
        let read = SealKey::from_pkcs8_pem(&key.to_pkcs8_pem().unwrap()).unwrap();
        assert_eq!(read.public_spki(), key.public_spki());
    }

    #[test]
    fn a_key_of_another_kind_is_refused() {
        let account = crate::test_people::sam().account.to_pkcs8_pem().unwrap();
        assert_eq!(SealKey::from_pkcs8_pem(&account).err(), Some(ReadKeyError::WrongKey));
    }
}
