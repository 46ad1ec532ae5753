//! The memory of a client on this machine: history, outbox, read marks, pins and chains, in one
//! SQLite file per profile in which every value is encrypted and every name is a keyed hash.
//!
//! Someone with the file alone learns how many messages there are in how many conversations, and how
//! long they are; not what, not whose, not when.

mod bounds;
mod chains;
mod checking;
mod disk;
mod error;
mod generations;
mod mending;
mod outbox;
mod path;
mod revocations;
mod schema;
mod sealing;

use std::path::Path;
use std::time::Duration;

use parlour_crypto::Vault;
use parlour_protocol::{Conversation, Seq, UserName};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

pub use bounds::{CONVERSATIONS, PUBLIC_BYTES};
pub(crate) use chains::Burnt;
pub use chains::{Learned, OwnChain, PageChains};
use disk::{Left, sqlite};
pub use error::RecordsError;
pub use generations::{Generation, Parent, Reason};
pub use outbox::{Outgoing, OutgoingBody};
pub use revocations::KnownRevocation;
use schema::{migrate, vault};
use sealing::{Kind, context, device_label, message_context};

use crate::reading::chain::ChainKey;
use crate::reading::shown::Shown;

/// The part of a conversation that is kept here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Extent {
    /// The conversation.
    pub name: Conversation,
    /// The oldest `seq` that is kept here; everything from it to `last` is kept too.
    pub first: Seq,
    /// The newest `seq` that is kept here.
    pub last: Seq,
    /// The newest `seq` that the user has seen.
    pub read: Seq,
    /// The generation under which new messages are kept; see [`Generation`].
    #[serde(default)]
    pub generation: u64,
    /// The oldest `seq` that is kept under this generation.
    #[serde(default)]
    pub begins: Seq,
    /// The messages before `begins`, once it is known that an earlier generation has them.
    #[serde(default)]
    pub parent: Option<Parent>,
    /// The bytes that the messages that count take; unknown to older versions, and after these have changed.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// True if the user was told that old messages are left out.
    #[serde(default)]
    pub told_of_bound: bool,
    /// The number of messages that the server delivered although it had refused them.
    #[serde(default)]
    pub refused: u64,
}

impl Extent {
    /// A conversation of which nothing is kept yet; its messages will begin with `first`.
    pub const fn new(name: Conversation, first: Seq) -> Self {
        let last = first.saturating_sub(1);
        Self {
            name,
            first,
            last,
            read: 0,
            generation: 0,
            begins: first,
            parent: None,
            bytes: Some(0),
            told_of_bound: false,
            refused: 0,
        }
    }

    /// The same, with `more` added to the number of refused messages that were delivered.
    fn with_refused(&self, more: usize) -> Self {
        Self { refused: self.refused.saturating_add(more as u64), ..self.clone() }
    }

    /// The same without any message that counts; new ones will begin with `first`.
    #[must_use]
    pub fn emptied(self, first: Seq) -> Self {
        Self { first, begins: first, last: first.saturating_sub(1), ..self }
    }

    /// Fills in what a version without generations left out.
    const fn completed(mut self) -> Self {
        if self.begins == 0 {
            self.begins = self.first;
        }
        self
    }
}

/// The records of one profile.
pub struct Records {
    connection: Connection,
    vault: Vault,
    /// The file, while the records are in memory because the disk does not take writes.
    left: Option<Left>,
    /// Reports of damage, as the user reads them.
    damages: Vec<String>,
    /// The place up to which the records were checked since they were opened; `None` when all were.
    unchecked: Option<checking::Place>,
    /// The bytes that a public conversation may take.
    public_bytes: u64,
    /// Notices about messages that were left out to stay within these bytes.
    notices: Vec<String>,
}

impl Records {
    /// Opens the records in a profile's folder; makes them, and their key, if there are none.
    pub fn open(folder: &Path) -> Result<Self, RecordsError> {
        let path = folder.join("local.db");
        let vault = vault(&folder.join("local.key"), &path)?;
        let mut connection = Connection::open(path).map_err(sqlite)?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(sqlite)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(sqlite)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(sqlite)?;
        connection.pragma_update(None, "secure_delete", true).map_err(sqlite)?;
        // The sandbox reaches no other folder for temporary files, and no other should hold this content.
        connection.pragma_update(None, "temp_store", "MEMORY").map_err(sqlite)?;
        migrate(&mut connection)?;
        connection.pragma_update(None, "journal_size_limit", 4 * 1_024 * 1_024).map_err(sqlite)?;
        let mut records = Self {
            connection,
            vault,
            left: None,
            damages: Vec::new(),
            unchecked: None,
            public_bytes: PUBLIC_BYTES,
            notices: Vec::new(),
        };
        records.note_each()?;
        records.check_at_opening()?;
        Ok(records)
    }

    /// Takes the reports of damage, as the user reads them. Each is handed out once.
    pub fn take_damages(&mut self) -> Vec<String> {
        std::mem::take(&mut self.damages)
    }

    /// All conversations that are kept here.
    pub fn extents(&self) -> Result<Vec<Extent>, RecordsError> {
        let mut statement =
            self.connection.prepare_cached("SELECT tag, body FROM facts WHERE kind = ?1").map_err(sqlite)?;
        let rows = statement
            .query_map([Kind::Conversation as u8], |row| {
                Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .map_err(sqlite)?;
        rows.map(|row| {
            let (tag, body) = row.map_err(sqlite)?;
            self.unseal(&context(Kind::Conversation, &tag), &body).map(Extent::completed)
        })
        .collect()
    }

    /// One conversation.
    pub fn extent(&self, name: &Conversation) -> Result<Option<Extent>, RecordsError> {
        Ok(self.fact(Kind::Conversation, &name.to_string())?.map(Extent::completed))
    }

    /// Keeps messages of one conversation under its present generation, with the chains learned from them, all or
    /// nothing. Returns the messages that were kept before and turn out to have been refused.
    pub fn keep(
        &mut self,
        extent: &Extent,
        messages: &[Shown],
        learned: &Learned,
    ) -> Result<Vec<Shown>, RecordsError> {
        let (trimmed, marked) = self.write(|records| {
            let transaction = records.connection.unchecked_transaction().map_err(sqlite)?;
            let bytes = records.set_messages(extent.generation, messages)?;
            records.set_chains(extent.generation, &learned.chains)?;
            let marked = records.mark_refused(extent, &learned.refused, messages)?;
            let refused = messages.iter().filter(|shown| shown.refused).count() + marked.len();
            let trimmed = records.bounded(&extent.with_refused(refused), bytes)?;
            transaction.commit().map_err(sqlite)?;
            Ok((trimmed, marked))
        })?;
        self.notices.extend(trimmed);
        Ok(marked)
    }

    /// Writes messages, and returns the bytes that they take.
    fn set_messages(&self, generation: u64, messages: &[Shown]) -> Result<u64, RecordsError> {
        let mut bytes = 0;
        for message in messages {
            let tag = self.conversation_tag(&message.conversation);
            let body = self.seal(&message_context(&tag, generation, message.seq), message)?;
            bytes += body.len() as u64 + bounds::ROW;
            self.connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO messages (conversation, generation, seq, body) VALUES (?1, ?2, ?3, ?4)",
                )
                .and_then(|mut insert| insert.execute(params![tag, generation, message.seq, body]))
                .map_err(sqlite)?;
        }
        Ok(bytes)
    }

    fn set_extent(&self, extent: &Extent) -> Result<(), RecordsError> {
        self.set_fact(Kind::Conversation, &extent.name.to_string(), extent)
    }

    /// Notes the newest message that the user has read.
    pub fn mark_read(&mut self, name: &Conversation, seq: Seq) -> Result<(), RecordsError> {
        match self.extent(name)? {
            Some(extent) if extent.read < seq => {
                let read = seq.min(extent.last);
                let extent = Extent { read, ..extent };
                self.write(|records| records.set_extent(&extent))
            }
            _ => Ok(()),
        }
    }

    /// The account key (its RFC 7638 thumbprint) that is known for a user.
    pub fn pin(&self, name: &UserName) -> Result<Option<String>, RecordsError> {
        self.fact(Kind::Pin, name.as_str())
    }

    /// Makes an account key the known key of a user.
    pub fn set_pin(&mut self, name: &UserName, kid: &str) -> Result<(), RecordsError> {
        self.write(|records| records.set_fact(Kind::Pin, name.as_str(), &kid))
    }

    fn knows_device(&self, key: &ChainKey) -> Result<bool, RecordsError> {
        Ok(self.fact::<bool>(Kind::Device, &device_label(key))?.unwrap_or(false))
    }
}

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod generation_tests;
#[cfg(test)]
mod growth_tests;
#[cfg(test)]
mod released_tests;
#[cfg(test)]
mod revocation_tests;
#[cfg(test)]
mod tests;
