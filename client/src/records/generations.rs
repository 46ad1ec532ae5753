//! Generations: what becomes of a conversation's messages here when the server's do not follow them any more. It was
//! set back, forks, lies, or is too far ahead. Nothing is deleted: new messages are kept under the next number, and
//! what was kept stays under its own. As far as both agree, the new generation goes on from the old one, its parent;
//! the rest of the old one is set aside.

use parlour_protocol::{Conversation, MessageId, Seq, Timestamp};
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::chains::Learned;
use super::disk::sqlite;
use super::{Extent, Kind, Records, RecordsError, message_context};
use crate::reading::opening::Opened;
use crate::reading::shown::Shown;

/// How many generations are looked through, newest first, for a message that the server has again.
const LOOKED_THROUGH: usize = 64;

/// Generations of a conversation that may begin in an hour one right after the other; further ones in that hour begin
/// with a pause between them.
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

/// A generation of a conversation that came to its end here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Generation {
    /// Its number.
    pub number: u64,
    /// The oldest `seq` that is kept under it; everything from it to `last` is.
    pub first: Seq,
    /// The newest.
    pub last: Seq,
    /// What comes before `first`, if an earlier generation has it.
    pub parent: Option<Parent>,
    /// Why it ended.
    pub reason: Reason,
    /// When that was noticed, by the clock of this machine.
    pub noticed: Timestamp,
    /// The newest `seq` that the server named then.
    pub server_last: Seq,
}

/// Messages of one generation that follow each other in what counts now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stretch {
    pub(crate) generation: u64,
    pub(crate) first: Seq,
    pub(crate) last: Seq,
}

/// What counts now of all that is kept of a conversation; the rest is set aside. Newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Path(Vec<Stretch>);

impl Path {
    /// Whether a message counts.
    pub(crate) fn has(&self, generation: u64, seq: Seq) -> bool {
        self.0.iter().any(|s| s.generation == generation && (s.first..=s.last).contains(&seq))
    }

    /// The generation that a `seq` belongs to.
    pub(crate) fn generation_of(&self, seq: Seq) -> Option<u64> {
        self.0.iter().find(|stretch| (stretch.first..=stretch.last).contains(&seq)).map(|s| s.generation)
    }

    /// How many messages of a generation count.
    pub(crate) fn count(&self, generation: u64) -> u64 {
        self.0.iter().filter(|s| s.generation == generation).map(|s| s.last + 1 - s.first).sum()
    }

    /// The newest message that counts.
    fn newest(&self) -> Option<Seq> {
        self.0.first().map(|stretch| stretch.last)
    }

    /// The oldest stretch of those that reach the newest message without a gap.
    fn bottom(&self) -> Option<Stretch> {
        let mut stretches = self.0.iter();
        let mut bottom = *stretches.next()?;
        for stretch in stretches {
            if stretch.last + 1 != bottom.first {
                break;
            }
            bottom = *stretch;
        }
        Some(bottom)
    }
}

impl Records {
    /// The generations of a conversation that came to their end here, newest first.
    pub fn generations(
        &self,
        extent: &Extent,
    ) -> impl Iterator<Item = Result<Generation, RecordsError>> + use<'_> {
        let name = extent.name.clone();
        (0..extent.generation).rev().filter_map(move |number| self.generation(&name, number).transpose())
    }

    /// Whether a conversation began anew so often lately that it must wait before it does so again: each time costs
    /// room, and time whenever it is read.
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

    /// Those of them that can be read.
    pub(super) fn readable_generations(&self, extent: &Extent) -> Vec<Generation> {
        let ended = (0..extent.generation).map(|number| self.generation(&extent.name, number));
        ended.filter_map(|generation| generation.ok().flatten()).collect()
    }

    /// The name of a generation's fact in the file.
    pub(super) fn generation_tag(&self, name: &Conversation, number: u64) -> Vec<u8> {
        self.tag(Kind::Generation, &label(name, number))
    }

    fn generation(&self, name: &Conversation, number: u64) -> Result<Option<Generation>, RecordsError> {
        self.fact(Kind::Generation, &label(name, number))
    }

    fn set_generation(&self, name: &Conversation, generation: &Generation) -> Result<(), RecordsError> {
        self.set_fact(Kind::Generation, &label(name, generation.number), generation)
    }

    /// What counts now of all that is kept of a conversation.
    pub(crate) fn path(&self, extent: &Extent) -> Result<Path, RecordsError> {
        let mut path = Vec::new();
        let (mut number, mut first, mut last) = (extent.generation, extent.begins, extent.last);
        let mut parent = extent.parent;
        loop {
            if first <= last {
                path.push(Stretch { generation: number, first, last });
            }
            let next = match parent {
                Some(parent) => self.generation(&extent.name, parent.generation)?.map(|g| (g, parent.last)),
                // What was kept before a gap counts as well.
                None => match number.checked_sub(1) {
                    Some(before) => self
                        .generation(&extent.name, before)?
                        .filter(|generation| generation.reason == Reason::Gap)
                        .map(|generation| {
                            let last = generation.last;
                            (generation, last)
                        }),
                    None => None,
                },
            };
            // Each step leads to an earlier generation and further back, also in records that somebody has made up.
            let Some((generation, newest)) = next.filter(|(generation, _)| generation.number < number) else {
                return Ok(Path(path));
            };
            let newest = newest.min(first.saturating_sub(1));
            if newest == 0 || generation.first > newest && generation.parent.is_none() {
                return Ok(Path(path));
            }
            (number, first, last, parent) = (generation.number, generation.first, newest, generation.parent);
        }
    }

    /// A message that counts.
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

    /// Up to `limit` messages before `before`, a generation and a `seq` (or the newest), oldest first: all that is
    /// kept, in the order in which it came. What is set aside is marked.
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

    /// The newest of these messages that is kept under any generation, in the same place and with the same id.
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

    /// Those messages of a page that are kept in the same places already, set aside: they are what they were judged to
    /// be, and no replay. What was not believed is judged again: it may have been a replay only there.
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

    /// Ends the present generation of a conversation, and begins the next one: after `parent`, or else with `first`.
    /// Returns what is kept of the conversation now.
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

    /// With the oldest message of those that reach the newest one without a gap.
    pub(super) fn joined(&self, extent: Extent) -> Result<Extent, RecordsError> {
        let path = self.path(&extent)?;
        // An empty generation with nothing before it reaches nothing that was kept before a gap.
        let reaches = path.newest() == Some(extent.last);
        let first = path.bottom().filter(|_| reaches).map_or(extent.begins, |bottom| bottom.first);
        Ok(Extent { first, ..extent })
    }

    /// Notes that a generation has only what comes after this `seq`.
    pub(super) fn beginning_after(
        &self,
        extent: Extent,
        number: u64,
        seq: Seq,
    ) -> Result<Extent, RecordsError> {
        if number == extent.generation {
            return Ok(Extent { begins: seq + 1, parent: None, ..extent });
        }
        if let Some(generation) = self.generation(&extent.name, number)? {
            let generation = Generation { first: seq + 1, parent: None, ..generation };
            self.set_generation(&extent.name, &generation)?;
        }
        Ok(extent)
    }

    /// Lets an empty present generation go on from another message of an earlier one.
    pub(crate) fn adopt(&mut self, extent: &Extent, parent: Parent) -> Result<Extent, RecordsError> {
        let begins = parent.last + 1;
        let adopted = Extent { begins, last: parent.last, parent: Some(parent), ..extent.clone() };
        self.write(|records| {
            let extent = records.joined(adopted.clone())?;
            records.set_extent(&extent)?;
            Ok(extent)
        })
    }

    /// The generation that older messages of what counts now belong to.
    pub(crate) fn oldest_generation(&self, extent: &Extent) -> Result<u64, RecordsError> {
        Ok(self.path(extent)?.bottom().map_or(extent.generation, |bottom| bottom.generation))
    }

    /// Keeps messages older than all that counts now, in front of the generation that they belong to; with `parent`
    /// that goes on from an earlier generation's messages.
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
            // One after the page may be among them; it has been counted.
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
