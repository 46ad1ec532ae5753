//! Messages at the ends of their conversations: each goes on from the hash of the one before it.

use std::collections::HashMap;

use parlour_protocol::{Body, Message, SealedMessage, Seq, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::chain::{GENESIS, Hash, link};
use super::reader::hash_before;
use super::rows::{MESSAGE_COLUMNS, RawMessage, hash};
use super::survey::Survey;
use super::{Appended, ConversationKey, NewMessage, StoreError};

/// The end of a conversation.
#[derive(Clone, Copy)]
pub(super) struct Tail {
    id: i64,
    seq: Seq,
    time: Timestamp,
    hash: Hash,
}

/// Gives a message the next place in its conversation.
pub(super) fn append(
    connection: &Connection,
    survey: &Survey,
    tails: &mut HashMap<ConversationKey, Tail>,
    moved: &mut HashMap<i64, Tail>,
    new: NewMessage,
) -> rusqlite::Result<Result<Appended, StoreError>> {
    let key = ConversationKey::seen_by(&new.from, &new.to);
    let tail = match tails.get(&key) {
        Some(tail) => *tail,
        None => match load_tail(connection, survey, &key)? {
            Ok(tail) => tail,
            Err(damaged) => return Ok(Err(damaged)),
        },
    };
    let NewMessage { to, from, id, body, now } = new;
    let message = Message { to, from, seq: tail.seq + 1, id, time: now.max(tail.time), body };
    let next = Tail { id: tail.id, seq: message.seq, time: message.time, hash: link(&tail.hash, &message) };
    match insert(connection, &next, &message) {
        Ok(()) => {}
        Err(failure) if is_taken(&failure) => {
            tails.insert(key.clone(), tail);
            // An id that its sender used before; anything else that is taken should not be.
            let taken = || StoreError::Damaged(format!("message {} of {key:?} is there already", next.seq));
            return Ok(known_message(connection, &message)?.unwrap_or_else(|| Err(taken())));
        }
        Err(failure) => return Err(failure),
    }
    tails.insert(key, next);
    moved.insert(next.id, next);
    Ok(Ok(Appended { message, fresh: true }))
}

fn is_taken(failure: &rusqlite::Error) -> bool {
    failure.sqlite_error().is_some_and(|e| e.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE)
}

/// The answer for an id that its sender used before.
fn known_message(
    connection: &Connection,
    new: &Message,
) -> rusqlite::Result<Option<Result<Appended, StoreError>>> {
    let found = connection
        .prepare_cached(&format!("SELECT {MESSAGE_COLUMNS} FROM messages WHERE id = ?1 AND sender = ?2"))?
        .query_row(params![new.id.as_bytes(), new.from.as_str()], RawMessage::read)
        .optional()?;
    Ok(found.map(|raw| {
        let (message, _) = raw.parse()?;
        if message.to == new.to && message.body == new.body {
            Ok(Appended { message, fresh: false })
        } else {
            Err(StoreError::IdInUse)
        }
    }))
}

/// The end of a conversation; one in which nothing was said yet is made.
fn load_tail(
    connection: &Connection,
    survey: &Survey,
    key: &ConversationKey,
) -> rusqlite::Result<Result<Tail, StoreError>> {
    let name = key.stored_name();
    let found = connection
        .prepare_cached("SELECT id, last_seq, last_time, last_hash FROM conversations WHERE name = ?1")?
        .query_row([&name], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get::<_, Vec<u8>>(3)?))
        })
        .optional()?;
    if let Some((id, seq, time, bytes)) = found {
        let tail = hash(bytes).map(|hash| Tail { id, seq, time: Timestamp::from_millis(time), hash });
        let sound = tail.filter(|tail| hash_before(connection, id, tail.seq + 1).as_ref() == Ok(&tail.hash));
        let elsewhere = || StoreError::Damaged(format!("conversation {name} does not end at message {seq}"));
        return Ok(sound.ok_or_else(elsewhere));
    }
    if let Err(doubt) = survey.trust_absence() {
        return Ok(Err(doubt));
    }
    connection
        .prepare_cached(
            "INSERT INTO conversations (name, last_seq, last_time, last_hash) VALUES (?1, 0, 0, ?2)",
        )?
        .execute(params![name, GENESIS])?;
    let id = connection.last_insert_rowid();
    if let ConversationKey::Direct(one, two) = key {
        let mut insert = connection
            .prepare_cached("INSERT OR IGNORE INTO members (user, conversation) VALUES (?1, ?2)")?;
        insert.execute(params![one.as_str(), id])?;
        insert.execute(params![two.as_str(), id])?;
    }
    Ok(Ok(Tail { id, seq: 0, time: Timestamp::from_millis(0), hash: GENESIS }))
}

fn insert(connection: &Connection, tail: &Tail, message: &Message) -> rusqlite::Result<()> {
    let (text, sealed) = match &message.body {
        Body::Text(text) => (Some(text.as_str()), None),
        Body::Sealed(sealed) => (None, Some(sealed)),
    };
    connection
        .prepare_cached(
            "INSERT INTO messages (conversation, seq, id, sender, recipient, time, text, sealed, key1, key2, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            tail.id,
            message.seq,
            message.id.as_bytes(),
            message.from.as_str(),
            message.to.to_string(),
            message.time.as_millis(),
            text,
            sealed.map(SealedMessage::rest_json),
            sealed.map(|s| s.key1().json),
            sealed.map(|s| s.key2().json),
            tail.hash,
        ])?;
    Ok(())
}

/// Notes the new end of a conversation.
pub(super) fn move_tail(connection: &Connection, tail: &Tail) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE conversations SET last_seq = ?2, last_time = ?3, last_hash = ?4 WHERE id = ?1",
        )?
        .execute(params![tail.id, tail.seq, tail.time.as_millis(), tail.hash])?;
    Ok(())
}
