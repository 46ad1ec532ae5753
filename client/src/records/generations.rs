//! Generations: they keep a conversation's messages when the server's do not follow them any more, because it was set
//! back, forks, lies, or is too far ahead. Nothing is deleted: new messages are kept under the next number, and the
//! old ones stay under their own. As far as both agree, the new generation continues the old one, its parent; the
//! rest of the old one is set aside.

use parlour_protocol::{Conversation, MessageId, Seq, Timestamp};
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::chains::Learned;
use super::disk::sqlite;
use super::{Extent, Kind, Records, RecordsError, message_context};
use crate::reading::opening::Opened;
use crate::reading::shown::Shown;

/// The newest generations that are searched for a message that the server has again.
const LOOKED_THROUGH: usize = 64;

/// The generations of a conversation that may begin within an hour without a pause; further ones in that hour begin
/// only after a pause.
const AT_ONCE: u64 = 16;

const HOUR_MS: i64 = 60 * 60 * 1_000;

const PAUSE_MS: i64 = 60 * 1_000;

/// Why a generation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The server had fewer messages than this machine.
    SetBack,
    /// The server had another message in a place that was taken.
    OtherMessage,
    /// Too much was missed to fetch it all. Nothing is wrong with what was kept before it.
    Gap,
}

/// The messages that come before those of a generation: those of an earlier one, up to one of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Parent {
    /// The number of the earlier one.
    pub generation: u64,
    /// The newest of its messages that counts.
    pub last: Seq,
}

/// A generation of a conversation that has ended here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Generation {
    /// Its number.
    pub number: u64,
    /// The oldest `seq` that is kept under it; everything from it to `last` is kept too.
    pub first: Seq,
    /// The newest `seq` that is kept under it.
    pub last: Seq,
    /// The messages before `first`, if an earlier generation has them.
    pub parent: Option<Parent>,
    /// Why it ended.
    pub reason: Reason,
    /// The time at which the end was noticed, by the clock of this machine.
    pub noticed: Timestamp,
    /// The newest `seq` that the server named at that time.
    pub server_last: Seq,
}

impl Records {
    /// The generations of a conversation that have ended here, newest first.
    pub fn generations(
        &self,
        extent: &Extent,
    ) -> impl Iterator<Item = Result<Generation, RecordsError>> + use<'_> {
        let name = extent.name.clone();
        (0..extent.generation).rev().filter_map(move |number| self.generation(&name, number).transpose())
    }

    /// True if a conversation began anew so often lately that it must wait before the next time: each time costs
    /// space, and time on every reading.
    pub(crate) fn begins_too_often(&self, extent: &Extent, now: Timestamp) -> Result<bool, RecordsError> {
        for (back, pause) in [(1, PAUSE_MS), (AT_ONCE, HOUR_MS)] {
            let Some(number) = extent.generation.checked_sub(back) else { return Ok(false) };
            let Some(earlier) = self.generation(&extent.name, number)? else { return Ok(false) };
            let since = now.as_millis().saturating_sub(earlier.noticed.as_millis());
            if !(0..pause).contains(&since) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Those generations that can be read.
    pub(super) fn readable_generations(&self, extent: &Extent) -> Vec<Generation> {
        let ended = (0..extent.generation).map(|number| self.generation(&extent.name, number));
        ended.filter_map(|generation| generation.ok().flatten()).collect()
    }

    /// The name of a generation's fact in the file.
    pub(super) fn generation_tag(&self, name: &Conversation, number: u64) -> Vec<u8> {
        self.tag(Kind::Generation, &label(name, number))
    }

    pub(super) fn generation(
        &self,
        name: &Conversation,
        number: u64,
    ) -> Result<Option<Generation>, RecordsError> {
        self.fact(Kind::Generation, &label(name, number))
    }

    fn set_generation(&self, name: &Conversation, generation: &Generation) -> Result<(), RecordsError> {
        self.set_fact(Kind::Generation, &label(name, generation.number), generation)
    }

    /// The message with this `seq` that counts.
    pub(crate) fn message(&self, name: &Conversation, seq: Seq) -> Result<Option<Shown>, RecordsError> {
        let Some(extent) = self.extent(name)? else { return Ok(None) };
        match self.path(&extent)?.generation_of(seq) {
            Some(generation) => self.message_of(name, generation, seq),
            None => Ok(None),
        }
    }

    pub(crate) fn message_of(
        &self,
        name: &Conversation,
        generation: u64,
        seq: Seq,
    ) -> Result<Option<Shown>, RecordsError> {
        let tag = self.conversation_tag(name);
        let body: Option<Vec<u8>> = self
            .connection
            .prepare_cached(
                "SELECT body FROM messages WHERE conversation = ?1 AND generation = ?2 AND seq = ?3",
            )
            .and_then(|mut select| {
                select.query_row(params![tag, generation, seq], |row| row.get(0)).optional()
            })
            .map_err(sqlite)?;
        body.map(|body| self.unseal(&message_context(&tag, generation, seq), &body)).transpose()
    }

    /// Up to `limit` messages before `before`, which is a generation and a `seq` (`None` for the newest), oldest first:
    /// everything that is kept, in the order in which it came. Messages that are set aside are marked.
    pub fn messages(
        &self,
        name: &Conversation,
        before: Option<(u64, Seq)>,
        limit: usize,
    ) -> Result<Vec<Shown>, RecordsError> {
        let tag = self.conversation_tag(name);
        let path = self.extent(name)?.map(|extent| self.path(&extent)).transpose()?.unwrap_or_default();
        let (generation, seq) = before.unwrap_or((i64::MAX as u64, i64::MAX as u64));
        let clamped = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT generation, seq, body FROM messages
                 WHERE conversation = ?1 AND (generation, seq) < (?2, ?3)
                 ORDER BY generation DESC, seq DESC LIMIT ?4",
            )
            .map_err(sqlite)?;
        let rows = statement
            .query_map(params![tag, clamped(generation), clamped(seq), limit], |row| {
                Ok((row.get::<_, u64>(0)?, row.get::<_, Seq>(1)?, row.get::<_, Vec<u8>>(2)?))
            })
            .map_err(sqlite)?;
        let mut messages = rows
            .map(|row| {
                let (generation, seq, body) = row.map_err(sqlite)?;
                let shown: Shown = self.unseal(&message_context(&tag, generation, seq), &body)?;
                Ok(Shown { generation, set_aside: !path.has(generation, seq), ..shown })
            })
            .collect::<Result<Vec<Shown>, RecordsError>>()?;
        messages.reverse();
        Ok(messages)
    }

    /// The newest of these messages that is kept under any generation with the same place and id.
    pub(crate) fn find_kept(
        &self,
        extent: &Extent,
        page: impl DoubleEndedIterator<Item = (Seq, MessageId)>,
    ) -> Result<Option<Parent>, RecordsError> {
        let mut kept: Vec<(u64, Seq, Seq)> = vec![(extent.generation, extent.begins, extent.last)];
        for ended in self.generations(extent).take(LOOKED_THROUGH) {
            let Generation { number, first, last, .. } = ended?;
            kept.push((number, first, last));
        }
        for (seq, id) in page.rev() {
            for (generation, ..) in kept.iter().filter(|(_, first, last)| (*first..=*last).contains(&seq)) {
                let found = self.message_of(&extent.name, *generation, seq)?;
                if found.is_some_and(|found| found.id == id) {
                    return Ok(Some(Parent { generation: *generation, last: seq }));
                }
            }
        }
        Ok(None)
    }

    /// Those messages of a page that are kept in the same places already, but set aside: they keep their judgement and
    /// are no replays. Messages that were not believed are judged again: they may have been replays only there.
    pub(crate) fn known_again(&self, extent: &Extent, page: &[Opened]) -> Result<Vec<Shown>, RecordsError> {
        let mut known = Vec::new();
        if extent.generation == 0 {
            return Ok(known);
        }
        for Opened { message, .. } in page {
            let one = std::iter::once((message.seq, message.id));
            if let Some(Parent { generation, last }) = self.find_kept(extent, one)? {
                let found = self.message_of(&extent.name, generation, last)?;
                known.extend(found.filter(|found| found.verdict.is_believed()));
            }
        }
        Ok(known)
    }

    /// Ends the present generation of a conversation and begins the next one: after `parent`, or else with `first`.
    /// Returns the new extent of the conversation.
    pub(crate) fn begin_generation(
        &mut self,
        ended: &Extent,
        end: (Reason, Timestamp, Seq),
        parent: Option<Parent>,
        first: Seq,
    ) -> Result<Extent, RecordsError> {
        let (reason, noticed, server_last) = end;
        let generation = Generation {
            number: ended.generation,
            first: ended.begins,
            last: ended.last,
            parent: ended.parent,
            reason,
            noticed,
            server_last,
        };
        let begins = parent.map_or(first, |parent| parent.last + 1);
        let last = begins.saturating_sub(1);
        let begun = Extent {
            name: ended.name.clone(),
            first: begins,
            last,
            read: ended.read.min(last),
            generation: ended.generation + 1,
            begins,
            parent,
            bytes: None,
            ..ended.clone()
        };
        self.write(|records| {
            let transaction = records.connection.unchecked_transaction().map_err(sqlite)?;
            records.set_generation(&ended.name, &generation)?;
            let extent = records.joined(begun.clone())?;
            records.set_extent(&extent)?;
            transaction.commit().map_err(sqlite)?;
            Ok(extent)
        })
    }

    /// Notes that a generation has only the messages after this `seq`. Its parent stays: without one, messages that are
    /// set aside could seem to be those before a gap.
    pub(super) fn beginning_after(
        &self,
        extent: Extent,
        number: u64,
        seq: Seq,
    ) -> Result<Extent, RecordsError> {
        if number == extent.generation {
            return Ok(Extent { begins: seq + 1, ..extent });
        }
        if let Some(generation) = self.generation(&extent.name, number)? {
            let generation = Generation { first: seq + 1, ..generation };
            self.set_generation(&extent.name, &generation)?;
        }
        Ok(extent)
    }

    /// Makes an empty present generation continue from another message of an earlier one.
    pub(crate) fn adopt(&mut self, extent: &Extent, parent: Parent) -> Result<Extent, RecordsError> {
        let begins = parent.last + 1;
        let adopted =
            Extent { begins, last: parent.last, parent: Some(parent), bytes: None, ..extent.clone() };
        self.write(|records| {
            let extent = records.joined(adopted.clone())?;
            records.set_extent(&extent)?;
            Ok(extent)
        })
    }

    /// Keeps messages older than everything that counts now, in front of the generation that they belong to; with
    /// `parent` it then continues an earlier generation's messages.
    pub(crate) fn keep_older(
        &mut self,
        extent: &Extent,
        messages: &[Shown],
        learned: &Learned,
        parent: Option<Parent>,
    ) -> Result<Extent, RecordsError> {
        let oldest = self.oldest_generation(extent)?;
        let first = messages.iter().map(|shown| shown.seq).min().unwrap_or(extent.first).min(extent.first);
        self.write(|records| {
            let transaction = records.connection.unchecked_transaction().map_err(sqlite)?;
            // The message after the page may be among them; it has been counted before.
            let refused = messages.iter().filter(|shown| shown.refused && shown.seq < extent.first).count();
            let mut extent = extent.with_refused(refused);
            let bytes = records.set_messages(oldest, messages)?;
            extent.bytes = extent.bytes.map(|before| before.saturating_add(bytes));
            records.set_chains(oldest, &learned.chains)?;
            if oldest == extent.generation {
                (extent.begins, extent.parent) = (first, parent.or(extent.parent));
            } else if let Some(generation) = records.generation(&extent.name, oldest)? {
                let parent = parent.or(generation.parent);
                records.set_generation(&extent.name, &Generation { first, parent, ..generation })?;
            }
            let extent = records.joined(extent)?;
            records.set_extent(&extent)?;
            transaction.commit().map_err(sqlite)?;
            Ok(extent)
        })
    }
}

fn label(name: &Conversation, number: u64) -> String {
    format!("{name} {number}")
}
