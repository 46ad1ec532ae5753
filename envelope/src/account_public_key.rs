//! The public half of an account key: RSA-3072 with exponent 65537, for wrapping content keys.

use std::fmt;

use sha2::{Digest as _, Sha256};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::{PublicKey, RSAPublicKey};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::base64url;

/// The only accepted size of the modulus, in bits.
pub const MODULUS_BITS: u32 = 3072;
/// The only accepted public exponent.
pub const EXPONENT: u32 = 65537;
/// Bytes in the modulus, and in a content key wrapped to it.
pub const MODULUS_BYTES: usize = 384;

/// The DER of an RSA-3072 `SubjectPublicKeyInfo` (RFC 3279 section 2.3.1) before its `RSAPublicKey`.
const SPKI_PREFIX: [u8; 24] = [
    0x30, 0x82, 0x01, 0xa2, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    0x05, 0x00, 0x03, 0x82, 0x01, 0x8f, 0x00,
];

/// The bytes before the modulus in the `RSAPublicKey`.
const MODULUS_PREFIX: [u8; 9] = [0x30, 0x82, 0x01, 0x8a, 0x02, 0x82, 0x01, 0x81, 0x00];

/// The exponent 65537, which ends the encoding.
const SUFFIX: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];

/// A public RSA key of exactly 3072 bits with exponent 65537. A key has only one encoding, so certificates and log
/// leaves compare keys by their bytes.
#[derive(Clone)]
pub struct AccountPublicKey {
    spki: Vec<u8>,
    kid: String,
}

impl PartialEq for AccountPublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl Eq for AccountPublicKey {}

/// The reasons why bytes are refused as an account key's public half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccountKeyError {
    /// Not the canonical DER `SubjectPublicKeyInfo` of an RSA key (RFC 3279 section 2.3.1).
    #[error("not an RSA public key")]
    NotRsa,
    /// The modulus does not have 3072 bits.
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
        let modulus = modulus(spki).ok_or_else(|| fault(spki))?;
        Ok(Self { spki: spki.to_vec(), kid: thumbprint(modulus) })
    }

    /// The DER `SubjectPublicKeyInfo`.
    pub fn to_spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The DER `RSAPublicKey` (RFC 8017 appendix A.1.1) in it.
    pub fn to_pkcs1_der(&self) -> &[u8] {
        self.spki.strip_prefix(&SPKI_PREFIX).unwrap_or_default()
    }

    /// The key's name in an envelope: its RFC 7638 SHA-256 thumbprint, 43 characters of base64url.
    pub fn kid(&self) -> &str {
        &self.kid
    }
}

/// The big-endian modulus, if the bytes are such a key.
fn modulus(spki: &[u8]) -> Option<&[u8; MODULUS_BYTES]> {
    let modulus = spki.strip_prefix(&SPKI_PREFIX)?.strip_prefix(&MODULUS_PREFIX)?.strip_suffix(&SUFFIX)?;
    let modulus: &[u8; MODULUS_BYTES] = modulus.try_into().ok()?;
    let [first, .., last] = modulus;
    (first & 0x80 != 0 && last & 1 == 1).then_some(modulus)
}

/// The fault of bytes that are not such a key.
fn fault(spki: &[u8]) -> AccountKeyError {
    let Ok(([], info)) = SubjectPublicKeyInfo::from_der(spki) else { return AccountKeyError::NotRsa };
    let Ok(PublicKey::RSA(RSAPublicKey { modulus, exponent })) = info.parsed() else {
        return AccountKeyError::NotRsa;
    };
    let bits = bits(modulus);
    if bits != MODULUS_BITS {
        return AccountKeyError::ModulusLength { bits };
    }
    if bytes_of(exponent) == [1, 0, 1] { AccountKeyError::NotRsa } else { AccountKeyError::Exponent }
}

/// A big-endian number without leading zeros.
fn bytes_of(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn bits(number: &[u8]) -> u32 {
    let number = bytes_of(number);
    let unused = number.first().map_or(0, |byte| byte.leading_zeros());
    u32::try_from(number.len()).map_or(u32::MAX, |bytes| bytes.saturating_mul(8) - unused)
}

/// RFC 7638 section 3: SHA-256 of the required members in lexicographic order, without spaces.
/// `AQAB` is 65537.
fn thumbprint(modulus: &[u8]) -> String {
    let n = base64url::encode(modulus);
    base64url::encode(Sha256::digest(format!(r#"{{"e":"AQAB","kty":"RSA","n":"{n}"}}"#)))
}

impl fmt::Debug for AccountPublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Left out for length only: spki. The thumbprint names it.
        formatter.debug_struct("AccountPublicKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(tag: u8, contents: &[u8]) -> Vec<u8> {
        let [.., high, low] = contents.len().to_be_bytes();
        let length = match contents.len() {
            0..0x80 => vec![low],
            0x80..0x100 => vec![0x81, low],
            _ => vec![0x82, high, low],
        };
        [&[tag], length.as_slice(), contents].concat()
    }

    /// The DER of a key with an odd modulus of `bits` bits. It has no private half; only its form matters here.
    fn spki(bits: usize, exponent: &[u8]) -> Vec<u8> {
        let modulus = [&[0], vec![0xff; bits / 8].as_slice()].concat();
        let key = value(0x30, &[value(2, &modulus), value(2, exponent)].concat());
        let algorithm = [0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
        let key = [&[0], key.as_slice()].concat();
        value(0x30, &[algorithm.as_slice(), &value(3, &key)].concat())
    }

    #[test]
    fn a_key_of_3072_bits_with_the_exponent_65537_is_read() {
        let der = spki(3072, &[1, 0, 1]);
        let key = AccountPublicKey::from_spki_der(&der).unwrap();
        assert_eq!(key.to_spki_der(), der);
        assert_eq!(key.kid().len(), 43);
        assert_eq!(AccountPublicKey::from_spki_der(key.to_spki_der()), Ok(key.clone()));
        assert!(RSAPublicKey::from_der(key.to_pkcs1_der()).is_ok());
    }

    #[test]
    fn other_moduli_than_3072_bits_are_refused() {
        for bits in [2048, 3064, 3080, 4096] {
            let read = AccountPublicKey::from_spki_der(&spki(bits, &[1, 0, 1]));
            let bits = u32::try_from(bits).unwrap();
            assert_eq!(read, Err(AccountKeyError::ModulusLength { bits }));
        }
    }

    #[test]
    fn other_exponents_than_65537_are_refused() {
        for exponent in [&[3][..], &[17], &[1, 0, 3]] {
            let read = AccountPublicKey::from_spki_der(&spki(3072, exponent));
            assert_eq!(read, Err(AccountKeyError::Exponent));
        }
    }

    #[test]
    fn bytes_other_than_the_canonical_der_of_an_rsa_key_are_refused() {
        let good = spki(3072, &[1, 0, 1]);
        let longer = [good.as_slice(), &[0]].concat();
        let mut even = good.clone();
        let last = even.len() - SUFFIX.len() - 1;
        even[last] ^= 1;
        for der in [&good[1..], &good[..good.len() - 1], &longer, &even, b""] {
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
        assert_eq!(thumbprint(&modulus), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }
}
