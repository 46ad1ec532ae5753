//! Names of users and devices, which exist only parsed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest name of a user or channel, in bytes.
const NAME_BYTES: usize = 32;

/// A text that is no name: `[a-z0-9][a-z0-9_-]{0,31}` is what a name looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a name is 1 to 32 of a-z, 0-9, '_' and '-', and begins with a letter or digit")]
pub struct NameError;

/// A user's name: `[a-z0-9][a-z0-9_-]{0,31}`. ASCII only, so that no two names look alike.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(Box<str>);

impl UserName {
    /// The name as text, without any prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `text` follows the grammar of user and channel names.
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
        if is_name(text) { Ok(Self(text.into())) } else { Err(NameError) }
    }
}

impl TryFrom<String> for UserName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<UserName> for String {
    fn from(name: UserName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserName({})", self.0)
    }
}

/// A device of a user: the first 16 hex digits of the SHA-256 of its public key
/// (`SubjectPublicKeyInfo`, DER). It is unique among one user's devices, not over all users.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(Box<str>);

impl DeviceId {
    /// The digits as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id that belongs to a public key with this SHA-256.
    pub fn from_key_hash(hash: &[u8; 32]) -> Self {
        use fmt::Write as _;
        let mut digits = String::with_capacity(16);
        for byte in hash.iter().take(8) {
            // Writing into a String cannot fail.
            let _ = write!(digits, "{byte:02x}");
        }
        Self(digits.into())
    }
}

impl FromStr for DeviceId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let fits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if fits { Ok(Self(text.into())) } else { Err(NameError) }
    }
}

impl TryFrom<String> for DeviceId {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<DeviceId> for String {
    fn from(id: DeviceId) -> Self {
        id.0.into()
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
    fn a_device_id_is_sixteen_lower_case_hex_digits() {
        let id = DeviceId::from_key_hash(&[0xab; 32]);
        assert_eq!(id.as_str(), "abababababababab");
        assert_eq!(id.as_str().parse::<DeviceId>().unwrap(), id);
        for bad in ["", "ABABABABABABABAB", "abababababababa", "../ababababababa"] {
            assert!(bad.parse::<DeviceId>().is_err(), "{bad}");
        }
    }
}
