//! The private message: signed by the sender's device, then sealed for recipient and sender.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::account_key::AccountKey;
use crate::account_public_key::AccountPublicKey;
use crate::base64url;
use crate::claims::{Claims, ClaimsError, Content};
use crate::device_key::DeviceKey;
use crate::franking::FrankingKey;
use crate::jwe::{self, DecryptError, Jwe, JweError, Role};
use crate::jws::{self, CompactJws, Es256, JwsError};
use crate::leaf_certificate::{LeafError, leaf_public_key};
use crate::p256::P256PublicKey;
use crate::private_key::KeyFailure;

/// The JWS's protected header. `x5c` holds the leaf alone, in standard base64 (RFC 7515 section 4.1.6).
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: Es256,
    x5c: [String; 1],
}

/// What is to be sealed: the claims without the franking key, which is drawn for each message.
#[derive(Clone)]
pub struct Draft<'a> {
    /// The sender's name.
    pub from: &'a str,
    /// The recipient's name.
    pub to: &'a str,
    /// The message's `UUIDv7`.
    pub id: &'a str,
    /// Now, in milliseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
    /// What is said.
    pub content: Content,
    /// The chain: 16 random bytes in base64url.
    pub chain: &'a str,
    /// The place in the chain, counted from 0.
    pub n: u64,
    /// [`jws_hash`] of the message before it in the chain; empty at `n` = 0.
    pub prev: &'a str,
}

/// A message ready to be sent.
pub struct Sealed {
    /// The envelope, compact JSON on one line; this goes to the server.
    pub jwe: String,
    /// What is in it; its [`jws_hash`] is the next message's `prev`.
    pub jws: Zeroizing<String>,
}

/// Why a message could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The draft's values do not make up a message that others would take.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// The certificate is not one of a device.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// The certificate is for another key than the one that signs.
    #[error("the certificate belongs to another device key")]
    CertificateMismatch,
    /// Signing or encrypting failed.
    #[error(transparent)]
    Key(#[from] KeyFailure),
}

/// Signs and seals a message. `leaf` is the device's certificate in DER; that `recipient` belongs to
/// whom the message is meant for, the caller has checked. `own` is the sender's account key; it may
/// be the same as `recipient`'s, in a message to oneself.
pub fn seal(
    rng: &mut impl CryptoRng,
    device: &DeviceKey,
    leaf: &[u8],
    draft: Draft<'_>,
    recipient: &AccountPublicKey,
    own: &AccountPublicKey,
) -> Result<Sealed, SealError> {
    if leaf_public_key(leaf)? != *device.public() {
        return Err(SealError::CertificateMismatch);
    }
    let claims = draft.into_claims(FrankingKey::generate(rng));
    claims.check()?;
    let payload = Zeroizing::new(claims.to_json()?);
    let header = Header { alg: Es256, x5c: [STANDARD.encode(leaf)] };
    let jws = jws::sign(device, &header, &payload)?;
    let (signing_input, _) = jws.rsplit_once('.').ok_or(KeyFailure::Sign)?;
    let commitment = claims.franking_key.commit(signing_input);
    let jwe = jwe::encrypt(rng, &claims.id, &commitment, jws.as_bytes(), [recipient, own])?;
    Ok(Sealed { jwe, jws })
}

impl Draft<'_> {
    fn into_claims(self, franking_key: FrankingKey) -> Claims {
        Claims {
            from: self.from.to_owned(),
            to: self.to.to_owned(),
            id: self.id.to_owned(),
            time: self.time,
            content: self.content,
            chain: self.chain.to_owned(),
            n: self.n,
            prev: self.prev.to_owned(),
            franking_key,
        }
    }
}

/// A message that was opened. Proven is only that the holder of the key in `leaf_der` signed these
/// claims, and that the envelope holds no second reading.
///
/// **Who that is, is not proven yet.** The caller judges `leaf_der` (issued by the pinned root,
/// valid and not revoked at `claims.time`, a device of `claims.from`), and compares `from`, `to` and
/// `id` with the envelope that the server delivered.
pub struct Opened {
    /// What the message says.
    pub claims: Claims,
    /// The sender's certificate in DER, **untrusted until judged**.
    pub leaf_der: Vec<u8>,
    /// The signed text itself; its [`jws_hash`] is what the next message's `prev` must be.
    pub jws: Zeroizing<String>,
}

/// Why a message could not be opened, for a client to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is sealed for another key.
    #[error("sealed for another key")]
    NotForThisKey,
    /// It was altered after it was sealed. In which part, is not told.
    #[error("altered on the way")]
    Altered,
    /// It is not of the form that messages have.
    #[error("malformed: {0}")]
    Malformed(#[from] Malformed),
    /// The signature does not fit the key in the certificate.
    #[error("the signature does not fit")]
    BadSignature,
    /// The envelope's commitment does not fit the text in it: the sender made it to be read two ways.
    #[error("the commitment does not fit the text")]
    CommitmentMismatch,
    /// The envelope bears another identifier than the signed text.
    #[error("the identifier on the envelope is not the one inside")]
    IdMismatch,
}

/// Which part of a message is not of its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The envelope.
    #[error(transparent)]
    Jwe(#[from] JweError),
    /// The signed text in it.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// The certificate in that.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// What is signed.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
}

/// Opens a sealed message as the one it was sent to, or as its sender, and checks everything that
/// can be checked without knowing certificates: see [`Opened`] for what is left to the caller.
pub fn open(jwe: &str, key: &AccountKey, role: Role) -> Result<Opened, OpenError> {
    let envelope = Jwe::parse(jwe).map_err(Malformed::from)?;
    let id = envelope.id().to_owned();
    let commitment = *envelope.commitment();
    let jws = text(envelope.decrypt(key, role)?)?;

    let signed = CompactJws::parse(&jws).map_err(Malformed::from)?;
    let (leaf_der, leaf_key) = leaf(&signed)?;
    signed.verify(&leaf_key).map_err(|_| OpenError::BadSignature)?;
    let claims = Claims::from_json(signed.payload()).map_err(Malformed::from)?;
    claims
        .franking_key
        .verify(signed.signing_input(), &commitment)
        .map_err(|_| OpenError::CommitmentMismatch)?;
    if claims.id != id {
        return Err(OpenError::IdMismatch);
    }
    Ok(Opened { claims, leaf_der, jws })
}

impl From<DecryptError> for OpenError {
    fn from(error: DecryptError) -> Self {
        match error {
            DecryptError::NotForThisKey => Self::NotForThisKey,
            DecryptError::Altered => Self::Altered,
        }
    }
}

fn text(mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, Malformed> {
    String::from_utf8(std::mem::take(&mut *bytes))
        .map(Zeroizing::new)
        .map_err(|_| Malformed::Jws(JwsError::Malformed))
}

fn leaf(signed: &CompactJws<'_>) -> Result<(Vec<u8>, P256PublicKey), Malformed> {
    let Header { alg: Es256, x5c: [certificate] } = signed.header()?;
    let der = STANDARD.decode(certificate).map_err(|_| JwsError::Header)?;
    let key = leaf_public_key(&der)?;
    Ok((der, key))
}

/// The SHA-256 of a compact JWS in base64url, as the next message in the chain names it in `prev`.
pub fn jws_hash(jws: &str) -> String {
    base64url::encode(Sha256::digest(jws))
}

impl fmt::Debug for Draft<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Left out: content.
        formatter.debug_struct("Draft").field("to", &self.to).field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Left out: jws.
        formatter.debug_struct("Sealed").field("jwe", &self.jwe).finish_non_exhaustive()
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Left out: leaf_der (for length), jws.
        formatter.debug_struct("Opened").field("claims", &self.claims).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
