//! Rows of messages, and their conversion to the types of the protocol.

use parlour_protocol::{Body, Message, MessageId, SafeText, SealedMessage, Seq, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Damaged;
use super::chain::{GENESIS, Hash};

/// The columns of a message, in the order in which [`RawMessage::read`] reads them.
pub(super) const MESSAGE_COLUMNS: &str = "seq, id, sender, recipient, time, text, sealed, key1, key2, hash";

/// A message's row as it stands in the database; nothing in it is trusted yet.
pub(super) struct RawMessage {
    pub(super) seq: u64,
    id: Vec<u8>,
    sender: String,
    recipient: String,
    time: i64,
    text: Option<String>,
    sealed: Option<(String, String, String)>,
    hash: Vec<u8>,
}

impl RawMessage {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let sealed: Option<String> = row.get(6)?;
        let sealed = match sealed {
            Some(rest) => Some((rest, row.get(7)?, row.get(8)?)),
            None => None,
        };
        Ok(Self {
            seq: row.get(0)?,
            id: row.get(1)?,
            sender: row.get(2)?,
            recipient: row.get(3)?,
            time: row.get(4)?,
            text: row.get(5)?,
            sealed,
            hash: row.get(9)?,
        })
    }

    /// Roughly the number of bytes of this row in a reply.
    pub(super) fn size(&self) -> usize {
        // JSON needs one more byte to escape a quotation mark, a backslash, TAB or line feed.
        let escapes =
            |text: &String| text.bytes().filter(|b| matches!(b, b'"' | b'\\' | b'\t' | b'\n')).count();
        let text = self.text.as_ref().map_or(0, |text| text.len() + escapes(text));
        let sealed = self.sealed.as_ref().map_or(0, |(rest, one, two)| rest.len() + one.len() + two.len());
        text + sealed + 300
    }

    /// Parses the message and the hash that was stored with it.
    pub(super) fn parse(self) -> Result<(Message, Hash), Damaged> {
        let seq = self.seq;
        self.parsed().ok_or_else(|| Damaged(format!("message {seq} does not parse")))
    }

    fn parsed(self) -> Option<(Message, Hash)> {
        let body = match (self.text, self.sealed) {
            (Some(text), None) => Body::Text(SafeText::parse(&text).ok()?),
            (None, Some((rest, key1, key2))) => {
                Body::Sealed(SealedMessage::from_parts(&rest, &key1, &key2).ok()?)
            }
            _ => return None,
        };
        let message = Message {
            to: self.recipient.parse().ok()?,
            from: self.sender.parse().ok()?,
            seq: self.seq,
            id: MessageId::from_bytes(self.id.try_into().ok()?),
            time: Timestamp::from_millis(self.time),
            body,
        };
        Some((message, hash(self.hash)?))
    }
}

/// The hash that message `seq` continues, if the message before it exists.
pub(super) fn hash_before(
    connection: &Connection,
    conversation: i64,
    seq: Seq,
) -> rusqlite::Result<Option<Hash>> {
    if seq <= 1 {
        return Ok(Some(GENESIS));
    }
    let bytes: Option<Vec<u8>> = connection
        .prepare_cached("SELECT hash FROM messages WHERE conversation = ?1 AND seq = ?2")?
        .query_row(params![conversation, seq - 1], |row| row.get(0))
        .optional()?;
    Ok(bytes.and_then(hash))
}

/// A stored hash, if it has the right length.
pub(super) fn hash(bytes: Vec<u8>) -> Option<Hash> {
    bytes.try_into().ok()
}
