//! Private messages: signed by the sender's device, then sealed for recipient and sender.

use std::fmt;

use parlour_envelope::AwsLc;
use parlour_envelope::claims::{Claims, ClaimsError, Content};
use parlour_envelope::franking::FrankingKey;
use parlour_envelope::jws::JwsError;
use parlour_envelope::leaf_certificate::{LeafError, leaf_public_key};
use parlour_envelope::statement::{Header, Statement, StatementError};
use parlour_protocol::{SealedError, SealedMessage};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::account_key::AccountKey;
use crate::device_key::DeviceKey;
use crate::jwe::{self, DecryptError, Role};
use crate::jws;
use crate::private_key::KeyFailure;
use crate::wrapping_key::WrappingKey;

/// The content of a message to be sealed: its claims without the franking key, which is drawn for each message.
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
    /// The message's content.
    pub content: Content,
    /// The chain: 16 random bytes in base64url.
    pub chain: &'a str,
    /// The place in the chain, counted from 0.
    pub n: u64,
    /// [`jws_hash`](parlour_envelope::statement::jws_hash) of the message that it follows in the chain; empty if it
    /// follows none.
    pub prev: &'a str,
    /// The number of counters right before `n` whose messages the server refused.
    pub void: u64,
}

/// A message ready to be sent.
pub struct Sealed {
    /// The envelope, compact JSON on one line; this goes to the server.
    pub jwe: String,
    /// The signed text in it; its [`jws_hash`](parlour_envelope::statement::jws_hash) is the next message's
    /// `prev`.
    pub jws: Zeroizing<String>,
}

/// The reasons why a message cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The draft's values would make claims that a reader refuses.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// The certificate is not a device's.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// The certificate is for another key than the one that signs.
    #[error("the certificate belongs to another device key")]
    CertificateMismatch,
    /// Signing or encrypting failed.
    #[error(transparent)]
    Key(#[from] KeyFailure),
}

/// Signs and seals a message. `leaf` is the device's certificate in DER. The caller has checked that `recipient`
/// is the key of the intended recipient. `own` is the sender's account key; it is the same as `recipient` in a
/// message to oneself.
pub fn seal(
    rng: &mut impl CryptoRng,
    device: &DeviceKey,
    leaf: &[u8],
    draft: Draft<'_>,
    recipient: &WrappingKey,
    own: &WrappingKey,
) -> Result<Sealed, SealError> {
    if leaf_public_key(leaf, &AwsLc)? != *device.public() {
        return Err(SealError::CertificateMismatch);
    }
    let claims = draft.into_claims(new_franking_key(rng));
    claims.check()?;
    let payload = Zeroizing::new(claims.to_json()?);
    let jws = jws::sign(device, &Header::new(leaf), &payload)?;
    let (signing_input, _) = jws.rsplit_once('.').ok_or(KeyFailure::Sign)?;
    let commitment = claims.franking_key.commit(signing_input);
    let id = claims.id.parse().map_err(|_| ClaimsError::Id)?;
    let jwe = jwe::encrypt(rng, id, &commitment, jws.as_bytes(), [recipient, own])?;
    Ok(Sealed { jwe: jwe.as_json().to_owned(), jws })
}

fn new_franking_key(rng: &mut impl CryptoRng) -> FrankingKey {
    let mut key = Zeroizing::new([0; 32]);
    rng.fill_bytes(key.as_mut_slice());
    FrankingKey::from_bytes(key)
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
            void: self.void,
            franking_key,
        }
    }
}

/// An opened message. [`Statement`] says what is proven about it and what the caller must still check.
pub struct Opened {
    /// The message's claims.
    pub claims: Claims,
    /// The sender's certificate in DER, **untrusted until judged**.
    pub leaf_der: Vec<u8>,
    /// The signed text; the next message's `prev` must be its [`jws_hash`](parlour_envelope::statement::jws_hash).
    pub jws: Zeroizing<String>,
}

/// The reasons why a message cannot be opened, to be shown by a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is sealed for another key.
    #[error("sealed for another key")]
    NotForThisKey,
    /// It was altered after it was sealed. The altered part is deliberately not named.
    #[error("altered on the way")]
    Altered,
    /// It does not have the form of a message.
    #[error("malformed: {0}")]
    Malformed(#[from] Malformed),
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

/// The part of a message that is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The envelope.
    #[error(transparent)]
    Jwe(#[from] SealedError),
    /// The signed text in the envelope.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// The certificate in the signed text.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// The claims in the signed text.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
}

/// Opens a sealed message as its recipient or its sender, and makes every check that needs no certificates.
/// [`Opened`] says what the caller must still check.
pub fn open(jwe: &str, key: &AccountKey, role: Role) -> Result<Opened, OpenError> {
    let envelope = SealedMessage::from_json(jwe).map_err(Malformed::from)?;
    let jws = text(jwe::decrypt(&envelope, key, role)?)?;
    let Statement { claims, leaf_der } =
        Statement::read(&jws, &envelope.id.to_string(), &envelope.commitment(), &AwsLc)?;
    Ok(Opened { claims, leaf_der, jws })
}

impl From<StatementError> for OpenError {
    fn from(error: StatementError) -> Self {
        match error {
            StatementError::Jws(error) => Self::Malformed(error.into()),
            StatementError::Leaf(error) => Self::Malformed(error.into()),
            StatementError::Claims(error) => Self::Malformed(error.into()),
            StatementError::BadSignature => Self::BadSignature,
            StatementError::CommitmentMismatch => Self::CommitmentMismatch,
            StatementError::IdMismatch => Self::IdMismatch,
        }
    }
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
