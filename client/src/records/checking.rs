//! Checking that the records are still as they were written. A small file is checked completely when it is opened. Of a
//! large file only the messages that a login shows are checked then; the rest follows a little at a time, so that a
//! start does not get slower as the history grows.

use rusqlite::params;

use super::{Generation, Kind, Records, RecordsError, context, message_context, sqlite};

/// A file of up to this many bytes is checked when it is opened.
const SMALL: u64 = 256 * 1_024;

/// The values that one step checks.
const STEP: usize = 200;

/// The messages of each conversation that are checked when a large file is opened: those that a login shows.
const SHOWN: usize = 100;

/// The place up to which the records have been checked.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// All facts up to this tag.
    Facts(Vec<u8>),
    /// All messages up to this one.
    Messages(MessagePlace),
}

/// A message's conversation, generation and `seq`, as stored in the file.
type MessagePlace = (Vec<u8>, i64, i64);

/// The result of checking a few more values.
enum Seen {
    Sound(Option<Place>),
    Damaged,
}

impl Records {
    /// Checks all of a small file, or the part of a large one that is shown first.
    pub(super) fn check_at_opening(&mut self) -> Result<(), RecordsError> {
        if self.size()? <= SMALL {
            self.damages = self.mend()?;
            return Ok(());
        }
        match self.look_at_what_is_shown() {
            Ok(()) => self.unchecked = Some(Place::Facts(Vec::new())),
            Err(RecordsError::Damaged(_)) => self.damages = self.mend()?,
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    fn size(&self) -> Result<u64, RecordsError> {
        let pragma = |name: &str| {
            self.connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0)).map_err(sqlite)
        };
        Ok(pragma("page_count")?.saturating_mul(pragma("page_size")?))
    }

    fn look_at_what_is_shown(&self) -> Result<(), RecordsError> {
        for extent in self.extents()? {
            self.messages(&extent.name, None, SHOWN)?;
        }
        self.outgoing()?;
        match self.missing_outgoing()? {
            0 => Ok(()),
            _ => Err(RecordsError::Damaged("messages that waited to be sent are missing".to_owned())),
        }
    }

    /// True if a part of the records has not been checked since they were opened.
    pub fn is_unchecked(&self) -> bool {
        self.unchecked.is_some()
    }

    /// Checks a few more values. Damaged ones are removed and reported to the user: see
    /// [`Records::take_damages`].
    pub fn check_further(&mut self) -> Result<(), RecordsError> {
        let Some(place) = self.unchecked.take() else { return Ok(()) };
        let seen = match place {
            Place::Facts(after) => self.check_facts(&after),
            Place::Messages(after) => self.check_messages(&after),
        };
        match seen {
            Ok(Seen::Sound(next)) => self.unchecked = next,
            // All of it is checked once more, to remove everything that is bad.
            Ok(Seen::Damaged) | Err(RecordsError::Damaged(_)) => {
                let damages = self.mend()?;
                self.damages.extend(damages);
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    fn check_facts(&self, after: &[u8]) -> Result<Seen, RecordsError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT tag, kind, body FROM facts WHERE tag > ?1 ORDER BY tag LIMIT ?2")
            .map_err(sqlite)?;
        let rows = select
            .query_map(params![after, STEP], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .map_err(sqlite)?;
        let mut last = None;
        for row in rows {
            let (tag, kind, body): (Vec<u8>, i64, Vec<u8>) = row.map_err(sqlite)?;
            let kind = Kind::ALL.into_iter().find(|known| *known as i64 == kind);
            if !kind.is_some_and(|kind| self.opens(&context(kind, &tag), &body)) {
                return Ok(Seen::Damaged);
            }
            last = Some(tag);
        }
        match last {
            Some(tag) => Ok(Seen::Sound(Some(Place::Facts(tag)))),
            None if self.has_ends()? => Ok(Seen::Sound(Some(Place::Messages((Vec::new(), 0, 0))))),
            None => Ok(Seen::Damaged),
        }
    }

    /// True if the index has all facts, and each generation its first and its last message.
    fn has_ends(&self) -> Result<bool, RecordsError> {
        let count = |how: &str| {
            let count = format!("SELECT count(*) FROM facts {how}");
            self.connection.query_row(&count, [], |row| row.get::<_, u64>(0)).map_err(sqlite)
        };
        if count("INDEXED BY facts_by_kind WHERE kind >= 0")? != count("NOT INDEXED")? {
            return Ok(false);
        }
        for extent in self.extents()? {
            let mut ends = vec![(extent.generation, extent.begins, extent.last)];
            for ended in self.generations(&extent) {
                let Generation { number, first, last, .. } = ended?;
                ends.push((number, first, last));
            }
            for (generation, first, last) in ends.into_iter().filter(|(_, first, last)| first <= last) {
                for seq in [first, last] {
                    if self.message_of(&extent.name, generation, seq)?.is_none() {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    fn check_messages(&self, after: &MessagePlace) -> Result<Seen, RecordsError> {
        let (conversation, generation, seq) = after;
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT conversation, generation, seq, body FROM messages
                 WHERE (conversation, generation, seq) > (?1, ?2, ?3)
                 ORDER BY conversation, generation, seq LIMIT ?4",
            )
            .map_err(sqlite)?;
        let rows = select
            .query_map(params![conversation, generation, seq, STEP], |row| {
                Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?))
            })
            .map_err(sqlite)?;
        let mut last = after.clone();
        let mut is_end = true;
        for row in rows {
            let (place, body): (MessagePlace, Vec<u8>) = row.map_err(sqlite)?;
            is_end = false;
            let (tag, generation, seq) = &place;
            let opens = match (u64::try_from(*generation), u64::try_from(*seq)) {
                (Ok(generation), Ok(seq)) => self.opens(&message_context(tag, generation, seq), &body),
                _ => false,
            };
            let is_same = (tag, generation) == (&last.0, &last.1);
            let fits = if is_same { *seq == last.2 + 1 } else { self.is_known(tag)? };
            if !opens || !fits {
                return Ok(Seen::Damaged);
            }
            last = place;
        }
        Ok(Seen::Sound((!is_end).then_some(Place::Messages(last))))
    }

    fn is_known(&self, conversation: &[u8]) -> Result<bool, RecordsError> {
        self.connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM facts WHERE tag = ?1 AND kind = ?2)")
            .and_then(|mut select| {
                select.query_row(params![conversation, Kind::Conversation as u8], |row| row.get(0))
            })
            .map_err(sqlite)
    }
}
