//! The audit log's rows: the chain, how it grows at its end, and how its beginning is removed.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use parlour_protocol::{Limits, Timestamp};
use parlour_upkeep::WriteFault;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, params};
use tracing::{error, info};

use super::StoreError;
use super::chain::{Hash, Link};
use crate::audit::{Entry, Kind, SecurityEvent};

/// How often is looked for entries that are too old.
const LOOK: Duration = Duration::from_hours(1);

/// The most entries that are removed in one transaction; the next ones go with the next.
const REMOVED_AT_ONCE: i64 = 10_000;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The columns of an entry, in the order in which [`AuditRow::read`] reads them.
pub(super) const AUDIT_COLUMNS: &str = "number, time, kind, user, device, address, detail, times, hash";

/// An entry as it stands in the database; when it was read, nothing in it is believed yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditRow {
    /// 1, 2, 3 ... without gaps.
    pub number: i64,
    /// When it happened, in milliseconds.
    pub time: i64,
    /// What kind of event it was.
    pub kind: String,
    /// Whose.
    pub user: Option<String>,
    /// On which device.
    pub device: Option<String>,
    /// From where.
    pub address: Option<String>,
    /// The reason, or what else there is to say.
    pub detail: String,
    /// How often.
    pub times: i64,
    /// The hash that is stored with it.
    pub hash: Hash,
}

impl AuditRow {
    /// The row of an entry that comes after `before`.
    fn new(entry: &Entry, before: End) -> Self {
        let SecurityEvent { kind, user, device, address, detail } = &entry.event;
        let mut row = Self {
            number: before.number.saturating_add(1),
            time: entry.time.as_millis(),
            kind: kind.to_string(),
            user: user.as_ref().map(ToString::to_string),
            device: device.as_ref().map(ToString::to_string),
            address: address.as_ref().map(ToString::to_string),
            detail: detail.as_str().to_owned(),
            times: i64::try_from(entry.times).unwrap_or(i64::MAX),
            hash: before.hash,
        };
        row.hash = row.link(&before.hash);
        row
    }

    /// The hash that it must have after `before`.
    pub(super) fn link(&self, before: &Hash) -> Hash {
        let mut link = Link::after(before);
        link.field(&self.number.to_be_bytes());
        link.field(&self.time.to_be_bytes());
        link.field(self.kind.as_bytes());
        for column in [&self.user, &self.device, &self.address] {
            // What is not there is another thing than what is empty.
            link.field(&[u8::from(column.is_some())]);
            link.field(column.as_deref().unwrap_or_default().as_bytes());
        }
        link.field(self.detail.as_bytes());
        link.field(&self.times.to_be_bytes());
        link.hash()
    }

    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get(0)?,
            time: row.get(1)?,
            kind: row.get(2)?,
            user: row.get(3)?,
            device: row.get(4)?,
            address: row.get(5)?,
            detail: row.get(6)?,
            times: row.get(7)?,
            hash: row.get(8)?,
        })
    }

    fn insert(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached(&format!(
                "INSERT INTO audit ({AUDIT_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
            ))?
            .execute(params![
                self.number,
                self.time,
                self.kind,
                self.user,
                self.device,
                self.address,
                self.detail,
                self.times,
                self.hash,
            ])?;
        Ok(())
    }
}

/// A place in the chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct End {
    pub(super) number: i64,
    pub(super) hash: Hash,
}

impl End {
    fn of(row: &AuditRow) -> Self {
        Self { number: row.number, hash: row.hash }
    }
}

/// Both ends of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ends {
    /// The last entry that was removed.
    pub(super) removed: End,
    /// The newest entry.
    pub(super) newest: End,
}

impl Ends {
    /// `None` when they are not there or are none.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        let found = connection
            .prepare_cached(
                "SELECT removed_number, removed_hash, newest_number, newest_hash FROM audit_ends",
            )?
            .query_row([], |row| {
                let removed = End { number: row.get(0)?, hash: row.get(1)? };
                Ok(Self { removed, newest: End { number: row.get(2)?, hash: row.get(3)? } })
            });
        match found {
            Ok(ends) => Ok(Some(ends)),
            Err(rusqlite::Error::QueryReturnedNoRows | rusqlite::Error::FromSqlConversionFailure(..)) => {
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    fn save(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached(
                "UPDATE audit_ends SET removed_number = ?1, removed_hash = ?2, newest_number = ?3, newest_hash = ?4",
            )?
            .execute(params![
                self.removed.number,
                self.removed.hash,
                self.newest.number,
                self.newest.hash
            ])?;
        Ok(())
    }
}

/// What the entry says that is written when everything up to `removed` goes. So the beginning of the
/// chain is named in the chain.
pub(super) fn removal(removed: &End) -> String {
    format!("entries up to {} were removed, the last with hash {}", removed.number, hex(&removed.hash))
}

/// A hash as 64 hex digits.
pub fn hex(hash: &[u8]) -> String {
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // to a text, which takes everything
        text
    })
}

/// How much of the audit log is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// Entries that are older are removed.
    pub days: u64,
    /// When there are more, the oldest are removed, a hundredth of them at a time.
    pub entries: u64,
}

impl Retention {
    /// As the limits say.
    pub fn new(limits: &Limits) -> Self {
        Self { days: limits.audit_days, entries: limits.audit_entries }
    }
}

/// The end of the log as the writer keeps it in memory.
pub(super) struct AuditLog {
    retention: Retention,
    ends: Option<Ends>,
    /// When old entries were last looked for and none was left.
    looked: Option<Instant>,
    /// Whether pages of it are damaged.
    is_damaged: bool,
}

impl AuditLog {
    pub(super) fn new(retention: Retention) -> Self {
        Self { retention, ends: None, looked: None, is_damaged: false }
    }

    /// Forgets what is in memory, which may be ahead of the database.
    pub(super) fn forget(&mut self) {
        self.ends = None;
    }

    /// Looks whether entries can be written, and writes none. In a transaction with a damaged page nothing can be
    /// committed any more: what else is written does without the log then.
    pub(super) fn probe(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let run = |statement| connection.prepare_cached(statement)?.execute([]);
        run("BEGIN IMMEDIATE")?;
        let event = SecurityEvent::new(Kind::Started);
        let entry = Entry { time: Timestamp::from_millis(0), event, times: 1 };
        let outcome = Ends::load(connection).and_then(|ends| {
            let Some(mut ends) = ends else { return Ok(()) };
            // One that was tampered with shows when it is written.
            let _ = extend(connection, &mut ends, &[entry])?;
            ends.save(connection)
        });
        self.notice(&outcome);
        // Some failures have taken it back already.
        if connection.is_autocommit() { Ok(()) } else { run("ROLLBACK").map(drop) }
    }

    /// Appends entries, and removes those that are not to be kept any more. A log that was tampered with is the failure
    /// of this alone, not of the transaction: the chat goes on. One of which pages are damaged fails the transaction
    /// once.
    pub(super) fn append(
        &mut self,
        connection: &Connection,
        entries: &[Entry],
    ) -> rusqlite::Result<Result<(), StoreError>> {
        if self.is_damaged {
            return Ok(Err(StoreError::Damaged("the audit log".to_owned())));
        }
        let outcome = self.write(connection, entries);
        self.notice(&outcome);
        outcome
    }

    fn notice<A>(&mut self, outcome: &rusqlite::Result<A>) {
        if let Err(failure) = outcome
            && WriteFault::of(failure).is_none()
        {
            error!(%failure, "the audit log is damaged; nothing more is written into it");
            self.is_damaged = true;
        }
    }

    fn write(
        &mut self,
        connection: &Connection,
        entries: &[Entry],
    ) -> rusqlite::Result<Result<(), StoreError>> {
        let known = match self.ends.take() {
            Some(ends) => Some(ends),
            None => Ends::load(connection)?,
        };
        let Some(mut ends) = known else {
            return Ok(Err(StoreError::Damaged("the ends of the audit log are missing".to_owned())));
        };
        let mut outcome = extend(connection, &mut ends, entries)?;
        if let (Ok(()), Some(newest)) = (&outcome, entries.last()) {
            outcome = self.retire(connection, &mut ends, newest.time)?;
        }
        ends.save(connection)?;
        self.ends = Some(ends);
        Ok(outcome)
    }

    /// Removes the oldest entries, if it is time for that, and says so in the log.
    fn retire(
        &mut self,
        connection: &Connection,
        ends: &mut Ends,
        now: Timestamp,
    ) -> rusqlite::Result<Result<(), StoreError>> {
        let most = i64::try_from(self.retention.entries).unwrap_or(i64::MAX);
        let count = ends.newest.number.saturating_sub(ends.removed.number);
        let mut last = ends.removed.number;
        if count > most {
            last += count - most + most / 100;
        }
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            last = last.max(last_before(connection, self.age_limit(now))?.unwrap_or(last));
            self.looked = Some(Instant::now());
        }
        if last <= ends.removed.number {
            return Ok(Ok(()));
        }
        if last - ends.removed.number > REMOVED_AT_ONCE {
            last = ends.removed.number + REMOVED_AT_ONCE;
            self.looked = None;
        }
        let found: Option<Hash> = connection
            .prepare_cached("SELECT hash FROM audit WHERE number = ?1")?
            .query_row([last], |row| row.get(0))
            .optional()?;
        let Some(hash) = found else {
            return Ok(Err(StoreError::Damaged(format!("entry {last} of the audit log is missing"))));
        };
        let removed = End { number: last, hash };
        let event = SecurityEvent::new(Kind::Retention).because(removal(&removed));
        let outcome = extend(connection, ends, &[Entry { time: now, event, times: 1 }])?;
        if outcome.is_ok() {
            ends.removed = removed;
            ends.save(connection)?;
            connection.prepare_cached("DELETE FROM audit WHERE number <= ?1")?.execute([last])?;
            info!(last, "the oldest entries of the audit log were removed");
        }
        Ok(outcome)
    }

    /// Entries from before this are too old.
    fn age_limit(&self, now: Timestamp) -> i64 {
        let kept = i64::try_from(self.retention.days).unwrap_or(i64::MAX).saturating_mul(DAY_MS);
        now.as_millis().saturating_sub(kept)
    }
}

/// The number of the last entry of those at the beginning that are from before `time`.
fn last_before(connection: &Connection, time: i64) -> rusqlite::Result<Option<i64>> {
    let first_kept: Option<i64> = connection
        .prepare_cached("SELECT number FROM audit WHERE time >= ?1 ORDER BY number LIMIT 1")?
        .query_row([time], |row| row.get(0))
        .optional()?;
    Ok(first_kept.map(|number| number - 1))
}

/// Writes entries at the end, which moves.
fn extend(
    connection: &Connection,
    ends: &mut Ends,
    entries: &[Entry],
) -> rusqlite::Result<Result<(), StoreError>> {
    for entry in entries {
        let row = AuditRow::new(entry, ends.newest);
        match row.insert(connection) {
            Ok(()) => ends.newest = End::of(&row),
            Err(failure) if failure.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                let number = row.number;
                return Ok(Err(StoreError::Damaged(format!(
                    "entry {number} of the audit log is there already"
                ))));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(Ok(()))
}

/// Appends the entry that goes with a change. The change stands whatever becomes of the entry.
pub(super) fn append_with_change(
    log: &mut AuditLog,
    connection: &Connection,
    entry: &Entry,
) -> rusqlite::Result<()> {
    if let Err(failure) = log.append(connection, std::slice::from_ref(entry))? {
        error!(kind = %entry.event.kind, %failure, "an entry of the audit log could not be written");
    }
    Ok(())
}
