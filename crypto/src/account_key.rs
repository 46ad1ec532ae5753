//! The account key: RSA-3072, opens the messages that the server keeps for a user, shared by her devices.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use parlour_envelope::account_public_key::MODULUS_BITS;
use rand_core::CryptoRng;
use rsa::RsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey as _;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _};
use zeroize::Zeroizing;

use crate::private_key::{self, KeyFailure, ReadKeyError};
use crate::wrapping_key::{WRAPPED_LEN, WrappingKey};

/// An account's private key.
///
/// The `rsa` crate generates it. All operations with the private key run in aws-lc-rs in constant time, because
/// those of `rsa` leak timing (RUSTSEC-2023-0071). aws-lc-rs clears its memory when the key is dropped.
pub struct AccountKey {
    private: PrivateDecryptingKey,
    oaep: OaepPrivateDecryptingKey,
    /// The key for the stand-ins of content keys that cannot be unwrapped, see [`AccountKey::unwrap_or_stand_in`].
    stand_in: hmac::Key,
    public: WrappingKey,
}

/// The content key was wrapped for another key, or was altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the content key cannot be unwrapped")]
pub struct UnwrapError;

impl AccountKey {
    /// Makes a new key from the given randomness; takes about 0.2 s, sometimes 0.5 s or more.
    pub fn generate(rng: &mut impl CryptoRng) -> Result<Self, KeyFailure> {
        let bits = usize::try_from(MODULUS_BITS).map_err(|_| KeyFailure::Generate)?;
        let key = RsaPrivateKey::new(rng, bits).map_err(|_| KeyFailure::Generate)?;
        let der = key.to_pkcs8_der().map_err(|_| KeyFailure::Generate)?;
        Self::from_pkcs8_der(der.as_bytes()).map_err(|_| KeyFailure::Generate)
    }

    /// Reads an unencrypted PKCS#8 key in PEM; refuses everything but RSA-3072 with exponent 65537.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, ReadKeyError> {
        Self::from_pkcs8_der(private_key::from_pem(pem)?.as_bytes())
    }

    fn from_pkcs8_der(der: &[u8]) -> Result<Self, ReadKeyError> {
        let private = PrivateDecryptingKey::from_pkcs8(der).map_err(|_| ReadKeyError::WrongKey)?;
        let spki: PublicKeyX509Der<'_> = private.public_key().as_der().map_err(|_| ReadKeyError::WrongKey)?;
        let public = WrappingKey::from_spki_der(spki.as_ref()).map_err(|_| ReadKeyError::WrongKey)?;
        let oaep = OaepPrivateDecryptingKey::new(private.clone()).map_err(|_| ReadKeyError::WrongKey)?;
        Ok(Self { private, oaep, stand_in: stand_in_key(der), public })
    }

    /// The key as PKCS#8 version 1 in PEM.
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, KeyFailure> {
        private_key::to_pem(self.to_pkcs8_der()?.as_ref())
    }

    pub(crate) fn to_pkcs8_der(&self) -> Result<Pkcs8V1Der<'static>, KeyFailure> {
        self.private.as_der().map_err(|_| KeyFailure::Export)
    }

    /// The public half.
    pub fn public(&self) -> &WrappingKey {
        &self.public
    }

    /// Unwraps a content key: RSA-OAEP with SHA-256 for both hashes and no label.
    pub fn unwrap_cek(&self, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, UnwrapError> {
        let (cek, unwrapped) = self.unwrap_or_stand_in(wrapped);
        if bool::from(unwrapped) { Ok(cek) } else { Err(UnwrapError) }
    }

    /// Unwraps a content key, or returns a stand-in for it and says that it is one.
    ///
    /// RFC 7516 section 11.5 wants decryption to continue with a random content key when unwrapping fails, so that
    /// this failure looks like a later one. The stand-in here is not random but an HMAC of the wrapped bytes under
    /// a secret of this key: it is just as unpredictable to others and the same on every try, and reading needs no
    /// randomness.
    pub(crate) fn unwrap_or_stand_in(&self, wrapped: &[u8]) -> (Zeroizing<[u8; 32]>, Choice) {
        let stand_in = hmac::sign(&self.stand_in, wrapped);
        let mut output = Zeroizing::new([0; WRAPPED_LEN]);
        let opened: Option<&[u8]> = self
            .oaep
            .decrypt(&OAEP_SHA256_MGF1SHA256, wrapped, output.as_mut_slice(), None)
            .ok()
            .map(|cek| &*cek)
            .filter(|cek| cek.len() == 32);
        let unwrapped = Choice::from(u8::from(opened.is_some()));
        let mut cek = Zeroizing::new([0; 32]);
        let sources = opened.unwrap_or(&[0; 32]).iter().zip(stand_in.as_ref());
        for (byte, (real, other)) in cek.iter_mut().zip(sources) {
            *byte = u8::conditional_select(other, real, unwrapped);
        }
        (cek, unwrapped)
    }
}

/// A secret that only the holder of the private key can compute.
fn stand_in_key(der: &[u8]) -> hmac::Key {
    let secret: Zeroizing<[u8; 32]> = Zeroizing::new(
        Sha256::new().chain_update(b"parlour stand-in content key v1\0").chain_update(der).finalize().into(),
    );
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_slice())
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Left out: private, oaep, stand_in.
        formatter.debug_struct("AccountKey").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_people::{erik, sam};
    use rsa::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _};
    use rsa::{Oaep, RsaPublicKey};

    /// Data of any length wrapped for a key by the `rsa` crate.
    fn rsa_wrap(key: &WrappingKey, plain: &[u8]) -> Vec<u8> {
        let key = RsaPublicKey::from_public_key_der(key.to_spki_der()).unwrap();
        key.encrypt(&mut rand::rng(), Oaep::<Sha256>::new(), plain).unwrap()
    }

    #[test]
    fn the_two_libraries_wrap_and_unwrap_for_each_other() {
        let key = &sam().account;
        let cek = [7; 32];
        let by_aws = key.public().wrap_cek(&cek).unwrap();
        let by_rsa = rsa_wrap(key.public(), &cek);
        let rsa = RsaPrivateKey::from_pkcs8_pem(&key.to_pkcs8_pem().unwrap()).unwrap();
        for wrapped in [by_rsa, by_aws] {
            assert_eq!(*key.unwrap_cek(&wrapped).unwrap(), cek);
            assert_eq!(rsa.decrypt(Oaep::<Sha256>::new(), &wrapped).unwrap(), cek);
        }
    }

    #[test]
    fn a_key_read_from_pem_unwraps_for_the_same_public_key() {
        let read = AccountKey::from_pkcs8_pem(&sam().account.to_pkcs8_pem().unwrap()).unwrap();
        assert_eq!(read.public(), sam().account.public());
        let wrapped = sam().account.public().wrap_cek(&[1; 32]).unwrap();
        assert_eq!(*read.unwrap_cek(&wrapped).unwrap(), [1; 32]);
    }

    #[test]
    fn a_key_that_cannot_be_unwrapped_gives_a_stable_stand_in_that_others_cannot_guess() {
        let wrapped = sam().account.public().wrap_cek(&[1; 32]).unwrap();
        let mut altered = wrapped.clone();
        altered[200] ^= 1;
        for bad in [altered.as_slice(), &wrapped[1..], b"", &[0xff; WRAPPED_LEN]] {
            assert_eq!(sam().account.unwrap_cek(bad), Err(UnwrapError));
            let (first, unwrapped) = sam().account.unwrap_or_stand_in(bad);
            assert!(!bool::from(unwrapped));
            assert_eq!(first, sam().account.unwrap_or_stand_in(bad).0);
            assert_ne!(first, erik().account.unwrap_or_stand_in(bad).0);
            assert_ne!(*first, [0; 32]);
        }
    }

    #[test]
    fn a_content_key_of_another_length_is_refused() {
        for length in [0, 16, 31, 33, 64] {
            let wrapped = rsa_wrap(sam().account.public(), &vec![1; length]);
            assert_eq!(sam().account.unwrap_cek(&wrapped), Err(UnwrapError), "{length}");
        }
    }

    #[test]
    fn keys_of_another_kind_or_size_are_refused() {
        let device = sam().device.to_pkcs8_pem().unwrap();
        assert_eq!(AccountKey::from_pkcs8_pem(&device).err(), Some(ReadKeyError::WrongKey));
        let small = PrivateDecryptingKey::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = small.as_der().unwrap();
        let pem = private_key::to_pem(der.as_ref()).unwrap();
        assert_eq!(AccountKey::from_pkcs8_pem(&pem).err(), Some(ReadKeyError::WrongKey));
    }

    #[test]
    fn debug_shows_the_thumbprint_only() {
        let account = &sam().account;
        let kid = account.public().kid();
        let expected = format!("AccountKey {{ public: WrappingKey {{ kid: {kid:?}, .. }}, .. }}");
        assert_eq!(format!("{account:?}"), expected);
    }
}
