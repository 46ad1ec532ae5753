//! Messages at the ends of their conversations: each goes on from the hash of the one before it.

use std::collections::HashMap;

use parlour_protocol::{Body, Conversation, Message, MessageId, SealedMessage, Seq, Timestamp, UserName};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::audit::append_with_change;
use super::chain::{GENESIS, Hash, link};
use super::memory::Memory;
use super::reader::hash_before;
use super::room::Full;
use super::rows::{MESSAGE_COLUMNS, RawMessage, hash};
use super::survey::Survey;
use super::{Appended, ConversationKey, NewMessage, StoreError};
use crate::audit::{Entry, Kind, SecurityEvent};

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
    memory: &mut Memory,
    moved: &mut HashMap<i64, Tail>,
    new: NewMessage,
) -> rusqlite::Result<Result<Appended, StoreError>> {
    if let Err(full) = memory.room.for_message(connection, &new.from, &new.body)? {
        return without_room(connection, memory, &new, full);
    }
    let key = ConversationKey::seen_by(&new.from, &new.to);
    let tail = match memory.tails.get(&key) {
        Some(tail) => *tail,
        None => match load_tail(connection, &memory.survey, &key)? {
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
            memory.tails.insert(key.clone(), tail);
            // An id that its sender used before; anything else that is taken should not be.
            let taken = || StoreError::Damaged(format!("message {} of {key:?} is there already", next.seq));
            let Message { to, from, id, body, .. } = &message;
            return Ok(known_message(connection, from, to, *id, body)?.unwrap_or_else(|| Err(taken())));
        }
        Err(failure) => return Err(failure),
    }
    memory.room.charge(connection, &message.from, &message.body)?;
    memory.tails.insert(key, next);
    moved.insert(next.id, next);
    Ok(Ok(Appended { message, fresh: true }))
}

/// The answer to a message for which there is no room: one that was kept before needs none.
fn without_room(
    connection: &Connection,
    memory: &mut Memory,
    new: &NewMessage,
    full: Full,
) -> rusqlite::Result<Result<Appended, StoreError>> {
    if let Some(known) = known_message(connection, &new.from, &new.to, new.id, &new.body)? {
        return Ok(known);
    }
    if let Full::Account { first: true } = full {
        let event = SecurityEvent::new(Kind::RateLimit).of(&new.from).because("no room for more messages");
        append_with_change(&mut memory.audit, connection, &Entry { time: new.now, event, times: 1 })?;
    }
    Ok(Err(full.into()))
}

fn is_taken(failure: &rusqlite::Error) -> bool {
    failure.sqlite_error().is_some_and(|e| e.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE)
}

/// The answer for an id that its sender used before.
fn known_message(
    connection: &Connection,
    from: &UserName,
    to: &Conversation,
    id: MessageId,
    body: &Body,
) -> rusqlite::Result<Option<Result<Appended, StoreError>>> {
    let found = connection
        .prepare_cached(&format!("SELECT {MESSAGE_COLUMNS} FROM messages WHERE id = ?1 AND sender = ?2"))?
        .query_row(params![id.as_bytes(), from.as_str()], RawMessage::read)
        .optional()?;
    Ok(found.map(|raw| {
        let (message, _) = raw.parse()?;
        if message.to == *to && message.body == *body {
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
