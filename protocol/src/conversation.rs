//! The destination of a message: `#channel` or `@user`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::name::{NameError, Short, UserName, is_name};

/// A channel's name without its `#`; the same grammar as a user's.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName(Short);

impl ChannelName {
    /// The channel that includes everyone.
    pub fn lobby() -> Self {
        Self(Short::LOBBY)
    }

    /// The name without its `#`.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for ChannelName {
    type Err = NameError;

    /// Parses the name without its `#`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        Short::new(text).filter(|_| is_name(text)).map(Self).ok_or(NameError)
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelName({})", self.as_str())
    }
}

/// A conversation as one user sees it: a direct one has the other user's name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Deserialize)]
#[serde(try_from = "Cow<'_, str>")]
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

impl TryFrom<Cow<'_, str>> for Conversation {
    type Error = NameError;

    fn try_from(text: Cow<'_, str>) -> Result<Self, NameError> {
        text.parse()
    }
}

impl Serialize for Conversation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
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
