//! A statement: the claims that a device signed, taken from a sealed message.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::base64url;
use crate::claims::{Claims, ClaimsError};
use crate::jws::{CompactJws, Es256, JwsError};
use crate::leaf_certificate::{LeafError, leaf_public_key};
use crate::p256::P256PublicKey;
use crate::verifier::Verifier;

/// The JWS's protected header. `x5c` holds only the leaf, in standard base64 (RFC 7515 section 4.1.6).
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    alg: Es256,
    x5c: [String; 1],
}

impl Header {
    /// A header with the certificate `leaf`, in DER.
    pub fn new(leaf: &[u8]) -> Self {
        Self { alg: Es256, x5c: [STANDARD.encode(leaf)] }
    }
}

/// Claims with a valid signature and commitment. They prove only that the holder of the key in `leaf_der` signed
/// them, and that the envelope has no second reading.
///
/// **They do not prove whose certificate it is.** The caller checks `leaf_der` (issued by the pinned root, valid
/// and not revoked at `claims.time`, a device of `claims.from`), and compares `from`, `to` and `id` with the
/// envelope that the server delivered.
pub struct Statement {
    /// The claims.
    pub claims: Claims,
    /// The sender's certificate in DER, **untrusted until judged**.
    pub leaf_der: Vec<u8>,
}

/// The reasons why a text is not a statement for its envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The text is not an acceptable JWS.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// The certificate in it is not a device's.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// The claims are malformed.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// The signature does not match the key in the certificate.
    #[error("the signature does not fit")]
    BadSignature,
    /// The envelope's commitment does not match the text: the sender made an envelope that can be read in two
    /// ways.
    #[error("the commitment does not fit the text")]
    CommitmentMismatch,
    /// The envelope has another id than the signed text.
    #[error("the identifier on the envelope is not the one inside")]
    IdMismatch,
}

impl Statement {
    /// Reads a compact JWS and checks it against the `id` and the `commitment` of its envelope.
    pub fn read(
        jws: &str,
        id: &str,
        commitment: &[u8; 32],
        verifier: &dyn Verifier,
    ) -> Result<Self, StatementError> {
        let signed = CompactJws::parse(jws)?;
        let (leaf_der, leaf_key) = leaf(&signed, verifier)?;
        signed.verify(&leaf_key, verifier).map_err(|_| StatementError::BadSignature)?;
        let claims = Claims::from_json(signed.payload())?;
        claims
            .franking_key
            .verify(signed.signing_input(), commitment)
            .map_err(|_| StatementError::CommitmentMismatch)?;
        if claims.id != id {
            return Err(StatementError::IdMismatch);
        }
        Ok(Self { claims, leaf_der })
    }
}

fn leaf(
    signed: &CompactJws<'_>,
    verifier: &dyn Verifier,
) -> Result<(Vec<u8>, P256PublicKey), StatementError> {
    let Header { alg: Es256, x5c: [certificate] } = signed.header()?;
    let der = STANDARD.decode(certificate).map_err(|_| JwsError::Header)?;
    let key = leaf_public_key(&der, verifier)?;
    Ok((der, key))
}

/// The SHA-256 of a compact JWS in base64url, as the next message in the chain names it in `prev`.
pub fn jws_hash(jws: &str) -> String {
    base64url::encode(Sha256::digest(jws))
}

impl fmt::Debug for Statement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Left out for length only: leaf_der.
        formatter.debug_struct("Statement").field("claims", &self.claims).finish_non_exhaustive()
    }
}
