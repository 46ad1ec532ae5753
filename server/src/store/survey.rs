//! Checks the small tables that lead to everything else, whenever a database is opened. Without these checks, data
//! behind a missing or changed row would look as if it had never existed.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use parlour_protocol::{ChannelName, Message, UserName};
use rusqlite::{Connection, OptionalExtension as _};

use super::chain::{GENESIS, Hash, link};
use super::rows::{MESSAGE_COLUMNS, RawMessage, hash, hash_before};
use super::{ConversationKey, Damaged, revocations};

/// The tables that are read whole.
const SMALL: [&str; 4] = ["accounts", "conversations", "members", "revocations"];

/// More messages than fit in a log that is copied after every commit, as long as copying works.
const NEWEST: u32 = 20_000;

/// The findings of checking a database when it was opened. Damaged data is refused; the rest is served.
#[derive(Debug, Default)]
pub(super) struct Survey {
    damages: Vec<String>,
    /// True if a conversation that is not found may be one that was damaged.
    names: bool,
    /// The users of conversations whose rows are damaged.
    users: HashSet<String>,
    /// True while the list of revoked devices is in doubt; the TTP sends it again.
    revocations: AtomicBool,
}

impl Survey {
    /// Checks a database of this version.
    pub(super) fn take(connection: &Connection) -> Self {
        let mut survey = Self::default();
        if let Err(failure) = survey.look(connection) {
            survey.damages.push(format!("it cannot be read: {failure}"));
            survey.names = true;
            survey.doubt_revocations();
        }
        survey
    }

    /// Also checks the newest messages, which may be in a log that was not copied yet. If the log belongs to
    /// another database, or to another state of this one, they do not continue the messages before them.
    pub(super) fn with_newest_messages(mut self, connection: &Connection) -> Self {
        if let Err(failure) = self.look_at_newest(connection) {
            self.damages.push(format!("the newest messages cannot be read: {failure}"));
        }
        self
    }

    fn look_at_newest(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut select = connection.prepare(&format!(
            "SELECT {MESSAGE_COLUMNS}, conversation FROM messages ORDER BY rowid DESC LIMIT {NEWEST}"
        ))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let (raw, id): (RawMessage, i64) = (RawMessage::read(row)?, row.get("conversation")?);
            let seq = raw.seq;
            let before = hash_before(connection, id, seq);
            let fits = raw
                .parse()
                .is_ok_and(|(message, stored)| before.is_ok_and(|before| follows(before, &message, &stored)));
            if !fits {
                self.damages.push(format!("message {seq} of conversation {id} does not fit its hash"));
                return Ok(());
            }
        }
        Ok(())
    }

    /// All damage found, on one line.
    pub(super) fn damage(&self) -> Option<String> {
        (!self.damages.is_empty()).then(|| self.damages.join("; "))
    }

    /// Succeeds when a conversation that is not found never existed; fails when that is in doubt.
    pub(super) fn trust_absence(&self) -> Result<(), Damaged> {
        if self.names {
            return Err(Damaged("the list of conversations".to_owned()));
        }
        Ok(())
    }

    /// Succeeds when the conversations found for a user are all of them; fails when that is in doubt.
    pub(super) fn trust_list_of(&self, user: &UserName) -> Result<(), Damaged> {
        self.trust_absence()?;
        if self.users.contains(user.as_str()) {
            return Err(Damaged(format!("the list of conversations of {user}")));
        }
        Ok(())
    }

    /// Succeeds when the list of revoked devices is complete; fails when that is in doubt.
    pub(super) fn trust_revocations(&self) -> Result<(), Damaged> {
        if self.revocations.load(Ordering::Acquire) {
            return Err(Damaged("the list of revoked devices".to_owned()));
        }
        Ok(())
    }

    /// Checks the list of revoked devices again after a repair. Returns true if it can be trusted now.
    pub(super) fn recheck_revocations(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let mut sound = structure(connection, "revocations")?.is_empty();
        revocations::verify(connection, |_| sound = false)?;
        self.revocations.store(!sound, Ordering::Release);
        Ok(sound)
    }

    fn doubt_revocations(&self) {
        self.revocations.store(true, Ordering::Release);
    }

    fn look(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for table in SMALL {
            for damage in structure(connection, table)? {
                self.names |= matches!(table, "conversations" | "members");
                if table == "revocations" {
                    self.doubt_revocations();
                }
                self.damages.push(damage);
            }
        }
        self.look_at_conversations(connection)?;
        let mut found = Vec::new();
        revocations::verify(connection, |damage| found.push(damage))?;
        if !found.is_empty() {
            self.doubt_revocations();
            self.damages.append(&mut found);
        }
        Ok(())
    }

    fn look_at_conversations(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut select = connection.prepare(
            "SELECT id, name, last_seq, last_hash, (SELECT group_concat(user, '@') FROM
                 (SELECT user FROM members WHERE conversation = id ORDER BY user)) FROM conversations",
        )?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let (id, name, seq): (i64, String, u64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (end, members): (Option<Hash>, Option<String>) = (hash(row.get(3)?), row.get(4)?);
            let Some(key) = key(&name) else {
                self.names = true;
                self.damages.push(format!("a conversation is named {name:?}"));
                continue;
            };
            if members.unwrap_or_default() != expected_members(&key) {
                self.doubt(&key);
                self.damages.push(format!("conversation {name:?} has other members than its name says"));
            }
            match newest(connection, id, seq)? {
                Newest::Nothing if seq == 0 && end == Some(GENESIS) => {}
                // The message was posted elsewhere, so this row has another conversation's name.
                Newest::Sound(_, place) if place != name => {
                    self.names = true;
                    self.damages.push(format!("conversation {name:?} is {place:?}"));
                }
                Newest::Sound(last, _) if Some(last) == end => {}
                Newest::Damaged => {
                    self.damages.push(format!("message {seq} of {name:?} does not fit its hash"));
                }
                _ => self.damages.push(format!("conversation {name:?} does not end where it should")),
            }
        }
        Ok(())
    }

    fn doubt(&mut self, key: &ConversationKey) {
        if let ConversationKey::Direct(one, two) = key {
            self.users.extend([one.to_string(), two.to_string()]);
        }
    }
}

/// The faults that SQLite finds in one table and its indexes.
fn structure(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut check = connection.prepare(&format!("PRAGMA integrity_check({table})"))?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?;
    lines.filter(|line| line.as_deref() != Ok("ok")).map(|line| Ok(format!("{table}: {}", line?))).collect()
}

/// The message at the end of a conversation.
enum Newest {
    /// There is no message with that `seq`.
    Nothing,
    /// It does not match its hash.
    Damaged,
    /// Its hash, and the stored name of its conversation.
    Sound(Hash, String),
}

fn newest(connection: &Connection, id: i64, seq: u64) -> rusqlite::Result<Newest> {
    let found = connection
        .prepare_cached(&format!(
            "SELECT {MESSAGE_COLUMNS} FROM messages WHERE conversation = ?1 AND seq = ?2"
        ))?
        .query_row((id, seq), RawMessage::read)
        .optional()?;
    let Some(raw) = found else { return Ok(Newest::Nothing) };
    let before = hash_before(connection, id, seq);
    Ok(match (raw.parse(), before) {
        (Ok((message, stored)), Ok(before)) if follows(before, &message, &stored) => {
            let place = ConversationKey::seen_by(&message.from, &message.to);
            Newest::Sound(stored, place.stored_name())
        }
        _ => Newest::Damaged,
    })
}

/// Returns true if a message with this stored hash follows the one whose hash is `before`.
fn follows(before: Option<Hash>, message: &Message, stored: &Hash) -> bool {
    before.is_some_and(|before| link(&before, message) == *stored)
}

/// The conversation with this stored name, if the name is valid.
fn key(stored_name: &str) -> Option<ConversationKey> {
    let key = if let Some(channel) = stored_name.strip_prefix('#') {
        ConversationKey::Channel(channel.parse::<ChannelName>().ok()?)
    } else {
        let (one, two) = stored_name.strip_prefix('@')?.split_once('@')?;
        ConversationKey::Direct(one.parse().ok()?, two.parse().ok()?)
    };
    (key.stored_name() == stored_name).then_some(key)
}

fn expected_members(key: &ConversationKey) -> String {
    match key {
        ConversationKey::Channel(_) => String::new(),
        ConversationKey::Direct(one, two) if one == two => one.to_string(),
        ConversationKey::Direct(one, two) => format!("{one}@{two}"),
    }
}
