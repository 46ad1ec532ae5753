//! The contents of a private message: the claims that its sender signs.

use std::fmt;

use parlour_protocol::MessageId;
use parlour_protocol::object::from_object;
use serde::{Deserialize, Serialize};

use crate::base64url;
use crate::franking::FrankingKey;

/// The latest accepted `time`: the end of the year 9999, in milliseconds since 1970.
pub const MAX_TIME: i64 = 253_402_300_799_999;
/// The greatest accepted `n`: the largest number that every JSON reader holds exactly (RFC 8259 section 6).
pub const MAX_COUNTER: u64 = (1 << 53) - 1;

/// The content of a message. Later versions may add kinds.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A text, the member `text`.
    Text(String),
    /// Content of a later version. It is signed and in its chain like everything else, but cannot be shown. This
    /// version never seals such content.
    Unknown,
}

/// A message's claims, signed by the sender's device.
#[derive(Clone, PartialEq, Eq)]
pub struct Claims {
    /// The sender's name, as written: to be compared with the certificate.
    pub from: String,
    /// The recipient's name, as written: to be compared with the envelope that the server delivers.
    pub to: String,
    /// The message's `UUIDv7`, as written; equal to the one in the protected header.
    pub id: String,
    /// The time of signing, in milliseconds since 1970-01-01T00:00:00Z, from 0 to [`MAX_TIME`].
    pub time: i64,
    /// The message's content.
    pub content: Content,
    /// The chain that the message belongs to: 16 random bytes in base64url, new for each
    /// conversation, device and restart.
    pub chain: String,
    /// The place in the chain, from 0 to [`MAX_COUNTER`].
    pub n: u64,
    /// The SHA-256, in base64url, of the JWS before it in the chain; empty at `n` = 0.
    pub prev: String,
    /// The key of the commitment, the member `fk`.
    pub franking_key: FrankingKey,
}

/// The reasons why claims are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// Not a JSON object, or a member is missing, doubled or of the wrong type.
    #[error("the claims are malformed")]
    Malformed,
    /// `time` is negative or beyond [`MAX_TIME`].
    #[error("the claim `time` is out of range")]
    Time,
    /// `id` is not the canonical form of a UUID.
    #[error("the claim `id` is not a message id")]
    Id,
    /// `chain`, `n` and `prev` are malformed, or do not fit together.
    #[error("the claims `chain`, `n` and `prev` do not fit together")]
    Chain,
    /// The content is not of a kind that can be sealed here.
    #[error("the content is of a kind that is not known")]
    UnknownContent,
}

/// The claims in JSON. Unknown members are ignored, so that later versions can add some.
#[derive(Serialize, Deserialize)]
struct Wire {
    from: String,
    to: String,
    id: String,
    time: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    chain: String,
    n: u64,
    prev: String,
    fk: FrankingKey,
}

impl Claims {
    /// Checks the ranges and forms that hold for every message; the caller checks the names.
    pub fn check(&self) -> Result<(), ClaimsError> {
        if !(0..=MAX_TIME).contains(&self.time) {
            return Err(ClaimsError::Time);
        }
        if self.id.parse::<MessageId>().is_err() {
            return Err(ClaimsError::Id);
        }
        let chain_fits = base64url::decode_array::<16>(&self.chain).is_some();
        let prev_fits = match self.n {
            0 => self.prev.is_empty(),
            1..=MAX_COUNTER => base64url::decode_array::<32>(&self.prev).is_some(),
            _ => false,
        };
        if chain_fits && prev_fits { Ok(()) } else { Err(ClaimsError::Chain) }
    }

    /// Reads the JSON that was signed.
    pub fn from_json(json: &[u8]) -> Result<Self, ClaimsError> {
        let json = str::from_utf8(json).map_err(|_| ClaimsError::Malformed)?;
        let wire: Wire = from_object(json).map_err(|_| ClaimsError::Malformed)?;
        let claims = Self {
            from: wire.from,
            to: wire.to,
            id: wire.id,
            time: wire.time,
            content: wire.text.map_or(Content::Unknown, Content::Text),
            chain: wire.chain,
            n: wire.n,
            prev: wire.prev,
            franking_key: wire.fk,
        };
        claims.check()?;
        Ok(claims)
    }

    /// The JSON to be signed.
    pub fn to_json(&self) -> Result<Vec<u8>, ClaimsError> {
        let Content::Text(text) = &self.content else { return Err(ClaimsError::UnknownContent) };
        let wire = Wire {
            from: self.from.clone(),
            to: self.to.clone(),
            id: self.id.clone(),
            time: self.time,
            text: Some(text.clone()),
            chain: self.chain.clone(),
            n: self.n,
            prev: self.prev.clone(),
            fk: self.franking_key.clone(),
        };
        serde_json::to_vec(&wire).map_err(|_| ClaimsError::Malformed)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(formatter, "Text({} bytes, left out)", text.len()),
            Self::Unknown => formatter.write_str("Unknown"),
        }
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Left out: content, franking_key.
        formatter
            .debug_struct("Claims")
            .field("from", &self.from)
            .field("to", &self.to)
            .field("id", &self.id)
            .field("time", &self.time)
            .field("chain", &self.chain)
            .field("n", &self.n)
            .field("prev", &self.prev)
            .finish_non_exhaustive()
    }
}
