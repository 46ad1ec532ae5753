//! The text of a message, checked once.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::TEXT_BYTES;

/// The reasons why a text cannot be a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TextError {
    /// The text is empty.
    #[error("a message cannot be empty")]
    Empty,
    /// More than [`TEXT_BYTES`] bytes.
    #[error("message too long")]
    TooLong,
    /// It holds a control character other than TAB and line feed.
    #[error("a message cannot hold control characters")]
    ControlCharacter,
}

/// A message's text: 1 to [`TEXT_BYTES`] bytes of UTF-8 without control characters (C0, DEL, C1) other than TAB
/// and line feed. Characters that may still mislead a reader, such as direction marks, are kept as written and
/// made harmless when shown: see [`crate::clean`]. Copies share the text.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SafeText(Arc<str>);

impl TryFrom<String> for SafeText {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        Self::parse(&text)
    }
}

impl From<SafeText> for String {
    fn from(text: SafeText) -> Self {
        text.0.as_ref().into()
    }
}

impl SafeText {
    /// Checks `text` and copies it unchanged.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        if text.is_empty() {
            return Err(TextError::Empty);
        }
        if text.len() > TEXT_BYTES {
            return Err(TextError::TooLong);
        }
        if has_control(text, b"\t\n") {
            return Err(TextError::ControlCharacter);
        }
        Ok(Self(text.into()))
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns true if a text has a control character (C0, DEL, C1) that is not among `allowed`, which are all in C0.
pub(crate) fn has_control(text: &str, allowed: &[u8]) -> bool {
    // Nearly all texts are free of these bytes, and searching for them needs no decoding. In UTF-8, C1 is 0xC2
    // followed by 0x80 to 0x9F, so texts with that lead byte are checked character by character.
    let suspect = |byte: u8| u8::from(byte < 0x20) | u8::from(byte == 0x7f) | u8::from(byte == 0xc2);
    text.bytes().fold(0, |any, byte| any | suspect(byte)) != 0
        && text.chars().any(|c| c.is_control() && !u8::try_from(c).is_ok_and(|c| allowed.contains(&c)))
}

/// Shows only the length: the content of messages must not appear in logs.
impl fmt::Debug for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SafeText({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_and_free_of_control_characters() {
        assert!(SafeText::parse("hello\tthere\nyou 👋").is_ok());
        assert_eq!(SafeText::parse(""), Err(TextError::Empty));
        assert!(SafeText::parse(&"x".repeat(TEXT_BYTES)).is_ok());
        assert_eq!(SafeText::parse(&"x".repeat(TEXT_BYTES + 1)), Err(TextError::TooLong));
        for bad in ["\u{1b}[2J", "a\rb", "\u{7f}", "\u{9b}31m", "\0"] {
            assert_eq!(SafeText::parse(bad), Err(TextError::ControlCharacter), "{bad:?}");
        }
    }

    #[test]
    fn debug_output_does_not_hold_the_text() {
        let text = SafeText::parse("a secret").unwrap();
        assert!(!format!("{text:?}").contains("secret"));
    }
}
