//! The contents of a private message: the claims that its sender signs.

use std::fmt;

use parlour_protocol::MessageId;
use parlour_protocol::limits::VOID_COUNTERS;
use parlour_protocol::object::from_object;
use serde::{Deserialize, Deserializer, Serialize};

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
    /// The SHA-256, in base64url, of the JWS that it follows in the chain; empty if it follows none.
    pub prev: String,
    /// The number of counters right before `n` whose messages the server refused, up to [`VOID_COUNTERS`]. The member
    /// `void` lists these counters.
    pub void: u64,
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
    /// `chain`, `n`, `prev` and `void` are malformed, or do not fit together.
    #[error("the claims `chain`, `n`, `prev` and `void` do not fit together")]
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
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    void: Option<Vec<u64>>,
    fk: FrankingKey,
}

/// A member that is there is a list, and not `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u64>>, D::Error> {
    Vec::deserialize(deserializer).map(Some)
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
        let n_fits = self.n <= MAX_COUNTER && self.void <= self.n.min(VOID_COUNTERS);
        let prev_fits = match self.predecessor() {
            None => self.prev.is_empty(),
            Some(_) => base64url::decode_array::<32>(&self.prev).is_some(),
        };
        if chain_fits && n_fits && prev_fits { Ok(()) } else { Err(ClaimsError::Chain) }
    }

    /// The counter of the message that this one follows, if there is one.
    pub fn predecessor(&self) -> Option<u64> {
        self.n.checked_sub(self.void)?.checked_sub(1)
    }

    /// Reads the JSON that was signed.
    pub fn from_json(json: &[u8]) -> Result<Self, ClaimsError> {
        let json = str::from_utf8(json).map_err(|_| ClaimsError::Malformed)?;
        let wire: Wire = from_object(json).map_err(|_| ClaimsError::Malformed)?;
        let void = wire.void.as_deref().map_or(Ok(0), |void| void_length(void, wire.n))?;
        let claims = Self {
            from: wire.from,
            to: wire.to,
            id: wire.id,
            time: wire.time,
            content: wire.text.map_or(Content::Unknown, Content::Text),
            chain: wire.chain,
            n: wire.n,
            prev: wire.prev,
            void,
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
            void: (self.void > 0).then(|| (self.n.saturating_sub(self.void)..self.n).collect()),
            fk: self.franking_key.clone(),
        };
        serde_json::to_vec(&wire).map_err(|_| ClaimsError::Malformed)
    }
}

/// The number of counters in a list that is there: not empty, and exactly those right before `n`.
fn void_length(void: &[u64], n: u64) -> Result<u64, ClaimsError> {
    let length = void.len() as u64;
    let first = n.checked_sub(length).ok_or(ClaimsError::Chain)?;
    let fits = !void.is_empty() && void.iter().copied().eq(first..n);
    if fits { Ok(length) } else { Err(ClaimsError::Chain) }
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
            .field("void", &self.void)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Claims as JSON, with these three members in the chain.
    fn json(n: u64, prev: &str, void: Option<Value>) -> Vec<u8> {
        let mut claims = json!({
            "from": "sam", "to": "erik", "id": "0190a5e0-7d4c-7c3e-8f00-000000000001", "time": 1, "text": "hi",
            "chain": "AAECAwQFBgcICQoLDA0ODw", "n": n, "prev": prev, "fk": base64url::encode([9; 32]),
        });
        if let Some(void) = void {
            claims["void"] = void;
        }
        claims.to_string().into_bytes()
    }

    fn hash() -> String {
        base64url::encode([7; 32])
    }

    #[test]
    fn void_lists_all_counters_between_a_message_and_the_one_that_it_follows() {
        let all: Vec<u64> = (1..=1_000).collect();
        for (n, prev, void, predecessor) in [
            (0, String::new(), None, None),
            (1, hash(), None, Some(0)),
            (1, String::new(), Some(json!([0])), None),
            (3, String::new(), Some(json!([0, 1, 2])), None),
            (3, hash(), Some(json!([2])), Some(1)),
            (1_001, hash(), Some(json!(all)), Some(0)),
            (MAX_COUNTER, hash(), Some(json!([MAX_COUNTER - 1])), Some(MAX_COUNTER - 2)),
        ] {
            let claims = Claims::from_json(&json(n, &prev, void.clone())).unwrap();
            assert_eq!(claims.predecessor(), predecessor, "{n} {void:?}");
            let written: Value = serde_json::from_slice(&claims.to_json().unwrap()).unwrap();
            assert_eq!(written.get("void"), void.as_ref());
            assert_eq!(Claims::from_json(&claims.to_json().unwrap()), Ok(claims));
        }
    }

    #[test]
    fn the_claims_are_written_in_the_order_of_their_specification() {
        let claims = Claims::from_json(&json(1, "", Some(json!([0])))).unwrap();
        let written = String::from_utf8(claims.to_json().unwrap()).unwrap();
        let places: Vec<usize> = ["from", "to", "id", "time", "text", "chain", "n", "prev", "void", "fk"]
            .iter()
            .map(|name| written.find(&format!("\"{name}\":")).unwrap())
            .collect();
        assert!(places.is_sorted(), "{written}");
    }

    #[test]
    fn any_other_void_is_refused() {
        let many: Vec<u64> = (0..1_001).collect();
        for (n, prev, void) in [
            (1, hash(), json!([])),
            (1, hash(), json!([0])),
            (1, String::new(), json!([1])),
            (2, String::new(), json!([0])),
            (3, hash(), json!([1])),
            (3, hash(), json!([2, 1])),
            (3, hash(), json!([1, 1])),
            (3, hash(), json!([2, 3])),
            (3, hash(), json!([0, 2])),
            (2, String::new(), json!([0, 1, 2])),
            (1_001, String::new(), json!(many)),
            (1_002, hash(), json!((1..1_002).collect::<Vec<u64>>())),
        ] {
            let read = Claims::from_json(&json(n, &prev, Some(void.clone())));
            assert_eq!(read, Err(ClaimsError::Chain), "{n} {void}");
        }
        for void in [json!(null), json!(0), json!("0"), json!(["0"]), json!([-1]), json!([0.0]), json!({})] {
            let read = Claims::from_json(&json(1, "", Some(void.clone())));
            assert_eq!(read, Err(ClaimsError::Malformed), "{void}");
        }
    }
}
