//! The rows of the audit log: a chain that grows at its end and is shortened at its beginning.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use parlour_protocol::{Limits, Timestamp};
use parlour_upkeep::WriteFault;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, params};
use tracing::{error, info};

use super::chain::{Hash, Link};
use super::{AuditError, Damaged, Failure};
use crate::audit::{Entry, Kind, SecurityEvent};

/// The time between two searches for entries that are too old.
const LOOK: Duration = Duration::from_hours(1);

/// The most entries that one transaction removes; further ones go with the next.
const REMOVED_AT_ONCE: i64 = 10_000;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The columns of an entry, in the order in which [`AuditRow::read`] reads them.
pub(super) const AUDIT_COLUMNS: &str = "number, time, kind, user, device, address, detail, times, hash";

/// An entry's row as it is in the database. A row that was read is not trusted yet.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // columns, described in the database's schema
pub struct AuditRow {
    /// 1, 2, 3 ... without gaps.
    pub number: i64,
    /// The time of the event, in milliseconds since 1970, UTC.
    pub time: i64,
    pub kind: String,
    pub user: Option<String>,
    pub device: Option<String>,
    pub address: Option<String>,
    pub detail: String,
    /// The number of events: more than one when repetitions were counted.
    pub times: i64,
    /// The hash of this row, chained to the row before it.
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

    /// The hash that this row must have after the row whose hash is `before`.
    pub(super) fn link(&self, before: &Hash) -> Hash {
        let mut link = Link::after(before);
        link.field(&self.number.to_be_bytes());
        link.field(&self.time.to_be_bytes());
        link.field(self.kind.as_bytes());
        for column in [&self.user, &self.device, &self.address] {
            // A missing column must differ from an empty one.
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
    /// Reads both ends; `None` when they are missing or malformed.
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

/// The detail of the entry that is written when everything up to `removed` is removed, so that the chain itself
/// records where it begins.
pub(super) fn removal(removed: &End) -> String {
    format!("entries up to {} were removed, the last with hash {}", removed.number, hex(&removed.hash))
}

/// Writes a hash as hex digits.
pub fn hex(hash: &[u8]) -> String {
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a string cannot fail
        text
    })
}

/// The limits of the audit log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// The age in days at which entries are removed.
    pub days: u64,
    /// The most entries that are kept. When there are more, the oldest hundredth is removed.
    pub entries: u64,
}

impl Retention {
    /// The retention that the server's limits set.
    pub fn new(limits: &Limits) -> Self {
        Self { days: limits.audit_days, entries: limits.audit_entries }
    }
}

/// The end of the log, in the writer's memory.
pub(super) struct AuditLog {
    retention: Retention,
    ends: Option<Ends>,
    /// The last time that entries too old were searched for and all removed.
    looked: Option<Instant>,
    /// True if pages of the log are damaged.
    is_damaged: bool,
}

impl AuditLog {
    pub(super) fn new(retention: Retention) -> Self {
        Self { retention, ends: None, looked: None, is_damaged: false }
    }

    /// Forgets the state in memory, which may be ahead of the database.
    pub(super) fn forget(&mut self) {
        self.ends = None;
    }

    /// Tests if entries can be written, and rolls the attempt back. A transaction that touches a damaged page
    /// cannot be committed any more, so the other writes are then done without the log.
    pub(super) fn probe(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let run = |statement| connection.prepare_cached(statement)?.execute([]);
        run("BEGIN IMMEDIATE")?;
        let event = SecurityEvent::new(Kind::Started);
        let entry = Entry { time: Timestamp::from_millis(0), event, times: 1 };
        let outcome = try_out(connection, &entry);
        self.notice(&outcome);
        // Some failures end the transaction by themselves.
        if connection.is_autocommit() { Ok(()) } else { run("ROLLBACK").map(drop) }
    }

    /// Appends entries, and removes those past their time. A log that was tampered with refuses them, and the
    /// transaction is committed without them: the chat goes on. Damaged pages make the database and the
    /// transaction fail, but only once.
    pub(super) fn append(
        &mut self,
        connection: &Connection,
        entries: &[Entry],
    ) -> Result<(), Failure<AuditError>> {
        if self.is_damaged {
            return Err(Damaged("the audit log".to_owned()).into());
        }
        let outcome = self.write(connection, entries);
        self.notice(&outcome);
        outcome
    }

    /// Stops using the log after a failure that is not one of writing to the disk.
    fn notice(&mut self, outcome: &Result<(), Failure<AuditError>>) {
        if let Err(Failure::Database(failure)) = outcome
            && WriteFault::of(failure).is_none()
        {
            error!(%failure, "the audit log is damaged; nothing more is written into it");
            self.is_damaged = true;
        }
    }

    fn write(&mut self, connection: &Connection, entries: &[Entry]) -> Result<(), Failure<AuditError>> {
        let known = match self.ends.take() {
            Some(ends) => Some(ends),
            None => Ends::load(connection)?,
        };
        let mut ends = known.ok_or_else(|| Damaged("the ends of the audit log are missing".to_owned()))?;
        let mut outcome = extend(connection, &mut ends, entries);
        if let (Ok(()), Some(newest)) = (&outcome, entries.last()) {
            outcome = self.retire(connection, &mut ends, newest.time);
        }
        if let Err(Failure::Database(_)) = outcome {
            return outcome;
        }
        // Entries before a refused one are kept.
        ends.save(connection)?;
        self.ends = Some(ends);
        outcome
    }

    /// Removes the oldest entries, if that is due, and appends an entry that records it.
    fn retire(
        &mut self,
        connection: &Connection,
        ends: &mut Ends,
        now: Timestamp,
    ) -> Result<(), Failure<AuditError>> {
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
            return Ok(());
        }
        if last - ends.removed.number > REMOVED_AT_ONCE {
            last = ends.removed.number + REMOVED_AT_ONCE;
            self.looked = None;
        }
        let found: Option<Hash> = connection
            .prepare_cached("SELECT hash FROM audit WHERE number = ?1")?
            .query_row([last], |row| row.get(0))
            .optional()?;
        let hash = found.ok_or_else(|| Damaged(format!("entry {last} of the audit log is missing")))?;
        let removed = End { number: last, hash };
        let event = SecurityEvent::new(Kind::Retention).because(removal(&removed));
        extend(connection, ends, &[Entry { time: now, event, times: 1 }])?;
        ends.removed = removed;
        ends.save(connection)?;
        connection.prepare_cached("DELETE FROM audit WHERE number <= ?1")?.execute([last])?;
        info!(last, "the oldest entries of the audit log were removed");
        Ok(())
    }

    /// The time before which entries are too old.
    fn age_limit(&self, now: Timestamp) -> i64 {
        let kept = i64::try_from(self.retention.days).unwrap_or(i64::MAX).saturating_mul(DAY_MS);
        now.as_millis().saturating_sub(kept)
    }
}

/// The number of the last entry before the first one from `time` or later.
fn last_before(connection: &Connection, time: i64) -> rusqlite::Result<Option<i64>> {
    let first_kept: Option<i64> = connection
        .prepare_cached("SELECT number FROM audit WHERE time >= ?1 ORDER BY number LIMIT 1")?
        .query_row([time], |row| row.get(0))
        .optional()?;
    Ok(first_kept.map(|number| number - 1))
}

/// Writes an entry like a real one. Tampering with the log is no failure here: it is noticed when a real entry is
/// appended.
fn try_out(connection: &Connection, entry: &Entry) -> Result<(), Failure<AuditError>> {
    let Some(mut ends) = Ends::load(connection)? else { return Ok(()) };
    match extend(connection, &mut ends, std::slice::from_ref(entry)) {
        Ok(()) | Err(Failure::Refused(_)) => Ok(ends.save(connection)?),
        failed => failed,
    }
}

/// Appends entries and moves the end of the log.
fn extend(connection: &Connection, ends: &mut Ends, entries: &[Entry]) -> Result<(), Failure<AuditError>> {
    for entry in entries {
        let row = AuditRow::new(entry, ends.newest);
        match row.insert(connection) {
            Ok(()) => ends.newest = End::of(&row),
            Err(failure) if failure.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                let number = row.number;
                return Err(Damaged(format!("entry {number} of the audit log is there already")).into());
            }
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(())
}

/// Appends the entry about a change. The change is kept even if the log refuses the entry.
pub(super) fn append_with_change(
    log: &mut AuditLog,
    connection: &Connection,
    entry: &Entry,
) -> rusqlite::Result<()> {
    match log.append(connection, std::slice::from_ref(entry)) {
        Ok(()) => Ok(()),
        Err(Failure::Refused(refusal)) => {
            error!(kind = %entry.event.kind, failure = %refusal, "an entry of the audit log could not be written");
            Ok(())
        }
        Err(Failure::Database(failure)) => Err(failure),
    }
}
