//! Names of users and devices, which can only be made by parsing.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

/// The longest name of a user or channel, in bytes.
const NAME_BYTES: usize = 32;

/// The text does not have the form of a name: `[a-z0-9][a-z0-9_-]{0,31}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a name is 1 to 32 of a-z, 0-9, '_' and '-', and begins with a letter or digit")]
pub struct NameError;

/// A short text stored without allocation, because names are copied often.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Short {
    /// Zero after the text, so that these bytes sort like the texts.
    bytes: [u8; NAME_BYTES],
    length: u8,
}

impl Short {
    /// `lobby`, made once because it is in most messages.
    pub(crate) const LOBBY: Self = {
        let mut bytes = [0; NAME_BYTES];
        bytes.split_at_mut(5).0.copy_from_slice(b"lobby");
        Self { bytes, length: 5 }
    };

    /// Returns `None` when the text is longer than [`NAME_BYTES`].
    pub(crate) fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; NAME_BYTES];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes, length: u8::try_from(text.len()).ok()? })
    }

    pub(crate) fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        // The bytes came from a text.
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// A user's name: `[a-z0-9][a-z0-9_-]{0,31}`. ASCII only, so that few names look alike; see
/// [`skeleton`](Self::skeleton) for those that do.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Cow<'_, str>")]
pub struct UserName(Short);

impl UserName {
    /// The name as text, without any prefix.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name's look: two names with the same skeleton are easily mistaken for each other. `1` counts as
    /// `l`, `0` as `o`, `_` as `-`, `m` as `rn`, and `w` as `vv`. The long form stands for both, so that `vvv`,
    /// `vw` and `wv` come out the same. `i` has its dot and stays itself.
    pub fn skeleton(&self) -> String {
        let mut skeleton = String::with_capacity(2 * NAME_BYTES);
        for letter in self.as_str().chars() {
            match letter {
                '1' => skeleton.push('l'),
                '0' => skeleton.push('o'),
                '_' => skeleton.push('-'),
                'm' => skeleton.push_str("rn"),
                'w' => skeleton.push_str("vv"),
                other => skeleton.push(other),
            }
        }
        skeleton
    }
}

/// Returns true if `text` follows the grammar of user and channel names.
pub(crate) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let starts_well = bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    starts_well
        && text.len() <= NAME_BYTES
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

impl FromStr for UserName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Short::new(text).filter(|_| is_name(text)).map(Self).ok_or(NameError)
    }
}

impl TryFrom<Cow<'_, str>> for UserName {
    type Error = NameError;

    fn try_from(text: Cow<'_, str>) -> Result<Self, NameError> {
        text.parse()
    }
}

impl Serialize for UserName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserName({self})")
    }
}

/// The id of a user's device: the first 16 hex digits of the SHA-256 of its public key (`SubjectPublicKeyInfo`,
/// DER). It is unique among the devices of one user, not among all users.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Cow<'_, str>")]
pub struct DeviceId(Short);

impl DeviceId {
    /// The digits as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The id of a public key with this SHA-256.
    pub fn from_key_hash(hash: &[u8; 32]) -> Self {
        let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
        let mut bytes = [0; NAME_BYTES];
        for (pair, byte) in bytes.chunks_exact_mut(2).zip(hash.iter().take(8)) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        Self(Short { bytes, length: 16 })
    }
}

impl FromStr for DeviceId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let fits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        Short::new(text).filter(|_| fits).map(Self).ok_or(NameError)
    }
}

impl TryFrom<Cow<'_, str>> for DeviceId {
    type Error = NameError;

    fn try_from(text: Cow<'_, str>) -> Result<Self, NameError> {
        text.parse()
    }
}

impl Serialize for DeviceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceId({self})")
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_inside_the_grammar_are_taken() {
        for name in ["a", "0", "sam", "a-b_c", "9lives", &"x".repeat(32)] {
            assert_eq!(name.parse::<UserName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_outside_the_grammar_are_refused() {
        for name in ["", "-a", "_a", "Sam", "sam ", "sаm", "a.b", "a/b", "..", "é", &"x".repeat(33)] {
            assert_eq!(name.parse::<UserName>(), Err(NameError), "{name}");
        }
    }

    #[test]
    fn names_that_look_alike_have_one_skeleton() {
        let skeleton = |name: &str| name.parse::<UserName>().unwrap().skeleton();
        for (one, other) in [
            ("lea", "1ea"),
            ("otto", "0tt0"),
            ("mia", "rnia"),
            ("wim", "vvirn"),
            ("vvw", "wvv"),
            ("anna-b", "anna_b"),
            ("w0rm1", "vvorrnl"),
        ] {
            assert_eq!(skeleton(one), skeleton(other), "{one} and {other}");
        }
        for (one, other) in [("ali", "all"), ("sam", "san"), ("erik", "eric"), ("ana", "anna"), ("a-b", "ab")]
        {
            assert_ne!(skeleton(one), skeleton(other), "{one} and {other}");
        }
        assert_eq!(skeleton(&"m".repeat(32)).len(), 64);
    }

    #[test]
    fn a_device_id_is_sixteen_lower_case_hex_digits() {
        let id = DeviceId::from_key_hash(&[0xab; 32]);
        assert_eq!(id.as_str(), "abababababababab");
        assert_eq!(id.as_str().parse::<DeviceId>().unwrap(), id);
        for bad in ["", "ABABABABABABABAB", "abababababababa", "../ababababababa"] {
            assert!(bad.parse::<DeviceId>().is_err(), "{bad}");
        }
    }
}
