//! Signed envelopes: compact JWS (RFC 7515 section 7.1) with ES256 (RFC 7518 section 3.4).

use parlour_protocol::object::from_object;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::base64url;
use crate::p256::P256PublicKey;
use crate::verifier::Verifier;

/// The reasons why a text is refused as a JWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Not three parts of canonical base64url, or the signature does not have 64 bytes.
    #[error("not a compact JWS")]
    Malformed,
    /// The header does not have exactly the required members, or one of them has a wrong value.
    #[error("the JWS header is not the expected one")]
    Header,
    /// The signature does not match the key and the text.
    #[error("the JWS signature does not fit")]
    Signature,
}

/// The header member `alg` with its only value, `ES256`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Es256;

const ES256: &str = "ES256";

impl Serialize for Es256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(ES256)
    }
}

impl<'de> Deserialize<'de> for Es256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if String::deserialize(deserializer)? == ES256 {
            Ok(Self)
        } else {
            Err(D::Error::custom("another algorithm than ES256"))
        }
    }
}

/// A compact JWS in its parts; nothing in it is proven before [`CompactJws::verify`].
pub struct CompactJws<'a> {
    signing_input: &'a str,
    header: Vec<u8>,
    payload: Zeroizing<Vec<u8>>,
    signature: [u8; 64],
}

impl<'a> CompactJws<'a> {
    /// Splits the compact form.
    pub fn parse(compact: &'a str) -> Result<Self, JwsError> {
        let (signing_input, signature) = compact.rsplit_once('.').ok_or(JwsError::Malformed)?;
        // An extra dot stays in one of the parts, where base64url refuses it.
        let (header, payload) = signing_input.split_once('.').ok_or(JwsError::Malformed)?;
        Ok(Self {
            signing_input,
            header: base64url::decode(header).ok_or(JwsError::Malformed)?,
            payload: Zeroizing::new(base64url::decode(payload).ok_or(JwsError::Malformed)?),
            signature: base64url::decode_array(signature).ok_or(JwsError::Malformed)?,
        })
    }

    /// Reads the header as an object with exactly the members of `T`, which must include [`Es256`] and deny
    /// unknown fields. This refuses `crit` (RFC 7515 section 4.1.11) and everything else.
    pub fn header<T: DeserializeOwned>(&self) -> Result<T, JwsError> {
        let json = str::from_utf8(&self.header).map_err(|_| JwsError::Header)?;
        from_object(json).map_err(|_| JwsError::Header)
    }

    /// The bytes of the payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The signed bytes: header and payload as sent, with the dot between them.
    pub fn signing_input(&self) -> &'a str {
        self.signing_input
    }

    /// Checks the signature.
    pub fn verify(&self, key: &P256PublicKey, verifier: &dyn Verifier) -> Result<(), JwsError> {
        key.verify_fixed(self.signing_input.as_bytes(), &self.signature, verifier)
            .map_err(|_| JwsError::Signature)
    }
}
