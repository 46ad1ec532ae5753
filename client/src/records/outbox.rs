//! Messages that wait to be stored by the server. They survive a restart, and what was sealed once is
//! sent again as the same bytes.

use std::fmt;

use parlour_protocol::{Conversation, MessageId};
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{Records, sqlite};
use crate::failure::Failure;

/// A message on its way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Outgoing {
    /// Our id for it.
    pub id: MessageId,
    /// Where to.
    pub to: Conversation,
    /// What it is.
    pub body: OutgoingBody,
}

/// What is on its way.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutgoingBody {
    /// A text that was not sealed yet, or is never.
    Text(String),
    /// Sealed, perhaps sent, not answered yet.
    Sealed {
        /// The text, for the user.
        text: String,
        /// The envelope, as it is sent each time.
        jwe: String,
        /// The hash of what is in it: the next message follows it, once it is stored.
        hash: String,
        /// The chain that it is in.
        chain: String,
        /// Its counter there.
        n: u64,
    },
}

impl OutgoingBody {
    /// What it says.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Sealed { text, .. } => text,
        }
    }
}

/// Skips what it says.
impl fmt::Debug for OutgoingBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text",
            Self::Sealed { .. } => "Sealed",
        })
    }
}

impl Records {
    /// Keeps a message that is to be sent; returns its position.
    pub fn push_outgoing(&mut self, outgoing: &Outgoing) -> Result<i64, Failure> {
        let body = self.seal(b"outbox", outgoing)?;
        self.connection.execute("INSERT INTO outbox (body) VALUES (?1)", [body]).map_err(sqlite)?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Keeps what became of a message that is to be sent.
    pub fn update_outgoing(&mut self, position: i64, outgoing: &Outgoing) -> Result<(), Failure> {
        let body = self.seal(b"outbox", outgoing)?;
        self.connection
            .execute("UPDATE outbox SET body = ?2 WHERE position = ?1", params![position, body])
            .map_err(sqlite)?;
        Ok(())
    }

    /// Forgets a message that was stored, and notes what the next one in its conversation follows.
    pub fn sent(
        &mut self,
        position: i64,
        to: &Conversation,
        next: Option<&super::OwnChain>,
    ) -> Result<(), Failure> {
        let transaction = self.connection.unchecked_transaction().map_err(sqlite)?;
        transaction.execute("DELETE FROM outbox WHERE position = ?1", [position]).map_err(sqlite)?;
        if let Some(next) = next {
            let own = self.own_chain(to)?;
            // Never back: what is sent again may be older than what the chain has come to.
            if own.is_none_or(|own| own.chain != next.chain || own.n < next.n) {
                self.set_own_chain(to, next)?;
            }
        }
        transaction.commit().map_err(sqlite)
    }

    /// Forgets a message that was refused.
    pub fn remove_outgoing(&mut self, position: i64) -> Result<(), Failure> {
        self.connection.execute("DELETE FROM outbox WHERE position = ?1", [position]).map_err(sqlite)?;
        Ok(())
    }

    /// All messages that are to be sent, with their positions, in the order in which they were written.
    pub fn outgoing(&self) -> Result<Vec<(i64, Outgoing)>, Failure> {
        let mut statement =
            self.connection.prepare("SELECT position, body FROM outbox ORDER BY position").map_err(sqlite)?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))
            .map_err(sqlite)?;
        rows.map(|row| {
            let (position, body) = row.map_err(sqlite)?;
            Ok((position, self.unseal(b"outbox", &body)?))
        })
        .collect()
    }
}
