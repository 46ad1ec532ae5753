//! The public half of an account key: RSA-3072 with exponent 65537, wraps content keys.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use rsa::RsaPublicKey;
use rsa::pkcs8::{DecodePublicKey as _, EncodePublicKey as _};
use rsa::traits::PublicKeyParts as _;
use sha2::{Digest as _, Sha256};

use crate::base64url;
use crate::private_key::KeyFailure;

/// The one size of modulus, in bits.
pub const MODULUS_BITS: u32 = 3072;
/// The one public exponent.
pub const EXPONENT: u32 = 65537;
/// Bytes in a wrapped content key, which is as long as the modulus.
pub const WRAPPED_LEN: usize = 384;

/// A public RSA key of exactly 3072 bits with exponent 65537; no other can be held.
#[derive(Clone)]
pub struct AccountPublicKey {
    wrapping: Arc<OaepPublicEncryptingKey>,
    spki: Vec<u8>,
    kid: String,
}

impl PartialEq for AccountPublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl Eq for AccountPublicKey {}

/// Why bytes are not an account key's public half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccountKeyError {
    /// Not the canonical DER `SubjectPublicKeyInfo` of an RSA key (RFC 3279 section 2.3.1).
    #[error("not an RSA public key")]
    NotRsa,
    /// The modulus has another length than 3072 bits.
    #[error("the RSA modulus has {bits} bits, not 3072")]
    ModulusLength {
        /// Its length in bits.
        bits: u32,
    },
    /// The public exponent is not 65537.
    #[error("the RSA exponent is not 65537")]
    Exponent,
}

impl AccountPublicKey {
    /// Reads a DER `SubjectPublicKeyInfo` and checks size and exponent.
    pub fn from_spki_der(spki: &[u8]) -> Result<Self, AccountKeyError> {
        let key = RsaPublicKey::from_public_key_der(spki).map_err(|_| AccountKeyError::NotRsa)?;
        let bits = key.n().bits();
        if bits != MODULUS_BITS {
            return Err(AccountKeyError::ModulusLength { bits });
        }
        if key.e_bytes().as_ref() != [1, 0, 1] {
            return Err(AccountKeyError::Exponent);
        }
        // One key, one encoding: certificates and log leaves compare keys by their bytes.
        let canonical = key.to_public_key_der().map_err(|_| AccountKeyError::NotRsa)?;
        if canonical.as_bytes() != spki {
            return Err(AccountKeyError::NotRsa);
        }
        let wrapping = PublicEncryptingKey::from_der(spki)
            .and_then(|key| OaepPublicEncryptingKey::new(key).map_err(Into::into))
            .map_err(|_| AccountKeyError::NotRsa)?;
        Ok(Self { wrapping: Arc::new(wrapping), spki: spki.to_vec(), kid: thumbprint(&key) })
    }

    /// The DER `SubjectPublicKeyInfo`.
    pub fn to_spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The key's name in an envelope: its RFC 7638 SHA-256 thumbprint, 43 characters of base64url.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Wraps a content key with RSA-OAEP, SHA-256 for both hashes and no label (RFC 7518 section
    /// 4.3, `RSA-OAEP-256`). Gives 384 bytes.
    pub fn wrap_cek(&self, cek: &[u8; 32]) -> Result<Vec<u8>, KeyFailure> {
        let mut wrapped = vec![0; WRAPPED_LEN];
        let written = self.wrapping.encrypt(&OAEP_SHA256_MGF1SHA256, cek, &mut wrapped, None);
        let whole = written.is_ok_and(|written| written.len() == WRAPPED_LEN);
        if whole { Ok(wrapped) } else { Err(KeyFailure::Wrap) }
    }
}

/// RFC 7638 section 3: SHA-256 of the required members in lexicographic order, without spaces.
fn thumbprint(key: &RsaPublicKey) -> String {
    let e = base64url::encode(key.e_bytes());
    let n = base64url::encode(key.n_bytes());
    let members = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    base64url::encode(Sha256::digest(members))
}

impl fmt::Debug for AccountPublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Left out for length only: wrapping, spki. The thumbprint names them.
        formatter.debug_struct("AccountPublicKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_people::sam;
    use rsa::BoxedUint;

    /// The DER of a key with an odd modulus of `bits` bits. Nobody has its private half; only its
    /// form matters here.
    fn spki(bits: u32, exponent: u32) -> Vec<u8> {
        let modulus = BoxedUint::from_be_slice(&vec![0xff; bits.div_ceil(8) as usize], bits).unwrap();
        RsaPublicKey::new(modulus, BoxedUint::from(exponent)).unwrap().to_public_key_der().unwrap().into_vec()
    }

    #[test]
    fn a_key_round_trips() {
        let key = sam().account.public();
        let read = AccountPublicKey::from_spki_der(key.to_spki_der()).unwrap();
        assert_eq!(&read, key);
        assert_eq!(read.kid(), key.kid());
    }

    #[test]
    fn other_moduli_than_3072_bits_are_refused() {
        for bits in [2048, 3064, 3080, 4096] {
            let read = AccountPublicKey::from_spki_der(&spki(bits, EXPONENT));
            assert_eq!(read, Err(AccountKeyError::ModulusLength { bits }));
        }
        assert!(AccountPublicKey::from_spki_der(&spki(MODULUS_BITS, EXPONENT)).is_ok());
    }

    #[test]
    fn other_exponents_than_65537_are_refused() {
        for exponent in [3, 17, 65539] {
            let read = AccountPublicKey::from_spki_der(&spki(MODULUS_BITS, exponent));
            assert_eq!(read, Err(AccountKeyError::Exponent));
        }
    }

    #[test]
    fn what_is_not_canonical_der_of_an_rsa_key_is_refused() {
        let good = sam().account.public().to_spki_der();
        let longer = [good, &[0]].concat();
        for der in [&good[1..], &good[..good.len() - 1], &longer, &sam().device.public_spki(), b""] {
            assert_eq!(AccountPublicKey::from_spki_der(der), Err(AccountKeyError::NotRsa));
        }
    }

    /// The example of RFC 7638 section 3.1.
    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        let modulus = base64url::decode(concat!(
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP",
            "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY",
            "368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f",
            "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
        ))
        .unwrap();
        let modulus = BoxedUint::from_be_slice(&modulus, 2048).unwrap();
        let key = RsaPublicKey::new(modulus, BoxedUint::from(EXPONENT)).unwrap();
        assert_eq!(thumbprint(&key), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }
}
