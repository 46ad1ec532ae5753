//! Reads on separate threads, each with its own connection: SQLite's WAL lets them read while the writer writes.

use parlour_protocol::limits::HISTORY_BYTES;
use parlour_protocol::{
    Conversation, ConversationHead, HistoryRange, Message, MessageId, RevokedDevice, Seq, Timestamp, UserName,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::chain::link;
use super::rows::{MESSAGE_COLUMNS, RawMessage, hash, hash_before};
use super::survey::Survey;
use super::{ConversationKey, Damaged, Failure, Page, ReadError};

/// Reads a page of a conversation.
pub(super) fn history(
    connection: &Connection,
    survey: &Survey,
    key: &ConversationKey,
    range: HistoryRange,
    limit: u16,
) -> Result<Page, Failure<ReadError>> {
    // One snapshot for all queries below.
    let transaction = connection.unchecked_transaction()?;
    let found: Option<(i64, Seq, Vec<u8>)> = transaction
        .prepare_cached("SELECT id, last_seq, last_hash FROM conversations WHERE name = ?1")?
        .query_row([key.stored_name()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((conversation, last, end)) = found else {
        survey.trust_absence()?;
        return Ok(Page { messages: Vec::new(), last: 0 });
    };
    let newest = hash_before(&transaction, conversation, last.saturating_add(1))?
        .ok_or_else(|| is_missing(conversation, last))?;
    if hash(end) != Some(newest) {
        return Err(Damaged(format!("conversation {conversation} does not end at message {last}")).into());
    }
    let Rows { rows, is_full } = match range {
        HistoryRange::Newest => backwards(&transaction, conversation, last.saturating_add(1), limit)?,
        HistoryRange::Before(seq) => backwards(&transaction, conversation, seq, limit)?,
        HistoryRange::After(seq) => forwards(&transaction, conversation, seq, limit)?,
    };
    // Rows that cannot be found any more must not look as if they had never existed.
    let (begins, ends) = match range {
        _ if limit == 0 => (None, None),
        HistoryRange::Newest => ((!is_full).then_some(last.min(1)), Some(last)),
        HistoryRange::Before(seq) => {
            let end = last.min(seq.saturating_sub(1));
            ((!is_full).then_some(end.min(1)), Some(end))
        }
        HistoryRange::After(seq) if seq >= last => (None, None),
        HistoryRange::After(seq) => (Some(seq + 1), (!is_full).then_some(last)),
    };
    let missing = |expected: Option<Seq>, found: Option<&RawMessage>| {
        expected.filter(|seq| *seq > 0 && found.is_none_or(|row| row.seq != *seq))
    };
    if let Some(seq) = missing(begins, rows.first()).or_else(|| missing(ends, rows.last())) {
        return Err(is_missing(conversation, seq).into());
    }
    let messages = verified(&transaction, conversation, rows)?;
    Ok(Page { messages, last })
}

fn is_missing(conversation: i64, seq: Seq) -> Damaged {
    Damaged(format!("message {seq} of conversation {conversation} is missing"))
}

/// The newest rows before `seq`, oldest first, as many as fit a page.
fn backwards(
    connection: &Connection,
    conversation: i64,
    seq: Seq,
    limit: u16,
) -> Result<Rows, Failure<ReadError>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {MESSAGE_COLUMNS} FROM messages WHERE conversation = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3"
    ))?;
    // SQLite's integers are signed.
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    let found = statement.query_map(params![conversation, seq, limit], RawMessage::read)?;
    let mut page = fill(found, limit)?;
    page.rows.reverse();
    Ok(page)
}

/// The oldest rows after `seq`, oldest first, as many as fit a page.
fn forwards(
    connection: &Connection,
    conversation: i64,
    seq: Seq,
    limit: u16,
) -> Result<Rows, Failure<ReadError>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {MESSAGE_COLUMNS} FROM messages WHERE conversation = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
    ))?;
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    fill(statement.query_map(params![conversation, seq, limit], RawMessage::read)?, limit)
}

/// The rows of a page.
struct Rows {
    rows: Vec<RawMessage>,
    /// True if there was no room for another row.
    is_full: bool,
}

/// Takes rows until the page is full, and at least one.
fn fill(
    found: impl Iterator<Item = rusqlite::Result<RawMessage>>,
    limit: u16,
) -> Result<Rows, Failure<ReadError>> {
    let mut rows = Vec::new();
    let mut size = 0;
    for row in found {
        let row = row?;
        size += row.size();
        if size > HISTORY_BYTES && !rows.is_empty() {
            return Ok(Rows { rows, is_full: true });
        }
        rows.push(row);
    }
    let is_full = rows.len() >= usize::from(limit);
    Ok(Rows { rows, is_full })
}

/// Parses the rows and checks each against its hash and the message before it.
fn verified(
    connection: &Connection,
    conversation: i64,
    rows: Vec<RawMessage>,
) -> Result<Vec<Message>, Failure<ReadError>> {
    let Some(first) = rows.first() else {
        return Ok(Vec::new());
    };
    let first = first.seq;
    let mut before = hash_before(connection, conversation, first)?
        .ok_or_else(|| is_missing(conversation, first.saturating_sub(1)))?;
    let mut messages = Vec::with_capacity(rows.len());
    for (expected, row) in (first..).zip(rows) {
        let (message, stored) = row.parse()?;
        if message.seq != expected || link(&before, &message) != stored {
            let seq = message.seq;
            let damage = format!("message {seq} of conversation {conversation} does not fit its hash");
            return Err(Damaged(damage).into());
        }
        before = stored;
        messages.push(message);
    }
    Ok(messages)
}

/// The `seq` at the end of a conversation. If the conversation's row does not match its newest message, this is
/// the newest existing message: reading that one fails and names the damage, and the rest stays readable.
const END: &str = "CASE WHEN last_seq = 0
    OR last_hash = (SELECT hash FROM messages WHERE conversation = conversations.id AND seq = last_seq)
    THEN last_seq ELSE (SELECT max(seq) FROM messages WHERE conversation = conversations.id) END";

/// The id of the message at the end of a conversation, where the rows are as they should be.
const NEWEST: &str =
    "(SELECT messages.id FROM messages WHERE conversation = conversations.id AND seq = last_seq)";

/// Lists the conversations of a user, without direct ones that have no message yet.
pub(super) fn conversations(
    connection: &Connection,
    survey: &Survey,
    user: &UserName,
) -> Result<Vec<ConversationHead>, Failure<ReadError>> {
    survey.trust_list_of(user)?;
    let transaction = connection.unchecked_transaction()?;
    let lobby: Option<(Seq, Option<Vec<u8>>)> = transaction
        .prepare_cached(&format!("SELECT {END}, {NEWEST} FROM conversations WHERE name = '#lobby'"))?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (last, newest) = lobby.unwrap_or_default();
    let mut heads = vec![ConversationHead { name: Conversation::lobby(), last, newest: message_id(newest) }];
    let mut statement = transaction.prepare_cached(&format!(
        "SELECT name, {END}, {NEWEST} FROM members JOIN conversations ON id = conversation WHERE user = ?1
         AND (last_seq > 0 OR EXISTS (SELECT 1 FROM messages WHERE conversation = conversations.id)) ORDER BY name"
    ))?;
    let rows = statement.query_map([user.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for row in rows {
        let (name, last, newest): (String, Seq, Option<Vec<u8>>) = row?;
        let other =
            other_member(&name, user).ok_or_else(|| Damaged(format!("a conversation is named {name}")))?;
        heads.push(ConversationHead { name: Conversation::Direct(other), last, newest: message_id(newest) });
    }
    Ok(heads)
}

/// A message id as it is stored; none if it is not one.
fn message_id(stored: Option<Vec<u8>>) -> Option<MessageId> {
    Some(MessageId::from_bytes(stored?.try_into().ok()?))
}

/// The other name in `@erik@sam`, as seen by one of the two.
fn other_member(stored_name: &str, user: &UserName) -> Option<UserName> {
    let (one, two) = stored_name.strip_prefix('@')?.split_once('@')?;
    let other = if one == user.as_str() { two } else { one };
    other.parse().ok()
}

/// Lists the revoked devices of a user.
pub(super) fn revoked_devices(
    connection: &Connection,
    survey: &Survey,
    user: &UserName,
) -> Result<Vec<RevokedDevice>, Failure<ReadError>> {
    survey.trust_revocations()?;
    let mut statement = connection
        .prepare_cached("SELECT device, time, statement FROM revocations WHERE name = ?1 ORDER BY number")?;
    let rows = statement.query_map([user.as_str()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get(2)?))
    })?;
    rows.map(|row| {
        let (device, time, statement) = row?;
        let device = device.parse().map_err(|_| Damaged("a revocation names no device".to_owned()))?;
        Ok(RevokedDevice { device, time: Timestamp::from_millis(time), statement })
    })
    .collect()
}

/// The number of the newest revocation, or 0.
pub(super) fn newest_revocation(connection: &Connection) -> Result<u64, Failure<ReadError>> {
    Ok(connection
        .prepare_cached("SELECT coalesce(max(number), 0) FROM revocations")?
        .query_row([], |row| row.get(0))?)
}
