//! The database as a file: what it takes, what it refuses, what it never loses.

use std::os::unix::fs::PermissionsExt as _;

use parlour_protocol::{DeviceId, Timestamp, UserName};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_572_600_600_000);

fn name() -> UserName {
    "sam".parse().unwrap()
}

fn device() -> DeviceId {
    "0123456789abcdef".parse().unwrap()
}

fn add_sam(ledger: &LedgerTransaction<'_>) -> Result<(), LedgerError> {
    ledger.add_account(&NewAccount {
        name: &name(),
        account_key: b"account",
        device: &device(),
        device_key: b"device",
        seal_key: b"seal",
        created: NOW,
    })
}

fn in_folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ttp.db");
    (folder, path)
}

fn raw(path: &Path) -> Connection {
    Connection::open(path).unwrap()
}

#[test]
fn a_new_database_is_its_owners_alone_and_durable() {
    let (_folder, path) = in_folder();
    let ledger = Ledger::create(&path).unwrap();
    ledger.transact(add_sam).unwrap();
    for file in ["ttp.db", "ttp.db-wal", "ttp.db-shm"] {
        let metadata = std::fs::metadata(path.with_file_name(file)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{file}");
    }
    let opened = ledger.opened();
    let connection = &opened.connection;
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((pragma("synchronous"), pragma("foreign_keys"), pragma("user_version")), (2, 1, 2));
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn a_database_is_not_made_twice() {
    let (_folder, path) = in_folder();
    drop(Ledger::create(&path).unwrap());
    assert!(matches!(Ledger::create(&path), Err(LedgerError::Failed(_))));
}

#[test]
fn everything_written_is_there_when_the_database_is_opened_again() {
    let (_folder, path) = in_folder();
    Ledger::create(&path).unwrap().transact(add_sam).unwrap();
    let ledger = Ledger::open(&path).unwrap();
    let there = ledger.read(|ledger| Ok((ledger.has_account(&name())?, ledger.devices(&name())?)));
    assert_eq!(there, Ok((true, vec![device()])));
}

#[test]
fn an_act_that_fails_leaves_nothing() {
    let (_folder, path) = in_folder();
    let ledger = Ledger::create(&path).unwrap();
    let failed = ledger.transact(|ledger| {
        add_sam(ledger)?;
        Err::<(), _>(LedgerError::Failed("on purpose".into()))
    });
    assert!(failed.is_err());
    assert_eq!(ledger.read(|ledger| ledger.has_account(&name())), Ok(false));
}

#[test]
fn a_later_version_is_refused_and_left_alone() {
    let (_folder, path) = in_folder();
    drop(Ledger::create(&path).unwrap());
    raw(&path).pragma_update(None, "user_version", 99).unwrap();
    assert_eq!(Ledger::open(&path).unwrap_err(), LedgerError::Newer { found: 99, known: 2 });
    let version: u32 = raw(&path).pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
}

#[test]
fn a_version_before_the_first_is_brought_up() {
    let (_folder, path) = in_folder();
    raw(&path).pragma_update(None, "application_id", 0x5054_5450).unwrap();
    let ledger = Ledger::open(&path).unwrap();
    assert_eq!(ledger.transact(add_sam), Ok(()));
}

#[test]
fn other_files_are_refused() {
    let (_folder, path) = in_folder();
    assert_eq!(Ledger::open(&path).unwrap_err(), LedgerError::Missing(path.clone()));
    raw(&path).execute_batch("CREATE TABLE other (x)").unwrap();
    assert_eq!(Ledger::open(&path).unwrap_err(), LedgerError::Foreign(path.clone()));
    std::fs::write(&path, "no database at all, but long enough to have a header ".repeat(20)).unwrap();
    assert_eq!(Ledger::open(&path).unwrap_err(), LedgerError::Foreign(path.clone()));
}

#[test]
fn nothing_can_be_changed_or_deleted() {
    let (_folder, path) = in_folder();
    let ledger = Ledger::create(&path).unwrap();
    ledger.transact(add_sam).unwrap();
    ledger.transact(|ledger| ledger.add_revocation(&name(), &device(), NOW).map(|_| ())).unwrap();
    let connection = raw(&path);
    for act in [
        "DELETE FROM accounts",
        "UPDATE accounts SET name = 'erik'",
        "DELETE FROM devices",
        "UPDATE devices SET device_key = x'00'",
        "DELETE FROM revocations",
        "UPDATE revocations SET time = 0",
        "INSERT OR REPLACE INTO revocations (number, name, device, time) VALUES (1, 'x', 'y', 0)",
    ] {
        assert!(connection.execute(act, []).is_err(), "{act}");
    }
}

#[test]
fn revocations_are_numbered_from_one_and_come_in_pages() {
    let (_folder, path) = in_folder();
    let ledger = Ledger::create(&path).unwrap();
    ledger.transact(add_sam).unwrap();
    assert_eq!(ledger.newest_revocation(), Ok(0));
    let revocation = ledger.transact(|ledger| ledger.add_revocation(&name(), &device(), NOW)).unwrap();
    assert_eq!(revocation.number, 1);
    assert_eq!(ledger.newest_revocation(), Ok(1));
    let after = |after| ledger.read(|ledger| ledger.revocations_after(after, 10)).unwrap();
    assert_eq!(after(0), [revocation]);
    assert_eq!((after(1), after(u64::MAX)), (vec![], vec![]));
    // A device is revoked once.
    assert!(ledger.transact(|ledger| ledger.add_revocation(&name(), &device(), NOW)).is_err());
}

#[test]
fn another_connections_write_changes_the_data_version() {
    let (_folder, path) = in_folder();
    let (ledger, observer) = (Ledger::create(&path).unwrap(), Ledger::open(&path).unwrap());
    let before = observer.data_version().unwrap();
    assert_eq!(observer.data_version().unwrap(), before);
    ledger.transact(add_sam).unwrap();
    assert_ne!(observer.data_version().unwrap(), before);
}

/// A database as the first version wrote it, with an enrolment, a renewal and a server's certificate.
fn of_version_one(path: &Path) -> Connection {
    let connection = raw(path);
    connection.pragma_update(None, "application_id", 0x5054_5450).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.execute_batch(include_str!("migrations/0001_begin.sql")).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection
        .execute_batch(
            r#"INSERT INTO accounts VALUES ('lea', x'01', 1), ('1ea', x'02', 2);
            INSERT INTO devices VALUES ('lea', '0123456789abcdef', x'03', x'04', 1);
            INSERT INTO certificates VALUES (1, 'root', 'Parlour root', NULL, 'a', 1, 2, x'05', 1);
            INSERT INTO certificates VALUES (2, 'device', 'lea', '0123456789abcdef', 'b', 1, 2, x'06', 1);
            INSERT INTO answers VALUES (x'07', '0123456789abcdef', x'08',
                '{"issued":{"name":"lea","device_certificate":"Bg","account_certificate":"Bw"}}', 1);
            INSERT INTO answers VALUES (x'09', '0123456789abcdef', x'0a',
                '{"issued":{"name":"lea","device_certificate":"Bg"}}', 2);"#,
        )
        .unwrap();
    connection
}

#[test]
fn a_database_of_the_first_version_is_brought_up_and_keeps_what_it_holds() {
    let (_folder, path) = in_folder();
    drop(of_version_one(&path));
    let ledger = Ledger::open(&path).unwrap();
    let lea: UserName = "lea".parse().unwrap();
    // Two names that look alike were both given out, and stay.
    for name in ["lea", "1ea"] {
        let name: UserName = name.parse().unwrap();
        assert_eq!(
            ledger.read(|ledger| Ok((ledger.has_account(&name)?, ledger.has_look_alike(&name)?))),
            Ok((true, true))
        );
    }
    assert_eq!(ledger.certificates().unwrap().len(), 2);
    let newest = ledger.read(|ledger| ledger.newest_certificate(&lea, &device()));
    assert_eq!(newest, Ok(Some(vec![6])));
    for (key, known) in [(1, true), (2, true), (3, true), (4, true), (5, false)] {
        assert_eq!(ledger.read(|ledger| ledger.knows_key(&[key])), Ok(known), "{key}");
    }
    // The renewal's answer may go, the enrolment's may not.
    ledger.transact(|ledger| ledger.forget_renewals(&device(), NOW)).unwrap();
    let connection = raw(&path);
    let kept: Vec<u8> = connection.query_row("SELECT request FROM answers", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, [7]);
    for act in ["DELETE FROM answers", "DELETE FROM certificates", "UPDATE certificates SET name = 'x'"] {
        assert!(connection.execute(act, []).is_err(), "{act}");
    }
}

#[test]
fn the_database_finds_the_same_skeleton_as_the_program() {
    let (_folder, path) = in_folder();
    drop(Ledger::create(&path).unwrap());
    let connection = raw(&path);
    for (number, name) in
        ["sam", "w0rm1_vv-rn", "mmmm", "vwv", "l0_1o", "rnm", "0", "m-w_m-w"].iter().enumerate()
    {
        connection
            .execute(
                "INSERT INTO accounts VALUES (?1, ?2, 1)",
                rusqlite::params![name, [u8::try_from(number).unwrap()]],
            )
            .unwrap();
        let sql = "SELECT skeleton FROM accounts WHERE name = ?1";
        let kept: String = connection.query_row(sql, [name], |row| row.get(0)).unwrap();
        assert_eq!(kept, name.parse::<UserName>().unwrap().skeleton());
    }
}
