//! The outside of a sealed message: the part that the server can see and must keep.
//!
//! A sealed message is a JWE in the general JSON serialization (RFC 7516, 7.2.1) with exactly two recipients. The
//! server stores each recipient's wrapped key apart from the rest, so this module splits the form and joins it
//! again. It checks only the form; the clients judge the contents. It is here and not in the crate `envelope`
//! because [`Body`](crate::Body) contains it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::message_id::MessageId;
use crate::object::{Object, from_object};

/// The reasons why a text is refused as a sealed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealedError {
    /// Not the JSON of a JWE with exactly the members that Parlour uses.
    #[error("not a JWE of exactly protected, two recipients, iv, ciphertext and tag")]
    Form,
    /// A member is not base64url without padding, or has the wrong length.
    #[error("a member of the JWE is not base64url or has the wrong length")]
    Encoding,
    /// The protected header is not the one that Parlour uses.
    #[error("the protected header is not RSA-OAEP-256, A256GCM, JWS, id and cmt")]
    Header,
}

/// A sealed message: a JWE in its canonical layout, with the members in this order and without spaces, even if it was
/// read from another layout. Copies share the text.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedMessage {
    /// The `id` in the protected header.
    pub id: MessageId,
    json: Arc<str>,
    /// The end of the protected header in `json`. The other parts before the ciphertext have fixed lengths.
    header_end: usize,
}

/// One recipient of a sealed message: the content key wrapped to an account key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WrappedKey<'a> {
    /// RFC 7638 thumbprint of the account key, base64url.
    pub kid: &'a str,
    /// The recipient object of the JWE, as JSON.
    pub json: &'a str,
}

const ALG: &str = "RSA-OAEP-256";
const ENC: &str = "A256GCM";
const CTY: &str = "JWS";

/// Characters of a SHA-256 in base64url.
const HASH: usize = 43;
/// Characters of a block of RSA-3072 in base64url.
const WRAPPED: usize = 512;
/// Characters of the initialization vector.
const IV: usize = 16;
/// Characters of the authentication tag.
const TAG: usize = 22;

const BEFORE_PROTECTED: &str = r#"{"protected":""#;
const BEFORE_RECIPIENTS: &str = r#"","recipients":["#;
const BEFORE_KID: &str = r#"{"header":{"kid":""#;
const BEFORE_KEY: &str = r#""},"encrypted_key":""#;
const AFTER_KEY: &str = r#""}"#;
const BEFORE_IV: &str = r#"],"iv":""#;
/// Like [`BEFORE_IV`], for a JWE whose recipients are stored elsewhere.
const REST_BEFORE_IV: &str = r#"","iv":""#;
const BEFORE_CIPHERTEXT: &str = r#"","ciphertext":""#;
const BEFORE_TAG: &str = r#"","tag":""#;
const AFTER_TAG: &str = r#""}"#;

/// Characters of a recipient object.
const RECIPIENT: usize = BEFORE_KID.len() + HASH + BEFORE_KEY.len() + WRAPPED + AFTER_KEY.len();

/// The values of a JWE's members, all base64url.
#[allow(missing_docs)] // named as in RFC 7516, 7.2.1
#[derive(Clone, Copy, Default)]
pub struct SealedParts<'a> {
    pub protected: &'a str,
    /// `kid` and `encrypted_key` of each recipient.
    pub recipients: [(&'a str, &'a str); 2],
    pub iv: &'a str,
    pub ciphertext: &'a str,
    pub tag: &'a str,
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Protected<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow)]
    enc: Cow<'a, str>,
    #[serde(borrow)]
    cty: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    cmt: Cow<'a, str>,
}

impl SealedMessage {
    /// Reads the JSON of a JWE.
    pub fn from_json(json: &str) -> Result<Self, SealedError> {
        // Messages from our own programs do not need the general JSON reader.
        if let Some(parts) = SealedParts::cut(json)
            && let Ok(id) = parts.check()
        {
            return Ok(Self { id, json: json.into(), header_end: parts.header_end() });
        }
        let general: General = from_object(json).map_err(|_| SealedError::Form)?;
        let [Object(one), Object(two)] = &general.recipients;
        let parts = SealedParts {
            protected: &general.protected,
            recipients: [one, two].map(|r| (r.header.0.kid.as_str(), r.encrypted_key.as_str())),
            iv: &general.iv,
            ciphertext: &general.ciphertext,
            tag: &general.tag,
        };
        Self::from_members(&parts)
    }

    /// Puts a JWE together from the values of its members.
    pub fn from_members(parts: &SealedParts<'_>) -> Result<Self, SealedError> {
        let id = parts.check()?;
        Ok(Self { id, json: parts.join().into(), header_end: parts.header_end() })
    }

    /// The protected header of a message with this id and commitment, base64url.
    pub fn protected_header(id: MessageId, commitment: &[u8; 32]) -> String {
        let [id, cmt] = [id.to_string(), URL_SAFE_NO_PAD.encode(commitment)].map(Cow::Owned);
        let header = Protected { alg: ALG.into(), enc: ENC.into(), cty: CTY.into(), id, cmt };
        // Serializing five texts cannot fail.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header).unwrap_or_default())
    }

    /// Joins the parts that [`Self::rest_json`] and [`WrappedKey::json`] return.
    pub fn from_parts(rest: &str, key1: &str, key2: &str) -> Result<Self, SealedError> {
        let (header, body) = rest.split_once(REST_BEFORE_IV).ok_or(SealedError::Form)?;
        let json = [header, BEFORE_RECIPIENTS, key1, ",", key2, BEFORE_IV, body].concat();
        let parts = SealedParts::cut(&json).ok_or(SealedError::Form)?;
        let id = parts.check()?;
        let header_end = parts.header_end();
        Ok(Self { id, json: json.into(), header_end })
    }

    /// The whole JWE as JSON on one line, always in this order and without spaces.
    pub fn as_json(&self) -> &str {
        &self.json
    }

    /// The values of its members.
    pub fn parts(&self) -> SealedParts<'_> {
        // Every text of this type was checked for this layout.
        SealedParts::cut(&self.json).unwrap_or_default()
    }

    /// The commitment in the protected header, an HMAC-SHA256. It can be checked only by opening the message.
    pub fn commitment(&self) -> [u8; 32] {
        // Every header of this type was checked to contain one.
        let header = URL_SAFE_NO_PAD.decode(self.parts().protected).unwrap_or_default();
        protected(&header)
            .ok()
            .and_then(|header| URL_SAFE_NO_PAD.decode(header.cmt.as_bytes()).ok()?.try_into().ok())
            .unwrap_or_default()
    }

    /// `key1`: the content key wrapped for the recipient.
    pub fn key1(&self) -> WrappedKey<'_> {
        self.key(self.header_end + BEFORE_RECIPIENTS.len())
    }

    /// `key2`: the content key wrapped for the sender.
    pub fn key2(&self) -> WrappedKey<'_> {
        self.key(self.header_end + BEFORE_RECIPIENTS.len() + RECIPIENT + ",".len())
    }

    fn key(&self, begin: usize) -> WrappedKey<'_> {
        // Every text of this type was checked for this layout.
        let json = self.json.get(begin..begin + RECIPIENT).unwrap_or_default();
        let kid = json.get(BEFORE_KID.len()..BEFORE_KID.len() + HASH).unwrap_or_default();
        WrappedKey { kid, json }
    }

    /// The JWE without its recipients, as JSON.
    pub fn rest_json(&self) -> String {
        let body = self.header_end + BEFORE_RECIPIENTS.len() + 2 * RECIPIENT + ",".len() + BEFORE_IV.len();
        let [header, body] =
            [self.json.get(..self.header_end), self.json.get(body..)].map(Option::unwrap_or_default);
        [header, REST_BEFORE_IV, body].concat()
    }
}

impl<'a> SealedParts<'a> {
    /// Splits a JWE in the canonical layout; `None` for any other text, even if it is a JWE.
    fn cut(json: &'a str) -> Option<Self> {
        let (protected, rest) = until_quote(json.strip_prefix(BEFORE_PROTECTED)?)?;
        let rest = rest.strip_prefix(BEFORE_RECIPIENTS)?;
        let (one, rest) = recipient(rest)?;
        let (two, rest) = recipient(rest.strip_prefix(',')?)?;
        let (iv, rest) = rest.strip_prefix(BEFORE_IV)?.split_at_checked(IV)?;
        let (ciphertext, rest) = until_quote(rest.strip_prefix(BEFORE_CIPHERTEXT)?)?;
        let (tag, rest) = rest.strip_prefix(BEFORE_TAG)?.split_at_checked(TAG)?;
        (rest == AFTER_TAG).then_some(Self { protected, recipients: [one, two], iv, ciphertext, tag })
    }

    /// The text in the canonical layout.
    fn join(&self) -> String {
        let [one, two] =
            self.recipients.map(|(kid, key)| [BEFORE_KID, kid, BEFORE_KEY, key, AFTER_KEY].concat());
        // Every part is base64url, so nothing needs escaping.
        [
            BEFORE_PROTECTED,
            self.protected,
            BEFORE_RECIPIENTS,
            &one,
            ",",
            &two,
            BEFORE_IV,
            self.iv,
            BEFORE_CIPHERTEXT,
            self.ciphertext,
            BEFORE_TAG,
            self.tag,
            AFTER_TAG,
        ]
        .concat()
    }

    fn header_end(&self) -> usize {
        BEFORE_PROTECTED.len() + self.protected.len()
    }

    /// Checks every part, and returns the id in the protected header.
    fn check(&self) -> Result<MessageId, SealedError> {
        let id = header_id(self.protected)?;
        let mut fits = decoded_length(self.iv) == Some(12)
            && decoded_length(self.tag) == Some(16)
            && decoded_length(self.ciphertext).is_some();
        for (kid, key) in self.recipients {
            // A SHA-256 thumbprint, and a block of RSA-3072.
            fits &= decoded_length(kid) == Some(32) && decoded_length(key) == Some(384);
        }
        if fits { Ok(id) } else { Err(SealedError::Encoding) }
    }
}

/// The text before the first quotation mark, and the rest, beginning with it.
fn until_quote(text: &str) -> Option<(&str, &str)> {
    text.split_at_checked(memchr::memchr(b'"', text.as_bytes())?)
}

/// `kid` and `encrypted_key` of the recipient object at the beginning of a text, and the text after it.
fn recipient(text: &str) -> Option<((&str, &str), &str)> {
    let (kid, rest) = text.strip_prefix(BEFORE_KID)?.split_at_checked(HASH)?;
    let (key, rest) = rest.strip_prefix(BEFORE_KEY)?.split_at_checked(WRAPPED)?;
    Some(((kid, key), rest.strip_prefix(AFTER_KEY)?))
}

/// The number of bytes that `text` encodes, if it is canonical base64url without padding: bits that belong to no
/// byte are zero.
fn decoded_length(text: &str) -> Option<usize> {
    // Without an early exit and with arithmetic only, so that the compiler can process many bytes at once.
    let outside = |byte: u8| {
        u8::from(byte.wrapping_sub(b'A') >= 26)
            & u8::from(byte.wrapping_sub(b'a') >= 26)
            & u8::from(byte.wrapping_sub(b'0') >= 10)
            & u8::from(byte != b'-')
            & u8::from(byte != b'_')
    };
    if text.bytes().fold(0, |any, byte| any | outside(byte)) != 0 {
        return None;
    }
    let last = text.bytes().last().map_or(0, |byte| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'-' => 62,
        _ => 63,
    });
    let whole = text.len() / 4 * 3;
    match text.len() % 4 {
        0 => Some(whole),
        2 if last.trailing_zeros() >= 4 => Some(whole + 1),
        3 if last.trailing_zeros() >= 2 => Some(whole + 2),
        _ => None,
    }
}

fn header_id(encoded: &str) -> Result<MessageId, SealedError> {
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| SealedError::Encoding)?;
    protected(&bytes)?.id.parse().map_err(|_| SealedError::Header)
}

/// Reads the JSON of a protected header.
fn protected(json: &[u8]) -> Result<Protected<'_>, SealedError> {
    let Object(header): Object<Protected<'_>> =
        serde_json::from_slice(json).map_err(|_| SealedError::Header)?;
    // The commitment is an HMAC-SHA256; the reader checks its value.
    let commits = decoded_length(&header.cmt) == Some(32);
    let expected = header.alg == ALG && header.enc == ENC && header.cty == CTY && commits;
    if expected { Ok(header) } else { Err(SealedError::Header) }
}

impl fmt::Debug for SealedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedMessage").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for WrappedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrappedKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// A sealed message of the right form for tests: it looks random, and nobody can open it.
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
mod tests;
