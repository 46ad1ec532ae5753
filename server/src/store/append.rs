//! Appends messages: each continues the hash chain of its conversation.

use std::collections::HashMap;

use parlour_protocol::{Body, Conversation, Message, MessageId, SealedMessage, UserName};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::audit::append_with_change;
use super::chain::link;
use super::memory::Memory;
use super::room::Full;
use super::rows::{MESSAGE_COLUMNS, RawMessage};
use super::tail::{self, Tail};
use super::{AppendError, Appended, ConversationKey, Damaged, Failure, NewMessage};
use crate::audit::{Entry, Kind, SecurityEvent};

/// Gives a message the next place in its conversation.
pub(super) fn append(
    connection: &Connection,
    memory: &mut Memory,
    moved: &mut HashMap<i64, Tail>,
    new: NewMessage,
) -> Result<Appended, Failure<AppendError>> {
    if let Some(full) = memory.room.lacks(connection, &new.from, &new.body)? {
        return without_room(connection, memory, &new, full);
    }
    let key = ConversationKey::seen_by(&new.from, &new.to);
    let tail = match memory.tails.get(&key) {
        Some(tail) => *tail,
        None => {
            if let Some(tail) = tail::load(connection, &key)? {
                tail
            } else {
                memory.survey.trust_absence()?;
                // A refused message must not leave an empty conversation behind.
                if let Some(known) = known_message(connection, &new.from, &new.to, new.id, &new.body)? {
                    return Ok(known);
                }
                tail::create(connection, &key)?
            }
        }
    };
    let NewMessage { to, from, id, body, now } = new;
    let message = Message { to, from, seq: tail.seq + 1, id, time: now.max(tail.time), body };
    let next = Tail { id: tail.id, seq: message.seq, time: message.time, hash: link(&tail.hash, &message) };
    match insert(connection, &next, &message) {
        Ok(()) => {}
        Err(failure) if is_taken(&failure) => {
            memory.tails.insert(key.clone(), tail);
            let Message { to, from, id, body, .. } = &message;
            // Nothing else may have this place yet.
            let taken = || Damaged(format!("message {} of {key:?} is there already", next.seq)).into();
            return known_message(connection, from, to, *id, body)?.ok_or_else(taken);
        }
        Err(failure) => return Err(failure.into()),
    }
    memory.room.charge(connection, &message.from, &message.body)?;
    memory.tails.insert(key, next);
    moved.insert(next.id, next);
    Ok(Appended { message, fresh: true })
}

/// The answer to a message for which there is no room. One that was stored before needs none.
fn without_room(
    connection: &Connection,
    memory: &mut Memory,
    new: &NewMessage,
    full: Full,
) -> Result<Appended, Failure<AppendError>> {
    if let Some(known) = known_message(connection, &new.from, &new.to, new.id, &new.body)? {
        return Ok(known);
    }
    if let Full::Account { first: true } = full {
        let event = SecurityEvent::new(Kind::RateLimit).of(&new.from).because("no room for more messages");
        append_with_change(&mut memory.audit, connection, &Entry { time: new.now, event, times: 1 })?;
    }
    Err(Failure::Refused(full.into()))
}

fn is_taken(failure: &rusqlite::Error) -> bool {
    failure.sqlite_error().is_some_and(|e| e.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE)
}

/// The message that its sender stored under this id before, if there is one. Refused if it is a different message.
fn known_message(
    connection: &Connection,
    from: &UserName,
    to: &Conversation,
    id: MessageId,
    body: &Body,
) -> Result<Option<Appended>, Failure<AppendError>> {
    let found = connection
        .prepare_cached(&format!("SELECT {MESSAGE_COLUMNS} FROM messages WHERE id = ?1 AND sender = ?2"))?
        .query_row(params![id.as_bytes(), from.as_str()], RawMessage::read)
        .optional()?;
    let Some(raw) = found else { return Ok(None) };
    let (message, _) = raw.parse()?;
    if message.to != *to || message.body != *body {
        return Err(Failure::Refused(AppendError::IdInUse));
    }
    Ok(Some(Appended { message, fresh: false }))
}

fn insert(connection: &Connection, tail: &Tail, message: &Message) -> rusqlite::Result<()> {
    let (text, sealed) = match &message.body {
        Body::Text(text) => (Some(text.as_str()), None),
        Body::Sealed(sealed) => (None, Some(sealed)),
        Body::Unknown => (None, None), // never posted
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
