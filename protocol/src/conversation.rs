//! Where a message goes: `#channel` or `@user`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::{NameError, UserName, is_name};

/// A channel's name, kept without its `#`; the same grammar as a user's.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ChannelName(Box<str>);

impl ChannelName {
    /// The channel that everyone is in.
    pub fn lobby() -> Self {
        Self("lobby".into())
    }

    /// The name without its `#`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ChannelName {
    type Err = NameError;

    /// Takes the name without its `#`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_name(text) { Ok(Self(text.into())) } else { Err(NameError) }
    }
}

/// A conversation as one user sees it: a direct one bears the other user's name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Conversation {
    /// `#name`: read by the server and by every member.
    Channel(ChannelName),
    /// `@name`: end-to-end encrypted between two users.
    Direct(UserName),
}

impl Conversation {
    /// `#lobby`.
    pub fn lobby() -> Self {
        Self::Channel(ChannelName::lobby())
    }
}

impl FromStr for Conversation {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if let Some(name) = text.strip_prefix('#') {
            name.parse().map(Self::Channel)
        } else if let Some(name) = text.strip_prefix('@') {
            name.parse().map(Self::Direct)
        } else {
            Err(NameError)
        }
    }
}

impl TryFrom<String> for Conversation {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Conversation> for String {
    fn from(conversation: Conversation) -> Self {
        conversation.to_string()
    }
}

impl fmt::Display for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel(name) => write!(f, "#{}", name.as_str()),
            Self::Direct(name) => write!(f, "@{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversations_parse_and_print_alike() {
        for text in ["#lobby", "@sam", "#a-b"] {
            assert_eq!(text.parse::<Conversation>().unwrap().to_string(), text);
        }
        for text in ["lobby", "#", "@", "##x", "@Sam", "&room", ""] {
            assert!(text.parse::<Conversation>().is_err(), "{text}");
        }
    }
}
