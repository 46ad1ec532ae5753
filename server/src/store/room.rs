//! The space for further messages: of an account, in the database and on its disk. Only messages are refused for
//! lack of space; accounts, revocations and the audit log use the space that is kept free for them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;
use parlour_protocol::{Body, Limits, UserName};
use rusqlite::{Connection, OptionalExtension as _, params};
use tracing::{info, warn};

use super::{AppendError, Retention};

/// The bytes that a message takes besides its body: the other columns of its row, and its places in three indexes.
/// The migration that began to count uses the same number.
const ROW_BYTES: u64 = 256;

/// The time between two checks of the sizes of database and disk.
const LOOK: Duration = Duration::from_secs(1);

/// The use of an account is recorded ahead in steps of its limit divided by this, so that few messages have to
/// update it.
const AHEAD: u64 = 4_096;

/// The most accounts whose use is kept in memory. With more, all of them are written and forgotten.
const REMEMBERED: usize = 100_000;

/// The limits on what is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Bytes of messages of one account.
    pub account: u64,
    /// Bytes of the database.
    pub database: u64,
    /// Bytes that stay free on the disk.
    pub free: u64,
    /// Entries of the audit log.
    pub audit: Retention,
}

impl Bounds {
    /// The bounds that the server's limits set.
    pub fn new(limits: &Limits) -> Self {
        Self {
            account: limits.stored_bytes_per_account,
            database: limits.database_bytes,
            free: limits.free_disk_bytes,
            audit: Retention::new(limits),
        }
    }
}

/// The use of an account.
struct Used {
    bytes: u64,
    /// The number in the database, which is never less than `bytes`.
    noted: u64,
    /// True if one of its messages was refused already: the audit log records it only once.
    refused: bool,
}

/// The reasons why there is no space for a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Full {
    /// Its sender's messages use all the space that an account may have; `first` if the audit log does not say so
    /// yet.
    Account { first: bool },
    /// The database or its disk is full.
    Server,
}

impl From<Full> for AppendError {
    fn from(full: Full) -> Self {
        match full {
            Full::Account { .. } => Self::AccountFull,
            Full::Server => Self::Full,
        }
    }
}

/// The space for messages, in the writer's memory.
pub(super) struct Room {
    bounds: Bounds,
    /// The folder of the database; `None` for one without.
    folder: Option<PathBuf>,
    used: HashMap<UserName, Used>,
    looked: Option<Instant>,
    is_full: bool,
}

impl Room {
    pub(super) fn new(bounds: Bounds, folder: Option<PathBuf>) -> Self {
        Self { bounds, folder, used: HashMap::new(), looked: None, is_full: false }
    }

    /// Checks the sizes of the database and the disk, if that is due, and keeps memory bounded. Runs at the
    /// beginning of each transaction.
    pub(super) fn look(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.used.len() >= REMEMBERED {
            self.settle(connection)?;
            self.forget();
        }
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let size = |pragma| -> rusqlite::Result<u64> {
            connection.prepare_cached(pragma)?.query_row([], |row| row.get(0))
        };
        let bytes = size("PRAGMA page_count")?.saturating_mul(size("PRAGMA page_size")?);
        // A disk that cannot be queried shows its failure when it is written to.
        let free = self.folder.as_deref().and_then(|folder| statvfs(folder).ok());
        let free = free.map_or(u64::MAX, |disk| disk.blocks_available().saturating_mul(disk.fragment_size()));
        let is_full = bytes >= self.bounds.database || free < self.bounds.free;
        if is_full && !self.is_full {
            warn!(
                bytes,
                database_bytes = self.bounds.database,
                free,
                free_disk_bytes = self.bounds.free,
                "no room for more messages: make room on the disk, or set the limit that is reached"
            );
        } else if self.is_full && !is_full {
            info!("there is room for messages again");
        }
        self.is_full = is_full;
        Ok(())
    }

    /// The reason why there is no space for a message; `None` when there is.
    pub(super) fn lacks(
        &mut self,
        connection: &Connection,
        from: &UserName,
        body: &Body,
    ) -> rusqlite::Result<Option<Full>> {
        if self.is_full {
            return Ok(Some(Full::Server));
        }
        let most = self.bounds.account;
        let used = self.used(connection, from)?;
        if used.bytes.saturating_add(cost(body)) <= most {
            return Ok(None);
        }
        Ok(Some(Full::Account { first: !std::mem::replace(&mut used.refused, true) }))
    }

    /// Counts a message that was written.
    pub(super) fn charge(
        &mut self,
        connection: &Connection,
        from: &UserName,
        body: &Body,
    ) -> rusqlite::Result<()> {
        let ahead = self.bounds.account / AHEAD;
        let used = self.used(connection, from)?;
        used.bytes = used.bytes.saturating_add(cost(body));
        if used.bytes > used.noted {
            used.noted = used.bytes.saturating_add(ahead);
            note(connection, from, used.noted)?;
        }
        Ok(())
    }

    /// Writes the exact use, before the writer ends.
    pub(super) fn settle(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for (user, used) in &mut self.used {
            if used.noted != used.bytes {
                note(connection, user, used.bytes)?;
                used.noted = used.bytes;
            }
        }
        Ok(())
    }

    /// Forgets the state in memory, which may be ahead of the database.
    pub(super) fn forget(&mut self) {
        self.used.clear();
        self.looked = None;
    }

    fn used(&mut self, connection: &Connection, user: &UserName) -> rusqlite::Result<&mut Used> {
        let entry = match self.used.entry(user.clone()) {
            std::collections::hash_map::Entry::Occupied(entry) => return Ok(entry.into_mut()),
            std::collections::hash_map::Entry::Vacant(entry) => entry,
        };
        let noted = connection
            .prepare_cached("SELECT bytes FROM stored WHERE user = ?1")?
            .query_row([user.as_str()], |row| row.get(0))
            .optional()?;
        let noted = noted.unwrap_or(0);
        Ok(entry.insert(Used { bytes: noted, noted, refused: false }))
    }
}

/// The number of bytes that a message counts for. An envelope counts for a few more than its columns hold.
fn cost(body: &Body) -> u64 {
    let bytes = match body {
        Body::Text(text) => text.as_str().len(),
        Body::Sealed(sealed) => sealed.as_json().len(),
        Body::Unknown => 0, // never posted
    };
    ROW_BYTES.saturating_add(bytes as u64)
}

fn note(connection: &Connection, user: &UserName, bytes: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO stored (user, bytes) VALUES (?1, ?2) ON CONFLICT (user) DO UPDATE SET bytes = ?2",
        )?
        .execute(params![user.as_str(), i64::try_from(bytes).unwrap_or(i64::MAX)])?;
    Ok(())
}
