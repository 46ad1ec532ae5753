//! Franking: a commitment that binds an envelope to the one signed text in it.
//!
//! AES-GCM alone does not do this: a dishonest sender can craft a ciphertext that opens under two keys to two
//! texts. The commitment in the protected header matches only one of them, and its key travels inside, so a reader
//! can later prove to a third party what was sent.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::base64url;

/// The 32-byte key of one message's commitment.
#[derive(Clone, PartialEq, Eq)]
pub struct FrankingKey(Zeroizing<[u8; 32]>);

/// The commitment belongs to another key or another text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the commitment does not fit")]
pub struct CommitmentMismatch;

impl FrankingKey {
    /// Makes a key from these bytes, which must be uniformly random.
    pub fn from_bytes(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    /// The key's bytes, to reveal it in a report of abuse.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// HMAC-SHA256 over a JWS's signing input (header, dot and payload as sent).
    pub fn commit(&self, signing_input: &str) -> [u8; 32] {
        self.hmac(signing_input).finalize().into_bytes().into()
    }

    /// Checks a commitment in constant time.
    pub fn verify(&self, signing_input: &str, commitment: &[u8; 32]) -> Result<(), CommitmentMismatch> {
        self.hmac(signing_input).verify(&(*commitment).into()).map_err(|_| CommitmentMismatch)
    }

    fn hmac(&self, signing_input: &str) -> Hmac<Sha256> {
        // A key of one block: HMAC pads shorter ones to this form with zeros (RFC 2104 section 2).
        let mut block = Zeroizing::new([0; 64]);
        block.iter_mut().zip(self.0.iter()).for_each(|(to, from)| *to = *from);
        Hmac::<Sha256>::new((&*block).into()).chain_update(signing_input)
    }
}

impl fmt::Debug for FrankingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FrankingKey(left out)")
    }
}

impl Serialize for FrankingKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(base64url::encode(self.0.as_slice())))
    }
}

impl<'de> Deserialize<'de> for FrankingKey {
    /// Exactly 32 bytes: HMAC pads short keys with zeros, so two keys of different lengths could give the same
    /// commitment.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        base64url::decode_array(&text)
            .map(|key| Self(Zeroizing::new(key)))
            .ok_or_else(|| D::Error::custom("not 32 bytes of base64url"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> FrankingKey {
        FrankingKey::from_bytes(Zeroizing::new([byte; 32]))
    }

    /// The expected value was computed with Python's hmac from RFC 2104.
    #[test]
    fn a_commitment_is_hmac_sha256_and_fits_one_key_and_one_text() {
        let commitment = key(9).commit("hello.there");
        assert_eq!(base64url::encode(commitment), "5P1SCOmNfCzQ3zmbY2KdHM1RrbYz5wXySkUpeUOPUWQ");
        assert_eq!(key(9).verify("hello.there", &commitment), Ok(()));
        assert_eq!(key(8).verify("hello.there", &commitment), Err(CommitmentMismatch));
        assert_eq!(key(9).verify("hello.thera", &commitment), Err(CommitmentMismatch));
    }
}
