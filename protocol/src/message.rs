//! A message as the server keeps it and everyone sees it.

use crate::conversation::Conversation;
use crate::message_id::MessageId;
use crate::name::UserName;
use crate::sealed::SealedMessage;
use crate::text::SafeText;
use crate::timestamp::Timestamp;

/// A message's place in its conversation: 1 for the first, without gaps.
pub type Seq = u64;

/// What a message says, as far as the server can see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// Readable by the server and all members.
    Text(SafeText),
    /// Readable by the two users that it is sealed to.
    Sealed(SealedMessage),
}

impl Body {
    /// At most how many bytes it takes on a line, in either dialect.
    pub fn line_bytes(&self) -> usize {
        match self {
            // JSON escapes a quotation mark, a backslash, TAB and line feed with one more byte; plain
            // shows a line feed in five.
            Self::Text(text) => {
                let long =
                    text.as_str().bytes().filter(|b| matches!(b, b'"' | b'\\' | b'\t' | b'\n')).count();
                text.as_str().len() + 4 * long
            }
            Self::Sealed(sealed) => sealed.as_json().len(),
        }
    }
}

/// A message as the server stored it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Where it was sent: a channel, or the user it is for (not the reader's name for the conversation).
    pub to: Conversation,
    /// Who sent it.
    pub from: UserName,
    /// Its place in the conversation.
    pub seq: Seq,
    /// The sender's id for it.
    pub id: MessageId,
    /// When the server stored it; never before the message in front of it.
    pub time: Timestamp,
    /// What it says.
    pub body: Body,
}

impl Message {
    /// The conversation as `reader` calls it: a direct one bears the other user's name.
    pub fn conversation(&self, reader: &UserName) -> Conversation {
        match &self.to {
            Conversation::Direct(to) if to == reader => Conversation::Direct(self.from.clone()),
            other => other.clone(),
        }
    }
}
