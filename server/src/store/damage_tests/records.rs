//! Damage in the records beside the messages: revocations, which the TTP has as well, and the audit log.

use parlour_protocol::Timestamp;
use parlour_protocol::ttp::Revocation;
use rusqlite::Connection;

use super::super::{AddRevocationError, AuditError};
use super::*;

/// Stores all revocations as the TTP sends them at each start.
async fn tell_all(store: &SqliteStore<Waiting>) {
    for number in 1..=3 {
        let device = format!("{number:016}").parse().unwrap();
        let revocation = Revocation {
            number,
            name: name("anna"),
            device,
            time: Timestamp::from_millis(9),
            statement: None,
        };
        store.add_revocation(revocation, conformance::entry(Kind::DeviceRevoked, 9)).await.unwrap();
    }
}

/// The places of these words in a file.
fn places(file: &[u8], words: &[u8]) -> Vec<usize> {
    let found = file.windows(words.len()).enumerate().filter(|(_, window)| *window == words);
    found.map(|(place, _)| place).collect()
}

#[tokio::test]
async fn revocations_of_which_bytes_were_changed_are_put_right_by_the_ttp() {
    let folder = in_memory();
    let path = folder.path().join("chat.db");
    fill(&path).await;
    let good = std::fs::read(&path).unwrap();
    let rows = ["anna0000000000000001", "anna0000000000000002", "anna0000000000000003"];
    let [first, second, third] = rows.map(|row| {
        // In the table, where the types of the columns precede it, and in the index.
        let found = places(&good, row.as_bytes());
        let table =
            found.iter().copied().find(|place| good[place - 5..*place] == [21, 45, 1, 76, 0]).unwrap();
        let index = found.iter().copied().find(|place| *place != table).unwrap();
        (table, index)
    });
    // A name in the table or only in the index; the type of a name, in one row and in two; all at once.
    for changes in [
        vec![(second.0 + 3, b'i')],
        vec![(third.1 + 3, b'i')],
        vec![(first.0 - 5, 20)],
        vec![(first.0 - 5, 20), (third.0 - 5, 20)],
        vec![(first.0 - 5, 20), (second.0 + 3, b'i'), (third.1 + 3, b'i')],
    ] {
        let mut damaged = good.clone();
        for (place, byte) in &changes {
            damaged[*place] = *byte;
        }
        std::fs::write(&path, damaged).unwrap();
        let store = open(&path).unwrap();
        let doubted = store.revoked_devices(name("sam")).await.is_err();
        assert_eq!(doubted, changes != [(third.1 + 3, b'i')], "the index alone is made anew: {changes:?}");
        tell_all(&store).await;
        let mended = store.revoked_devices(name("anna")).await;
        assert!(mended.as_ref().is_ok_and(|all| all.len() == 3), "{changes:?}: {mended:?}");
        assert_eq!(store.revoked_devices(name("sam")).await.unwrap().len(), 0, "{changes:?}");
        store.close().await;
    }
}

#[tokio::test]
async fn a_damaged_audit_log_loses_entries_and_nothing_else() {
    let folder = in_memory();
    let path = folder.path().join("chat.db");
    fill(&path).await;
    let good = std::fs::read(&path).unwrap();
    for table in ["audit", "audit_ends"] {
        let page: usize = Connection::open(&path)
            .unwrap()
            .query_row("SELECT rootpage FROM sqlite_master WHERE name = ?1", [table], |row| row.get(0))
            .unwrap();
        let mut damaged = good.clone();
        damaged[(page - 1) * 4_096] ^= 0x40;
        std::fs::write(&path, damaged).unwrap();
        let (told, mut outcomes) = outcome_queue();
        let store = SqliteStore::open(&path, bounds(), told, Commits::default()).unwrap();
        let entry = || conformance::entry(Kind::DeviceRevoked, 10);
        let lost = store.audit(vec![entry()]).await;
        assert!(matches!(lost, Err(AuditError::Damaged(_))), "{table}: {lost:?}");
        let device = "4444444444444444".parse().unwrap();
        let revocation = Revocation {
            number: 4,
            name: name("sam"),
            device,
            time: Timestamp::from_millis(9),
            statement: None,
        };
        store.add_revocation(revocation, entry()).await.unwrap();
        assert_eq!(store.revoked_devices(name("sam")).await.unwrap().len(), 1, "{table}");
        conformance::append(&store, &mut outcomes, conformance::public("sam", 200, "still here"))
            .await
            .unwrap();
        store.close().await;
    }
}

#[tokio::test]
async fn revocations_that_were_changed_let_nobody_in_until_the_ttp_has_put_them_right() {
    let folder = in_memory();
    let path = folder.path().join("chat.db");
    fill(&path).await;
    let good = std::fs::read(&path).unwrap();
    for change in [
        "UPDATE revocations SET name = 'erik' WHERE number = 2",
        "UPDATE revocations SET device = '9999999999999999' WHERE number = 1",
        "UPDATE revocations SET time = 10 WHERE number = 3",
        "DELETE FROM revocations WHERE number = 2",
    ] {
        std::fs::write(&path, &good).unwrap();
        Connection::open(&path).unwrap().execute_batch(change).unwrap();
        let store = open(&path).unwrap();
        for user in USERS.map(name) {
            assert!(matches!(store.revoked_devices(user).await, Err(ReadError::Damaged(_))), "{change}");
        }
        tell_all(&store).await;
        assert_eq!(store.revoked_devices(name("anna")).await.unwrap().len(), 3, "{change}");
        assert_eq!(store.revoked_devices(name("erik")).await.unwrap().len(), 0, "{change}");
        store.close().await;
        // A different revocation from the TTP does not replace a stored one.
        let store = open(&path).unwrap();
        let device = "5555555555555555".parse().unwrap();
        let other = Revocation {
            number: 2,
            name: name("erik"),
            device,
            time: Timestamp::from_millis(9),
            statement: None,
        };
        let refused = store.add_revocation(other, conformance::entry(Kind::DeviceRevoked, 9)).await;
        assert_eq!(refused, Err(AddRevocationError::NumberTaken), "{change}");
        assert_eq!(store.revoked_devices(name("anna")).await.unwrap().len(), 3, "{change}");
        store.close().await;
    }
}
