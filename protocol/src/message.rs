//! A message as the server keeps and delivers it.

use crate::conversation::Conversation;
use crate::message_id::MessageId;
use crate::name::UserName;
use crate::sealed::SealedMessage;
use crate::text::SafeText;
use crate::timestamp::Timestamp;

/// A message's place in its conversation: 1 for the first, without gaps.
pub type Seq = u64;

/// The content of a message, as far as the server can see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// Readable by the server and all members.
    Text(SafeText),
    /// Readable only by the two users for whom it is sealed.
    Sealed(SealedMessage),
    /// Content from a newer version. It is only read from a server and never posted.
    Unknown,
}

impl Body {
    /// The most bytes that it takes on a line in either dialect.
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

/// Shown in place of content that this version cannot read.
pub const UNKNOWN_CONTENT: &str = "something that this version does not know";

/// The most bytes that a byte of a text takes on a line beyond one.
fn more_on_a_line(byte: u8) -> usize {
    match byte {
        // Plain shows a line break as five bytes: this one, and U+2028 and U+2029, which begin with 0xE2.
        b'\n' => 4,
        0xe2 => 2,
        // JSON escapes the first three. For U+00AD and U+061C, which begin with the other two and have two bytes,
        // plain shows U+FFFD, which has three.
        b'"' | b'\\' | b'\t' | 0xc2 | 0xd8 => 1,
        _ => 0,
    }
}

/// A message as the server stored it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// The destination: a channel, or the recipient (not the reader's name for the conversation).
    pub to: Conversation,
    /// The sender.
    pub from: UserName,
    /// Its place in the conversation.
    pub seq: Seq,
    /// The id that the sender gave it.
    pub id: MessageId,
    /// The time at which the server stored it; never earlier than that of the message before it.
    pub time: Timestamp,
    /// Its content.
    pub body: Body,
}

impl Message {
    /// The conversation as `reader` sees it: a direct one has the other user's name.
    pub fn conversation(&self, reader: &UserName) -> Conversation {
        match &self.to {
            Conversation::Direct(to) if to == reader => Conversation::Direct(self.from.clone()),
            other => other.clone(),
        }
    }
}
