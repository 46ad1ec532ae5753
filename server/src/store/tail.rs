//! The ends of conversations, where the next message is appended.

use parlour_protocol::{Seq, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::chain::{GENESIS, Hash};
use super::rows::{hash, hash_before};
use super::{AppendError, ConversationKey, Damaged, Failure};

/// The end of a conversation.
#[derive(Clone, Copy)]
pub(super) struct Tail {
    /// The id of the conversation's row.
    pub(super) id: i64,
    /// The newest `seq`; 0 before the first message.
    pub(super) seq: Seq,
    /// The time of the newest message.
    pub(super) time: Timestamp,
    /// The hash of the newest message.
    pub(super) hash: Hash,
}

/// Reads the end of a conversation, if there is such a conversation.
pub(super) fn load(
    connection: &Connection,
    key: &ConversationKey,
) -> Result<Option<Tail>, Failure<AppendError>> {
    let name = key.stored_name();
    let found = connection
        .prepare_cached("SELECT id, last_seq, last_time, last_hash FROM conversations WHERE name = ?1")?
        .query_row([&name], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get::<_, Vec<u8>>(3)?))
        })
        .optional()?;
    let Some((id, seq, time, bytes)) = found else { return Ok(None) };
    let tail = hash(bytes).map(|hash| Tail { id, seq, time: Timestamp::from_millis(time), hash });
    // A newest message that cannot be read damages only this conversation.
    let is_sound = |tail: &Tail| hash_before(connection, id, tail.seq + 1) == Ok(Some(tail.hash));
    match tail.filter(is_sound) {
        Some(tail) => Ok(Some(tail)),
        None => Err(Damaged(format!("conversation {name} does not end at message {seq}")).into()),
    }
}

/// Creates a conversation without messages.
pub(super) fn create(connection: &Connection, key: &ConversationKey) -> rusqlite::Result<Tail> {
    connection
        .prepare_cached(
            "INSERT INTO conversations (name, last_seq, last_time, last_hash) VALUES (?1, 0, 0, ?2)",
        )?
        .execute(params![key.stored_name(), GENESIS])?;
    let id = connection.last_insert_rowid();
    if let ConversationKey::Direct(one, two) = key {
        let mut insert = connection
            .prepare_cached("INSERT OR IGNORE INTO members (user, conversation) VALUES (?1, ?2)")?;
        insert.execute(params![one.as_str(), id])?;
        insert.execute(params![two.as_str(), id])?;
    }
    Ok(Tail { id, seq: 0, time: Timestamp::from_millis(0), hash: GENESIS })
}

/// Writes the new end of a conversation.
pub(super) fn save(connection: &Connection, tail: &Tail) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE conversations SET last_seq = ?2, last_time = ?3, last_hash = ?4 WHERE id = ?1",
        )?
        .execute(params![tail.id, tail.seq, tail.time.as_millis(), tail.hash])?;
    Ok(())
}
