//! An account's public key, ready to wrap content keys to it.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use parlour_envelope::AccountPublicKey;
use parlour_envelope::account_public_key::{AccountKeyError, MODULUS_BYTES};

use crate::private_key::KeyFailure;

/// Bytes in a wrapped content key, which is as long as the modulus.
pub const WRAPPED_LEN: usize = MODULUS_BYTES;

/// A public account key, prepared once for wrapping. Copies share the preparation.
#[derive(Clone)]
pub struct WrappingKey {
    public: AccountPublicKey,
    oaep: Arc<OaepPublicEncryptingKey>,
}

impl PartialEq for WrappingKey {
    fn eq(&self, other: &Self) -> bool {
        self.public == other.public
    }
}

impl Eq for WrappingKey {}

impl WrappingKey {
    /// Reads a DER `SubjectPublicKeyInfo` and checks size and exponent.
    pub fn from_spki_der(spki: &[u8]) -> Result<Self, AccountKeyError> {
        let public = AccountPublicKey::from_spki_der(spki)?;
        let oaep = PublicEncryptingKey::from_der(spki)
            .and_then(|key| OaepPublicEncryptingKey::new(key).map_err(Into::into))
            .map_err(|_| AccountKeyError::NotRsa)?;
        Ok(Self { public, oaep: Arc::new(oaep) })
    }

    /// The DER `SubjectPublicKeyInfo`.
    pub fn to_spki_der(&self) -> &[u8] {
        self.public.to_spki_der()
    }

    /// The key's name in an envelope: its RFC 7638 SHA-256 thumbprint, 43 characters of base64url.
    pub fn kid(&self) -> &str {
        self.public.kid()
    }

    /// Wraps a content key with RSA-OAEP, SHA-256 for both hashes and no label (RFC 7518 section 4.3,
    /// `RSA-OAEP-256`). Returns 384 bytes.
    pub fn wrap_cek(&self, cek: &[u8; 32]) -> Result<Vec<u8>, KeyFailure> {
        let mut wrapped = vec![0; WRAPPED_LEN];
        let written = self.oaep.encrypt(&OAEP_SHA256_MGF1SHA256, cek, &mut wrapped, None);
        let whole = written.is_ok_and(|written| written.len() == WRAPPED_LEN);
        if whole { Ok(wrapped) } else { Err(KeyFailure::Wrap) }
    }
}

impl fmt::Debug for WrappingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Left out for length only: oaep. The thumbprint names the key.
        formatter.debug_struct("WrappingKey").field("kid", &self.kid()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_people::sam;

    #[test]
    fn a_key_round_trips() {
        let key = sam().account.public();
        let read = WrappingKey::from_spki_der(key.to_spki_der()).unwrap();
        assert_eq!(&read, key);
        assert_eq!(read.kid(), key.kid());
    }

    #[test]
    fn a_devices_key_is_refused() {
        let read = WrappingKey::from_spki_der(&sam().device.public_spki());
        assert_eq!(read, Err(AccountKeyError::NotRsa));
    }
}
