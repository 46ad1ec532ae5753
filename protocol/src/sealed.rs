//! The outside of a sealed message: what the server can see of it and must keep.
//!
//! A sealed message is a JWE in the general JSON serialization (RFC 7516, 7.2.1) with exactly two
//! recipients. The server keeps each recipient's wrapped key apart from the rest, so this module takes
//! the form apart and puts it together again. It checks the form alone; what is inside is for the
//! clients to judge.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use thiserror::Error;

use crate::message_id::MessageId;
use crate::object::{Object, from_object};

/// Why something is no sealed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealedError {
    /// Not the JSON of a JWE with exactly the members that Parlour uses.
    #[error("not a JWE of exactly protected, two recipients, iv, ciphertext and tag")]
    Form,
    /// A member is not base64url without padding, or not of its length.
    #[error("a member of the JWE is not base64url or has the wrong length")]
    Encoding,
    /// The protected header is not the one that Parlour uses.
    #[error("the protected header is not RSA-OAEP-256, A256GCM, JWS, id and cmt")]
    Header,
}

/// One recipient of a sealed message: the content key wrapped to an account key.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// RFC 7638 thumbprint of the account key, base64url.
    pub kid: String,
    /// The content key under RSA-OAEP-256, base64url.
    pub encrypted_key: String,
}

/// A sealed message in its parts, each in base64url as it stood in the JWE.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedMessage {
    /// The `id` in the protected header.
    pub id: MessageId,
    /// `key1`: wrapped to the recipient.
    pub key1: WrappedKey,
    /// `key2`: wrapped to the sender.
    pub key2: WrappedKey,
    protected: String,
    iv: String,
    ciphertext: String,
    tag: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    kid: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipient {
    header: Object<Header>,
    encrypted_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct General {
    protected: String,
    recipients: [Object<Recipient>; 2],
    iv: String,
    ciphertext: String,
    tag: String,
}

/// What stays of the JWE when its recipients are kept elsewhere.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rest {
    protected: String,
    iv: String,
    ciphertext: String,
    tag: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Protected {
    alg: String,
    enc: String,
    cty: String,
    id: String,
    cmt: String,
}

impl SealedMessage {
    /// Reads the JSON of a JWE.
    pub fn from_json(json: &str) -> Result<Self, SealedError> {
        let general: General = from_object(json).map_err(|_| SealedError::Form)?;
        let [Object(first), Object(second)] = general.recipients;
        let rest = Rest {
            protected: general.protected,
            iv: general.iv,
            ciphertext: general.ciphertext,
            tag: general.tag,
        };
        Self::assemble(rest, first, second)
    }

    /// Puts together what [`Self::rest_json`] and [`WrappedKey::to_json`] took apart.
    pub fn from_parts(rest: &str, key1: &str, key2: &str) -> Result<Self, SealedError> {
        let rest: Rest = from_object(rest).map_err(|_| SealedError::Form)?;
        let key1: Recipient = from_object(key1).map_err(|_| SealedError::Form)?;
        let key2: Recipient = from_object(key2).map_err(|_| SealedError::Form)?;
        Self::assemble(rest, key1, key2)
    }

    fn assemble(rest: Rest, key1: Recipient, key2: Recipient) -> Result<Self, SealedError> {
        let id = header_id(&rest.protected)?;
        let lengths_fit = decoded_length(&rest.iv) == Some(12)
            && decoded_length(&rest.tag) == Some(16)
            && decoded_length(&rest.ciphertext).is_some();
        if !lengths_fit {
            return Err(SealedError::Encoding);
        }
        Ok(Self {
            id,
            key1: WrappedKey::checked(key1)?,
            key2: WrappedKey::checked(key2)?,
            protected: rest.protected,
            iv: rest.iv,
            ciphertext: rest.ciphertext,
            tag: rest.tag,
        })
    }

    /// The whole JWE as JSON on one line, always in this order and without spaces.
    pub fn to_json(&self) -> String {
        // Every part was checked to be base64url, so nothing needs escaping.
        format!(
            r#"{{"protected":"{}","recipients":[{},{}],"iv":"{}","ciphertext":"{}","tag":"{}"}}"#,
            self.protected,
            self.key1.to_json(),
            self.key2.to_json(),
            self.iv,
            self.ciphertext,
            self.tag
        )
    }

    /// The length of [`Self::to_json`], in bytes.
    pub fn json_bytes(&self) -> usize {
        const AROUND: usize = r#"{"protected":"","recipients":[,],"iv":"","ciphertext":"","tag":""}"#.len();
        let keys = self.key1.json_bytes() + self.key2.json_bytes();
        AROUND + self.protected.len() + keys + self.iv.len() + self.ciphertext.len() + self.tag.len()
    }

    /// The JWE without its recipients, as JSON.
    pub fn rest_json(&self) -> String {
        format!(
            r#"{{"protected":"{}","iv":"{}","ciphertext":"{}","tag":"{}"}}"#,
            self.protected, self.iv, self.ciphertext, self.tag
        )
    }
}

impl WrappedKey {
    fn checked(recipient: Recipient) -> Result<Self, SealedError> {
        let Recipient { header: Object(Header { kid }), encrypted_key } = recipient;
        // A SHA-256 thumbprint, and a block of RSA-3072.
        if decoded_length(&kid) != Some(32) || decoded_length(&encrypted_key) != Some(384) {
            return Err(SealedError::Encoding);
        }
        Ok(Self { kid, encrypted_key })
    }

    fn json_bytes(&self) -> usize {
        const AROUND: usize = r#"{"header":{"kid":""},"encrypted_key":""}"#.len();
        AROUND + self.kid.len() + self.encrypted_key.len()
    }

    /// The recipient object of the JWE, as JSON.
    pub fn to_json(&self) -> String {
        format!(r#"{{"header":{{"kid":"{}"}},"encrypted_key":"{}"}}"#, self.kid, self.encrypted_key)
    }
}

/// The number of bytes that `text` stands for, if it is base64url without padding in its one canonical
/// form: bits that belong to no byte are zero.
fn decoded_length(text: &str) -> Option<usize> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    };
    if !text.bytes().all(|byte| value(byte).is_some()) {
        return None;
    }
    let last = text.bytes().last().and_then(value).unwrap_or(0);
    let whole = text.len() / 4 * 3;
    match text.len() % 4 {
        0 => Some(whole),
        2 if last.trailing_zeros() >= 4 => Some(whole + 1),
        3 if last.trailing_zeros() >= 2 => Some(whole + 2),
        _ => None,
    }
}

fn header_id(protected: &str) -> Result<MessageId, SealedError> {
    let bytes = URL_SAFE_NO_PAD.decode(protected).map_err(|_| SealedError::Encoding)?;
    let Object(header): Object<Protected> =
        serde_json::from_slice(&bytes).map_err(|_| SealedError::Header)?;
    // The commitment is an HMAC-SHA256; whether it fits, the reader finds out.
    let commits = decoded_length(&header.cmt) == Some(32);
    if header.alg != "RSA-OAEP-256" || header.enc != "A256GCM" || header.cty != "JWS" || !commits {
        return Err(SealedError::Header);
    }
    header.id.parse().map_err(|_| SealedError::Header)
}

impl fmt::Debug for SealedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedMessage").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrappedKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// A sealed message of the right form for tests: random-looking, opened by nobody.
#[cfg(test)]
pub(crate) fn example() -> SealedMessage {
    let protected = URL_SAFE_NO_PAD.encode(
        r#"{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWS","id":"018bcfe5-6800-7707-8707-070707070707","cmt":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
    );
    let key = |byte: u8| {
        format!(
            r#"{{"header":{{"kid":"{}"}},"encrypted_key":"{}"}}"#,
            URL_SAFE_NO_PAD.encode([byte; 32]),
            URL_SAFE_NO_PAD.encode([byte; 384])
        )
    };
    let json = format!(
        r#"{{"protected":"{protected}","recipients":[{},{}],"iv":"{}","ciphertext":"{}","tag":"{}"}}"#,
        key(1),
        key(2),
        URL_SAFE_NO_PAD.encode([3; 12]),
        URL_SAFE_NO_PAD.encode([4; 100]),
        URL_SAFE_NO_PAD.encode([5; 16])
    );
    SealedMessage::from_json(&json).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_message_survives_being_taken_apart() {
        let sealed = example();
        let again =
            SealedMessage::from_parts(&sealed.rest_json(), &sealed.key1.to_json(), &sealed.key2.to_json());
        assert_eq!(again.unwrap(), sealed);
        assert_eq!(SealedMessage::from_json(&sealed.to_json()).unwrap(), sealed);
        assert_eq!(sealed.to_json().len(), sealed.json_bytes());
    }

    #[test]
    fn another_form_is_refused() {
        let json = example().to_json();
        for (from, to) in [
            (r#""tag""#, r#""aad":"AA","tag""#),
            (r#""tag""#, r#""unprotected":{},"tag""#),
            (r#""iv""#, r#""Iv""#),
            (r#"{"header""#, r#"{"x":1,"header""#),
            (r#""header":{"kid":"#, r#""header":["#),
        ] {
            let changed = json.replacen(from, to, 1);
            assert_eq!(SealedMessage::from_json(&changed).err(), Some(SealedError::Form), "{to}");
        }
        let one = json.replacen(&format!("{},", example().key1.to_json()), "", 1);
        assert_eq!(SealedMessage::from_json(&one).err(), Some(SealedError::Form));
        assert_eq!(SealedMessage::from_json("hello").err(), Some(SealedError::Form));
        let array =
            format!(r#"["x",[{},{}],"i","c","t"]"#, example().key1.to_json(), example().key2.to_json());
        assert_eq!(SealedMessage::from_json(&array).err(), Some(SealedError::Form));
    }

    #[test]
    fn other_algorithms_and_lengths_are_refused() {
        let sealed = example();
        for header in [
            r#"{"alg":"dir","enc":"A256GCM","cty":"JWS","id":"018bcfe5-6800-7707-8707-070707070707","cmt":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
            r#"{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWS","id":"7","cmt":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
            r#"{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWS","id":"018bcfe5-6800-7707-8707-070707070707","cmt":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","zip":"DEF"}"#,
        ] {
            let mut changed = sealed.clone();
            changed.protected = URL_SAFE_NO_PAD.encode(header);
            let read = SealedMessage::from_json(&changed.to_json());
            assert_eq!(read.err(), Some(SealedError::Header), "{header}");
        }
        let mut short = sealed.clone();
        short.iv = "AAAA".into();
        assert_eq!(SealedMessage::from_json(&short.to_json()).err(), Some(SealedError::Encoding));
        let mut loose = sealed.clone();
        loose.tag = loose.tag.replace("BQ", "BR").replacen("BR", "BQ", 7);
        loose.tag.replace_range(21..22, "R");
        assert_eq!(SealedMessage::from_json(&loose.to_json()).err(), Some(SealedError::Encoding));
        let mut padded = sealed;
        padded.tag = "BQUFBQUFBQUFBQUFBQUFBQ==".into();
        assert_eq!(SealedMessage::from_json(&padded.to_json()).err(), Some(SealedError::Encoding));
    }
}
