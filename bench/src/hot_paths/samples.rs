//! Sample messages: always the same, so that they always cost the same.

use anyhow::Result;
use parlour_protocol::{
    Body, Conversation, Message, MessageId, SafeText, SealedMessage, Timestamp, UserName,
};

use crate::envelope::Envelope;

/// A hundred bytes.
pub(super) const TEXT: &str =
    "The meeting is at three, not at two; please bring the notes of last week, and say hello to everyone.";

/// The time of every message, in milliseconds since 1970.
pub(super) const NOW: i64 = 1_720_000_000_000;

/// The sender.
pub(super) fn sam() -> Result<UserName> {
    Ok("sam".parse()?)
}

/// The recipient of sealed messages.
pub(super) fn erik() -> Result<UserName> {
    Ok("erik".parse()?)
}

/// A different id for each number; ids sort like their numbers, a millisecond apart.
pub(super) fn id(number: u32) -> MessageId {
    MessageId::v7(Timestamp::from_millis(NOW + i64::from(number)), [7; 10])
}

/// A text message in the lobby.
pub(super) fn text() -> Result<Message> {
    message(Conversation::lobby(), Body::Text(SafeText::parse(TEXT)?))
}

/// A sealed message from one user to another.
pub(super) fn sealed() -> Result<Message> {
    let json = Envelope::new(&"A".repeat(43)).json(id(0));
    message(Conversation::Direct(erik()?), Body::Sealed(SealedMessage::from_json(&json)?))
}

fn message(to: Conversation, body: Body) -> Result<Message> {
    Ok(Message { to, from: sam()?, seq: 12_345, id: id(0), time: Timestamp::from_millis(NOW), body })
}
