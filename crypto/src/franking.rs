//! Franking: a commitment that binds an envelope to the one signed text in it.
//!
//! AES-GCM alone does not: a dishonest sender can craft a ciphertext that opens under two keys to
//! two texts. The commitment in the protected header fits only one of them, and its key travels
//! inside, so a reader can later prove to a third party what was sent.

use std::fmt;

use aws_lc_rs::hmac;
use rand_core::CryptoRng;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
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
    /// Draws a new key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        rng.fill_bytes(key.as_mut_slice());
        Self(key)
    }

    /// The key's bytes, to reveal it in a report of abuse.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// HMAC-SHA256 over a JWS's signing input (header, dot and payload as sent).
    pub fn commit(&self, signing_input: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.hmac_key(), signing_input.as_bytes());
        // An HMAC-SHA256 tag has 32 bytes; the zip states the copy without a failing case.
        let mut commitment = [0; 32];
        commitment.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        commitment
    }

    /// Checks a commitment in constant time.
    pub fn verify(&self, signing_input: &str, commitment: &[u8; 32]) -> Result<(), CommitmentMismatch> {
        hmac::verify(&self.hmac_key(), signing_input.as_bytes(), commitment).map_err(|_| CommitmentMismatch)
    }

    fn hmac_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice())
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
    /// Exactly 32 bytes: HMAC pads short keys with zeros, so another length would let two keys
    /// give the same commitment.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        base64url::decode_array(&text)
            .map(|key| Self(Zeroizing::new(key)))
            .ok_or_else(|| D::Error::custom("not 32 bytes of base64url"))
    }
}
