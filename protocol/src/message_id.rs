//! The id that a sender gives to a message.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;
use uuid::Uuid;

use crate::timestamp::Timestamp;

/// A sender's id for a message, so that sending it again stores it only once: a UUID (version 7 from our client),
/// written in lower case with hyphens.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Cow<'_, str>")]
pub struct MessageId(Uuid);

impl MessageId {
    /// The id with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// A UUID of version 7 (RFC 9562, 5.7), made of a time and ten random bytes.
    pub fn v7(now: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}

impl FromStr for MessageId {
    type Err = MessageIdError;

    /// Accepts only the canonical form, so that each id has one spelling.
    fn from_str(text: &str) -> Result<Self, MessageIdError> {
        let id = Uuid::try_parse(text).map_err(|_| MessageIdError)?;
        let canonical = id.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text;
        if canonical { Ok(Self(id)) } else { Err(MessageIdError) }
    }
}

impl TryFrom<Cow<'_, str>> for MessageId {
    type Error = MessageIdError;

    fn try_from(text: Cow<'_, str>) -> Result<Self, MessageIdError> {
        text.parse()
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({self})")
    }
}

/// A text that is not a message id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a message id is a UUID in lower case with hyphens")]
pub struct MessageIdError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = MessageId::v7(Timestamp::from_millis(1_700_000_000_000), [7; 10]);
        assert_eq!(id.to_string().parse::<MessageId>().unwrap(), id);
        assert!(id.to_string().starts_with("018bcfe5-6800-7"));
        let upper = id.to_string().to_uppercase();
        for bad in ["", "x", upper.as_str(), "018bcfe568007", "{018bcfe5-6800-7707-8707-070707070707}"] {
            assert!(bad.parse::<MessageId>().is_err(), "{bad}");
        }
    }
}
