//! The audit log's rows: the chain, how it grows at its end, and how its beginning is removed.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use parlour_protocol::{Limits, Timestamp};
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
}

impl AuditLog {
    pub(super) fn new(retention: Retention) -> Self {
        Self { retention, ends: None, looked: None }
    }

    /// Forgets what is in memory, which may be ahead of the database.
    pub(super) fn forget(&mut self) {
        self.ends = None;
    }

    /// Appends entries, and removes those that are not to be kept any more. A log that was tampered with
    /// is the failure of this alone, not of the transaction: the chat goes on.
    pub(super) fn append(
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

#[cfg(test)]
mod tests {
    use parlour_protocol::Timestamp;

    use super::super::audit_file::{AuditFile, Fault, Verdict, Wanted};
    use super::super::migrations::migrate;
    use super::*;

    const DAY: i64 = 24 * 60 * 60;

    /// A database with its folder, as a server would leave it.
    struct Fixture {
        folder: tempfile::TempDir,
        connection: Connection,
        log: AuditLog,
    }

    impl Fixture {
        fn new(retention: Retention) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut connection = Connection::open(folder.path().join("chat.db")).unwrap();
            migrate(&mut connection).unwrap();
            Self { folder, connection, log: AuditLog::new(retention) }
        }

        fn append(&mut self, seconds: &[i64]) -> Result<(), StoreError> {
            let entries: Vec<Entry> = seconds
                .iter()
                .map(|seconds| Entry {
                    time: Timestamp::from_millis(seconds * 1_000),
                    event: SecurityEvent::new(Kind::Login).of(&"sam".parse().unwrap()),
                    times: 1,
                })
                .collect();
            self.log.append(&self.connection, &entries).unwrap()
        }

        fn file(&self) -> AuditFile {
            AuditFile::open(&self.folder.path().join("chat.db")).unwrap()
        }

        fn numbers(&self) -> Vec<i64> {
            let mut numbers = Vec::new();
            let visit = |row: AuditRow| {
                numbers.push(row.number);
                Ok(())
            };
            self.file().read(&Wanted::default(), visit).unwrap();
            numbers
        }

        /// What is found after this was done to the database by somebody who can write the file.
        fn verdict_after(&self, tampering: &str) -> Verdict {
            // Triggers are no protection against them.
            let drop = "DROP TRIGGER IF EXISTS audit_keeps; DROP TRIGGER IF EXISTS audit_stays;
                        DROP TRIGGER IF EXISTS audit_ends_stay; DROP TRIGGER IF EXISTS audit_ends_grow;";
            self.connection.execute_batch(&format!("SAVEPOINT before; {drop} {tampering}")).unwrap();
            self.connection.execute_batch("RELEASE before").unwrap();
            self.file().verify().unwrap()
        }
    }

    fn kept(entries: u64) -> Retention {
        Retention { days: 365, entries }
    }

    fn broken(number: i64, fault: Fault) -> Verdict {
        Verdict::Broken { number, fault }
    }

    #[test]
    fn every_kind_of_tampering_is_found_at_the_first_entry_that_it_touched() {
        for (tampering, number, fault) in [
            ("UPDATE audit SET time = time + 1 WHERE number = 3", 3, Fault::Changed),
            ("UPDATE audit SET kind = 'login_failed' WHERE number = 3", 3, Fault::Changed),
            ("UPDATE audit SET user = 'erik' WHERE number = 3", 3, Fault::Changed),
            ("UPDATE audit SET user = NULL WHERE number = 3", 3, Fault::Changed),
            ("UPDATE audit SET device = '' WHERE number = 3", 3, Fault::Changed),
            ("UPDATE audit SET device = user, user = NULL WHERE number = 3", 3, Fault::Changed),
            ("UPDATE audit SET address = '::1' WHERE number = 3", 3, Fault::Changed),
            ("UPDATE audit SET detail = 'x' WHERE number = 3", 3, Fault::Changed),
            ("UPDATE audit SET times = 2 WHERE number = 3", 3, Fault::Changed),
            ("UPDATE audit SET hash = zeroblob(32) WHERE number = 3", 3, Fault::Changed),
            ("UPDATE audit SET hash = zeroblob(5) WHERE number = 3", 3, Fault::Changed),
            ("UPDATE audit SET hash = zeroblob(32) WHERE number = 5", 5, Fault::Changed),
            ("DELETE FROM audit WHERE number = 3", 3, Fault::Missing),
            ("DELETE FROM audit WHERE number = 5", 5, Fault::Missing),
            ("DELETE FROM audit WHERE number > 1", 2, Fault::Missing),
            ("DELETE FROM audit", 1, Fault::Missing),
            ("DELETE FROM audit WHERE number = 1", 1, Fault::Missing),
            (
                "DELETE FROM audit WHERE number = 3;
                 UPDATE audit SET number = 3 WHERE number = 4; UPDATE audit SET number = 4 WHERE number = 5",
                3,
                Fault::Changed,
            ),
            ("INSERT INTO audit SELECT 6, time, kind, user, device, address, detail, times, hash FROM audit WHERE number = 5", 6, Fault::Foreign),
            ("INSERT INTO audit SELECT 0, time, kind, user, device, address, detail, times, hash FROM audit WHERE number = 5", 0, Fault::Foreign),
            ("DELETE FROM audit_ends", 1, Fault::NoEnds),
            ("UPDATE audit_ends SET newest_hash = zeroblob(32)", 5, Fault::Changed),
            (
                "UPDATE audit_ends SET removed_number = 2, removed_hash = (SELECT hash FROM audit WHERE number = 2);
                 DELETE FROM audit WHERE number <= 2",
                2,
                Fault::Removed,
            ),
        ] {
            let mut fixture = Fixture::new(kept(1_000));
            fixture.append(&[1, 2, 3]).unwrap();
            fixture.append(&[4, 5]).unwrap();
            assert!(matches!(fixture.file().verify().unwrap(), Verdict::Sound { entries: 5, .. }));
            assert_eq!(fixture.verdict_after(tampering), broken(number, fault), "{tampering}");
        }
    }

    #[test]
    fn the_database_itself_refuses_what_the_program_never_does() {
        let mut fixture = Fixture::new(kept(1_000));
        fixture.append(&[1, 2, 3]).unwrap();
        for statement in [
            "UPDATE audit SET detail = 'x' WHERE number = 1",
            "DELETE FROM audit WHERE number = 1",
            "DELETE FROM audit_ends",
            "UPDATE audit_ends SET newest_number = 2",
            "INSERT INTO audit_ends VALUES (2, 0, zeroblob(32), 0, zeroblob(32))",
        ] {
            assert!(fixture.connection.execute(statement, []).is_err(), "{statement}");
        }
    }

    #[test]
    fn entries_above_the_bound_go_oldest_first_and_the_rest_still_verifies() {
        let mut fixture = Fixture::new(kept(1_000));
        fixture.append(&[1; 1_000]).unwrap();
        assert_eq!(fixture.numbers().len(), 1_000);
        fixture.append(&[2]).unwrap();
        let numbers = fixture.numbers();
        // Eleven went, and the entry that says so came.
        assert_eq!((numbers.first(), numbers.last(), numbers.len()), (Some(&12), Some(&1_002), 991));
        assert!(matches!(fixture.file().verify().unwrap(), Verdict::Sound { entries: 991, .. }));
        // As it does after many more of them, and after a restart in between.
        fixture.log.forget();
        for _ in 0..10 {
            fixture.append(&[3; 100]).unwrap();
            assert!(fixture.numbers().len() <= 1_000);
            assert!(matches!(fixture.file().verify().unwrap(), Verdict::Sound { .. }));
        }
        let cut = "UPDATE audit_ends SET removed_number = removed_number + 1,
                   removed_hash = (SELECT hash FROM audit WHERE number = removed_number + 1);
                   DELETE FROM audit WHERE number <= (SELECT removed_number FROM audit_ends)";
        assert!(matches!(fixture.verdict_after(cut), Verdict::Broken { fault: Fault::Removed, .. }));
    }

    #[test]
    fn entries_that_are_too_old_go_at_the_first_look_and_then_once_an_hour() {
        let mut fixture = Fixture::new(Retention { days: 10, entries: 1_000_000 });
        fixture.append(&[0, DAY, 9 * DAY]).unwrap();
        fixture.append(&[10 * DAY + 1]).unwrap();
        assert_eq!(fixture.numbers(), [1, 2, 3, 4]);
        // The next start.
        fixture.log = AuditLog::new(Retention { days: 10, entries: 1_000_000 });
        fixture.append(&[11 * DAY]).unwrap();
        assert_eq!(fixture.numbers(), [2, 3, 4, 5, 6]);
        assert!(matches!(fixture.file().verify().unwrap(), Verdict::Sound { entries: 5, .. }));
    }

    #[test]
    fn no_more_than_some_are_removed_in_one_transaction() {
        let mut fixture = Fixture::new(Retention { days: 1, entries: 1_000_000 });
        fixture.connection.execute_batch("BEGIN").unwrap();
        fixture.append(&vec![0; 12_000]).unwrap();
        fixture.log = AuditLog::new(Retention { days: 1, entries: 1_000_000 });
        fixture.append(&[2 * DAY]).unwrap();
        fixture.connection.execute_batch("COMMIT").unwrap();
        assert_eq!(fixture.numbers().len(), 2_002);
        fixture.append(&[2 * DAY]).unwrap();
        assert_eq!(fixture.numbers().len(), 4);
        assert!(matches!(fixture.file().verify().unwrap(), Verdict::Sound { .. }));
    }

    #[test]
    fn a_log_that_was_tampered_with_is_not_continued_over_it() {
        let mut fixture = Fixture::new(kept(1_000));
        fixture.append(&[1, 2]).unwrap();
        let forged = "INSERT INTO audit SELECT 3, time, kind, user, device, address, detail, times, hash
                      FROM audit WHERE number = 2";
        assert_eq!(fixture.verdict_after(forged), broken(3, Fault::Foreign));
        assert!(matches!(fixture.append(&[3]), Err(StoreError::Damaged(_))));
        assert_eq!(fixture.verdict_after("DELETE FROM audit_ends"), broken(1, Fault::NoEnds));
        fixture.log.forget();
        assert!(matches!(fixture.append(&[3]), Err(StoreError::Damaged(_))));
    }
}
