//! Attacks on the chain, and its beginning when old entries are removed.

use parlour_protocol::Timestamp;

use super::super::audit_file::{AuditFile, AuditFilter, Fault, Verdict};
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

    fn append(&mut self, seconds: &[i64]) -> Result<(), Failure<AuditError>> {
        let entries: Vec<Entry> = seconds
            .iter()
            .map(|seconds| Entry {
                time: Timestamp::from_millis(seconds * 1_000),
                event: SecurityEvent::new(Kind::Login).of(&"sam".parse().unwrap()),
                times: 1,
            })
            .collect();
        self.log.append(&self.connection, &entries)
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
        self.file().read(&AuditFilter::default(), visit).unwrap();
        numbers
    }

    /// The result of checking the log after this was done by somebody who can write the file.
    fn verdict_after(&self, tampering: &str) -> Verdict {
        // Triggers do not stop such a person.
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
    // Eleven were removed, and the entry that records it was added.
    assert_eq!((numbers.first(), numbers.last(), numbers.len()), (Some(&12), Some(&1_002), 991));
    assert!(matches!(fixture.file().verify().unwrap(), Verdict::Sound { entries: 991, .. }));
    // The same holds after many more of them, and after a restart in between.
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
    // As after the next start.
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
    assert!(matches!(fixture.append(&[3]), Err(Failure::Refused(AuditError::Damaged(_)))));
    assert_eq!(fixture.verdict_after("DELETE FROM audit_ends"), broken(1, Fault::NoEnds));
    fixture.log.forget();
    assert!(matches!(fixture.append(&[3]), Err(Failure::Refused(AuditError::Damaged(_)))));
}
