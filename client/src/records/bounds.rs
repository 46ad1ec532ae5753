//! The bounds on the number of conversations that are kept, and on the disk space of a public one. Beyond it the oldest
//! messages that count go: the server has them, and so has anyone in the channel. Messages that are set aside and
//! private messages are never removed for space.

use parlour_protocol::{Conversation, Seq};
use rusqlite::params;

use super::path::Stretch;
use super::{Extent, Kind, Records, RecordsError, sqlite};

/// The bytes that a public conversation may take, unless the user says otherwise.
pub const PUBLIC_BYTES: u64 = 64 * 1_024 * 1_024;

/// The most conversations that are kept. A server can invent any number of them; a user who really has more is told
/// that the newest are left out.
pub const CONVERSATIONS: u64 = 1_000;

/// The bytes that a message takes besides its content.
pub(super) const ROW: u64 = 64;

/// The newest messages that always stay, because a login shows them.
const STAY: u64 = 100;

/// Rows that are read together.
const STEP: usize = 256;

impl Records {
    /// Sets the bytes that a public conversation may take.
    pub const fn bound_public(&mut self, bytes: u64) {
        self.public_bytes = bytes;
    }

    /// The number of conversations that can still be added.
    pub fn room_for_conversations(&self) -> Result<u64, RecordsError> {
        let count = "SELECT count(*) FROM facts WHERE kind = ?1";
        let count = self
            .connection
            .prepare_cached(count)
            .and_then(|mut select| select.query_row([Kind::Conversation as u8], |row| row.get::<_, u64>(0)))
            .map_err(sqlite)?;
        Ok(CONVERSATIONS.saturating_sub(count))
    }

    /// Takes the notices about what was left out. Each conversation causes one.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Stores the extent of a conversation that has grown by `more` bytes, and removes its oldest messages if it
    /// takes too many. Returns a notice for the user in that case.
    pub(super) fn bounded(&self, extent: &Extent, more: u64) -> Result<Option<String>, RecordsError> {
        let mut extent = extent.clone();
        let is_public = matches!(extent.name, Conversation::Channel(_));
        let grown = extent.bytes.map(|bytes| bytes.saturating_add(more));
        let bytes = match grown {
            Some(bytes) if !is_public || bytes <= self.public_bytes => bytes,
            // Earlier versions counted what is set aside as well.
            _ => self.bytes_of(&extent)?,
        };
        extent.bytes = Some(bytes);
        if !is_public || bytes <= self.public_bytes {
            self.set_extent(&extent)?;
            return Ok(None);
        }
        let extent = self.without_oldest(extent, bytes)?;
        let notice = (!extent.told_of_bound).then(|| {
            let most = self.public_bytes.div_ceil(1_024);
            format!(
                "{} takes more than {most} KiB on this machine: its oldest messages are left out here from now on, \
                 and fetched from the server when you go there (--history-bytes)",
                extent.name
            )
        });
        self.set_extent(&Extent { told_of_bound: true, ..extent })?;
        Ok(notice)
    }

    /// The bytes of the messages that count.
    fn bytes_of(&self, extent: &Extent) -> Result<u64, RecordsError> {
        let tag = self.conversation_tag(&extent.name);
        let mut bytes = 0;
        for Stretch { generation, first, last } in self.path(extent)?.oldest_first() {
            let sum = "SELECT coalesce(sum(length(body) + ?5), 0) FROM messages
                       WHERE conversation = ?1 AND generation = ?2 AND seq BETWEEN ?3 AND ?4";
            let sum: u64 = self
                .connection
                .prepare_cached(sum)
                .and_then(|mut sum| {
                    sum.query_row(params![tag, generation, first, last, ROW], |row| row.get(0))
                })
                .map_err(sqlite)?;
            bytes += sum;
        }
        Ok(bytes)
    }

    /// Removes the oldest messages that count until an eighth of the space is free, so that this is not done for each
    /// new message. Those that are set aside stay: no server could give them again.
    fn without_oldest(&self, mut extent: Extent, mut bytes: u64) -> Result<Extent, RecordsError> {
        let goal = self.public_bytes - self.public_bytes / 8;
        let newest = extent.last.saturating_sub(STAY);
        for Stretch { generation, first, last } in self.path(&extent)?.oldest_first() {
            let mut next = first;
            while bytes > goal {
                let Some((seq, freed)) =
                    self.oldest_of(&extent.name, generation, (next, last.min(newest)), bytes - goal)?
                else {
                    break;
                };
                bytes = bytes.saturating_sub(freed);
                self.connection
                    .prepare_cached(
                        "DELETE FROM messages WHERE conversation = ?1 AND generation = ?2 AND seq BETWEEN ?3 AND ?4",
                    )
                    .and_then(|mut delete| {
                        delete.execute(params![self.conversation_tag(&extent.name), generation, next, seq])
                    })
                    .map_err(sqlite)?;
                extent = self.beginning_after(extent, generation, seq)?;
                next = seq + 1;
            }
        }
        extent.bytes = Some(bytes);
        self.joined(extent)
    }

    /// The last of the oldest messages between two of a generation that take `wanted` bytes together, or of as many as
    /// are read at once, and the bytes that they take.
    fn oldest_of(
        &self,
        name: &Conversation,
        generation: u64,
        between: (Seq, Seq),
        wanted: u64,
    ) -> Result<Option<(Seq, u64)>, RecordsError> {
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT seq, length(body) FROM messages
                 WHERE conversation = ?1 AND generation = ?2 AND seq BETWEEN ?3 AND ?4 ORDER BY seq LIMIT ?5",
            )
            .map_err(sqlite)?;
        let tag = self.conversation_tag(name);
        let mut rows = select.query(params![tag, generation, between.0, between.1, STEP]).map_err(sqlite)?;
        let (mut oldest, mut freed) = (None, 0);
        while freed < wanted
            && let Some(row) = rows.next().map_err(sqlite)?
        {
            freed += row.get::<_, u64>(1).map_err(sqlite)? + ROW;
            oldest = Some((row.get(0).map_err(sqlite)?, freed));
        }
        Ok(oldest)
    }
}
