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
    /// Something of a newer version. Only ever read from a server, never posted.
    Unknown,
}

impl Body {
    /// At most how many bytes it takes on a line, in either dialect.
    pub fn line_bytes(&self) -> usize {
        match self {
            Self::Text(text) => {
                let text = text.as_str();
                text.len() + text.bytes().map(more_on_a_line).sum::<usize>()
            }
            Self::Sealed(sealed) => sealed.as_json().len(),
            Self::Unknown => UNKNOWN_CONTENT.len(),
        }
    }
}

/// What is shown in place of content that this version cannot read.
pub const UNKNOWN_CONTENT: &str = "something that this version does not know";

/// At most how many bytes more than one a byte of a text takes on a line.
fn more_on_a_line(byte: u8) -> usize {
    match byte {
        // Plain shows a line break in five bytes: this one, and U+2028 and U+2029, which begin with 0xE2.
        b'\n' => 4,
        0xe2 => 2,
        // JSON escapes the first three. Plain shows U+FFFD, of three bytes, for some characters of two: U+00AD
        // and U+061C, which begin with the others.
        b'"' | b'\\' | b'\t' | 0xc2 | 0xd8 => 1,
        _ => 0,
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
