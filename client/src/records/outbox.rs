//! Messages that wait to be stored by the server. They survive a restart, and a sealed one is
//! always sent again as the same bytes.

use std::fmt;

use parlour_protocol::{Conversation, MessageId};
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::{Burnt, Kind, Records, RecordsError, sqlite};
use crate::reading::shown::Shown;

/// A message on its way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Outgoing {
    /// Our id for it.
    pub id: MessageId,
    /// The conversation it goes to.
    pub to: Conversation,
    /// Its text or its envelope.
    pub body: OutgoingBody,
}

/// The content of a message on its way.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutgoingBody {
    /// A text that is not sealed yet, or never will be.
    Text(String),
    /// Sealed, perhaps sent, not answered yet.
    Sealed {
        /// The text, for the user.
        text: String,
        /// The envelope, as it is sent each time.
        jwe: String,
        /// The hash of its inner content: the next message follows it, once it is stored.
        hash: String,
        /// The chain that it is in.
        chain: String,
        /// Its counter there.
        n: u64,
    },
}

impl OutgoingBody {
    /// The text, sealed or not.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Sealed { text, .. } => text,
        }
    }
}

/// Leaves the text out.
impl fmt::Debug for OutgoingBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text",
            Self::Sealed { .. } => "Sealed",
        })
    }
}

/// A row of the outbox: its position, and its content if that opens.
pub(super) type Stored = (i64, Result<Outgoing, RecordsError>);

impl Records {
    /// Keeps an outgoing message, and returns its position. Fails if the disk does not take it: a message that is said
    /// to wait must not vanish with this process.
    pub fn push_outgoing(&mut self, outgoing: &Outgoing) -> Result<i64, RecordsError> {
        self.return_to_disk()?;
        let body = self.seal(b"outbox", outgoing)?;
        let transaction = self.connection.unchecked_transaction().map_err(sqlite)?;
        transaction.execute("INSERT INTO outbox (body) VALUES (?1)", [body]).map_err(sqlite)?;
        let position = transaction.last_insert_rowid();
        self.note(outgoing, position)?;
        transaction.commit().map_err(sqlite)?;
        Ok(position)
    }

    /// Notes that a message waits, and its order: rows of the file can be removed or swapped.
    fn note(&self, outgoing: &Outgoing, order: i64) -> Result<(), RecordsError> {
        self.set_fact(Kind::Outbox, &outgoing.id.to_string(), &order)
    }

    /// Replaces the notes by those of the waiting messages that can be read.
    pub(super) fn note_outbox(&self) -> Result<(), RecordsError> {
        let mut order = Vec::new();
        for (position, outgoing) in self.stored_outgoing()? {
            if let Ok(outgoing) = outgoing {
                let noted = self.fact(Kind::Outbox, &outgoing.id.to_string()).ok().flatten();
                order.push((outgoing, noted.unwrap_or(position)));
            }
        }
        let forget = "DELETE FROM facts WHERE kind = ?1";
        self.connection.execute(forget, [Kind::Outbox as u8]).map_err(sqlite)?;
        order.iter().try_for_each(|(outgoing, order)| self.note(outgoing, *order))
    }

    /// Splits the one list of ids that older versions kept into single notes. A listed message that is gone stays
    /// noted as missing.
    pub(super) fn note_each(&mut self) -> Result<(), RecordsError> {
        let Ok(Some(ids)) = self.fact::<Vec<MessageId>>(Kind::Outbox, "") else { return Ok(()) };
        self.write(|records| {
            let transaction = records.connection.unchecked_transaction().map_err(sqlite)?;
            for (order, id) in (1_i64..).zip(&ids) {
                records.set_fact(Kind::Outbox, &id.to_string(), &order)?;
            }
            let tag = records.tag(Kind::Outbox, "");
            transaction.execute("DELETE FROM facts WHERE tag = ?1", [tag]).map_err(sqlite)?;
            transaction.commit().map_err(sqlite)
        })
    }

    /// Removes a message and its note.
    fn take_out(&self, position: i64) -> Result<(), RecordsError> {
        let body: Option<Vec<u8>> = self
            .connection
            .query_row("SELECT body FROM outbox WHERE position = ?1", [position], |row| row.get(0))
            .optional()
            .map_err(sqlite)?;
        let Some(body) = body else { return Ok(()) };
        let outgoing: Outgoing = self.unseal(b"outbox", &body)?;
        self.connection.execute("DELETE FROM outbox WHERE position = ?1", [position]).map_err(sqlite)?;
        let tag = self.tag(Kind::Outbox, &outgoing.id.to_string());
        self.connection.execute("DELETE FROM facts WHERE tag = ?1", [tag]).map(drop).map_err(sqlite)
    }

    /// All rows of the outbox, whether they open or not.
    pub(super) fn stored_outgoing(&self) -> Result<Vec<Stored>, RecordsError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT position, body FROM outbox ORDER BY position")
            .map_err(sqlite)?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))
            .map_err(sqlite)?;
        rows.map(|row| {
            let (position, body) = row.map_err(sqlite)?;
            Ok((position, self.unseal(b"outbox", &body)))
        })
        .collect()
    }

    /// Updates a waiting message.
    pub fn update_outgoing(&mut self, position: i64, outgoing: &Outgoing) -> Result<(), RecordsError> {
        let body = self.seal(b"outbox", outgoing)?;
        self.write(|records| {
            let update = "UPDATE outbox SET body = ?2 WHERE position = ?1";
            records.connection.execute(update, params![position, body]).map(drop).map_err(sqlite)
        })
    }

    /// Forgets a message that was stored, and notes what the next message in its conversation follows.
    pub fn sent(
        &mut self,
        position: i64,
        to: &Conversation,
        next: Option<&super::OwnChain>,
    ) -> Result<(), RecordsError> {
        self.write(|records| {
            let transaction = records.connection.unchecked_transaction().map_err(sqlite)?;
            records.take_out(position)?;
            if let Some(next) = next {
                let own = records.own_chain(to)?;
                // Never backwards: a message that is sent again may be older than the chain's newest.
                if own.is_none_or(|own| own.chain != next.chain || own.n < next.n) {
                    records.set_own_chain(to, next)?;
                }
            }
            transaction.commit().map_err(sqlite)
        })
    }

    /// Forgets a message that will not be sent. If it is sealed, its counter is used up in the same transaction: it may
    /// have left this machine. Returns the message, marked as refused, if the server delivered it all the same.
    pub(crate) fn give_up_outgoing(
        &mut self,
        position: i64,
        burnt: Option<&Burnt>,
    ) -> Result<Vec<Shown>, RecordsError> {
        self.write(|records| {
            let transaction = records.connection.unchecked_transaction().map_err(sqlite)?;
            records.take_out(position)?;
            let mut marked = Vec::new();
            if let Some(burnt) = burnt {
                records.burn(burnt)?;
                if let Some(extent) = records.extent(&burnt.key.conversation)?
                    && let Some(place) = records.delivered(&extent, burnt)?
                {
                    marked = records.mark_refused(&extent, &[place], &[])?;
                    records.set_extent(&extent.with_refused(marked.len()))?;
                }
            }
            transaction.commit().map_err(sqlite)?;
            Ok(marked)
        })
    }

    /// All waiting messages with their positions, in the order in which they were written.
    pub fn outgoing(&self) -> Result<Vec<(i64, Outgoing)>, RecordsError> {
        let stored = self.stored_outgoing()?;
        let mut outgoing = stored
            .into_iter()
            .map(|(position, outgoing)| Ok((position, outgoing?)))
            .collect::<Result<Vec<_>, RecordsError>>()?;
        let order = |outgoing: &Outgoing| self.fact::<i64>(Kind::Outbox, &outgoing.id.to_string());
        let mut noted: Vec<(Option<i64>, (i64, Outgoing))> = outgoing
            .drain(..)
            // A position is not authenticated; the note is.
            .map(|(position, outgoing)| Ok((order(&outgoing)?, (position, outgoing))))
            .collect::<Result<_, RecordsError>>()?;
        noted.sort_by_key(|(order, (position, _))| order.unwrap_or(*position));
        Ok(noted.into_iter().map(|(_, outgoing)| outgoing).collect())
    }
}
