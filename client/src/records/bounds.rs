//! The bounds on the number of conversations that are kept, and on the disk space of a public one. Beyond it the oldest
//! messages go: the server has them, and so has anyone in the channel. Private messages are never removed for space.

use parlour_protocol::{Conversation, Seq};
use rusqlite::params;

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
        let bytes = match extent.bytes {
            Some(bytes) => bytes.saturating_add(more),
            None => self.bytes_of(&extent.name)?,
        };
        extent.bytes = Some(bytes);
        let is_public = matches!(extent.name, Conversation::Channel(_));
        if !is_public || bytes <= self.public_bytes {
            self.set_extent(&extent)?;
            return Ok(None);
        }
        let extent = self.without_oldest(extent)?;
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

    fn bytes_of(&self, name: &Conversation) -> Result<u64, RecordsError> {
        let tag = self.conversation_tag(name);
        let sum = "SELECT coalesce(sum(length(body) + ?2), 0) FROM messages WHERE conversation = ?1";
        self.connection.query_row(sum, params![tag, ROW], |row| row.get(0)).map_err(sqlite)
    }

    /// Removes the oldest messages until an eighth of the space is free, so that this is not done for each new message.
    fn without_oldest(&self, mut extent: Extent) -> Result<Extent, RecordsError> {
        let tag = self.conversation_tag(&extent.name);
        let mut bytes = self.bytes_of(&extent.name)?;
        let goal = self.public_bytes - self.public_bytes / 8;
        while bytes > goal {
            let mut select = self
                .connection
                .prepare_cached(
                    "SELECT generation, seq, length(body) FROM messages WHERE conversation = ?1
                     ORDER BY generation, seq LIMIT ?2",
                )
                .map_err(sqlite)?;
            let rows = select
                .query_map(params![tag, STEP], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .map_err(sqlite)?;
            let mut out: Option<(u64, Seq)> = None;
            for row in rows {
                let (generation, seq, length): (u64, Seq, u64) = row.map_err(sqlite)?;
                let stays = generation == extent.generation && seq.saturating_add(STAY) > extent.last;
                let is_other = out.is_some_and(|(other, _)| other != generation);
                if bytes <= goal || stays || is_other {
                    break;
                }
                bytes = bytes.saturating_sub(length + ROW);
                out = Some((generation, seq));
            }
            let Some((generation, seq)) = out else { break };
            self.connection
                .prepare_cached(
                    "DELETE FROM messages WHERE conversation = ?1 AND generation = ?2 AND seq <= ?3",
                )
                .and_then(|mut delete| delete.execute(params![tag, generation, seq]))
                .map_err(sqlite)?;
            extent = self.beginning_after(extent, generation, seq)?;
        }
        extent.bytes = Some(bytes);
        self.joined(extent)
    }
}
