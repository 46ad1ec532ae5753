//! Reads a whole database and checks all rows, against their hashes and against each other.

use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use parlour_keylog::{AccountCertificate, RootCertificate};
use parlour_protocol::Seq;
use parlour_upkeep::{Inspection, moment, structure};
use rusqlite::{Connection, OpenFlags};

use super::chain::{GENESIS, Hash, link};
use super::rows::{MESSAGE_COLUMNS, RawMessage, hash};
use super::{Failure, accounts, migrations, revocations};

/// A conversation as its own row describes it.
struct Described {
    id: i64,
    name: String,
    last_seq: Seq,
    last_time: i64,
    last_hash: Option<Hash>,
}

/// The end of a chain of messages.
struct End {
    seq: Seq,
    time: i64,
    hash: Hash,
}

/// Summarizes the contents of the database file `path` and lists the damage; a server may be using it. With a
/// `root`, certificates are verified against it. The error says why the file cannot be read as a database of this
/// program.
pub fn inspect(path: &Path, root: Option<&RootCertificate>) -> Result<Inspection, String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| error.to_string())?;
    inspect_open(&connection, root)
}

/// Does the same with a database that is open.
pub(super) fn inspect_open(
    connection: &Connection,
    root: Option<&RootCertificate>,
) -> Result<Inspection, String> {
    read(connection, root).map_err(|failure| match failure {
        Failure::Refused(reason) => reason,
        Failure::Database(failure) => failure.to_string(),
    })
}

fn read(connection: &Connection, root: Option<&RootCertificate>) -> Result<Inspection, Failure<String>> {
    // One snapshot, while a running server may keep writing.
    let connection = connection.unchecked_transaction()?;
    let version: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version != migrations::newest() {
        let known = migrations::newest();
        return Err(Failure::Refused(format!(
            "it is of version {version}, this program knows version {known}"
        )));
    }
    let mut inspection = Inspection::default();
    inspection.inventory.schema = u32::try_from(version).unwrap_or(u32::MAX);
    for damage in structure(&connection)? {
        inspection.damaged(damage);
    }
    all_accounts(&connection, root, &mut inspection)?;
    conversations(&connection, &mut inspection)?;
    members(&connection, &mut inspection)?;
    let count = revocations::verify(&connection, |damage| inspection.damaged(damage))?;
    inspection.inventory.counts.insert("revocations".to_owned(), count);
    missing_revocations(&connection, &mut inspection)?;
    stored(&connection, &mut inspection)?;
    Ok(inspection)
}

/// Checks what accounts have stored: the recorded number of bytes may be too high, never too low.
fn stored(connection: &Connection, inspection: &mut Inspection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "SELECT sender FROM messages GROUP BY sender
         HAVING sum(256 + coalesce(octet_length(text), 0) + coalesce(octet_length(sealed), 0)
                    + coalesce(octet_length(key1), 0) + coalesce(octet_length(key2), 0))
                > coalesce((SELECT bytes FROM stored WHERE user = sender), 0)",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        inspection.damaged(format!("the account {name:?} has stored more than is noted"));
    }
    Ok(())
}

fn all_accounts(
    connection: &Connection,
    root: Option<&RootCertificate>,
    inspection: &mut Inspection,
) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare(&format!("SELECT {} FROM accounts ORDER BY name", accounts::COLUMNS))?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let account = accounts::AccountRow::read(row)?;
        let name = &account.name;
        let fits = AccountCertificate::from_der(&account.certificate).is_ok_and(|certificate| {
            certificate.user().as_str() == name
                && certificate.kid() == account.kid
                && root.is_none_or(|root| certificate.verify(root, certificate.not_before()).is_ok())
        });
        if !fits {
            inspection.damaged(format!("the certificate of the account {name:?} does not fit it"));
        } else if !account.is_sound() {
            inspection.damaged(format!("the account {name:?} does not fit its hash"));
        }
    }
    inspection.inventory.counts.insert("accounts".to_owned(), count);
    Ok(())
}

fn conversations(connection: &Connection, inspection: &mut Inspection) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare("SELECT id, name, last_seq, last_time, last_hash FROM conversations ORDER BY name")?;
    let mut rows = statement.query([])?;
    let (mut count, mut messages, mut newest) = (0, 0, i64::MIN);
    let mut digest = Context::new(&SHA256);
    while let Some(row) = rows.next()? {
        let described = Described {
            id: row.get(0)?,
            name: row.get(1)?,
            last_seq: row.get(2)?,
            last_time: row.get(3)?,
            last_hash: hash(row.get(4)?),
        };
        let end = follow(connection, &described, inspection)?;
        let fits = end.seq == described.last_seq
            && end.time == described.last_time
            && Some(end.hash) == described.last_hash;
        if !fits {
            let Described { name, last_seq, .. } = &described;
            inspection.damaged(format!(
                "conversation {name:?} ends at message {}, it should end at {last_seq}",
                end.seq
            ));
        }
        count += 1;
        messages += end.seq;
        newest = newest.max(end.time);
        digest.update(&(described.name.len() as u64).to_be_bytes());
        digest.update(described.name.as_bytes());
        digest.update(&end.hash);
    }
    let inventory = &mut inspection.inventory;
    inventory.counts.insert("conversations".to_owned(), count);
    inventory.counts.insert("messages".to_owned(), messages);
    inventory.newest = (messages > 0).then(|| moment(newest));
    inventory.set_digest(digest.finish().as_ref());
    Ok(())
}

/// Follows a conversation's messages from the first to the last; each must match its hash and the one before it.
fn follow(
    connection: &Connection,
    described: &Described,
    inspection: &mut Inspection,
) -> rusqlite::Result<End> {
    let name = &described.name;
    let mut end = End { seq: 0, time: 0, hash: GENESIS };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {MESSAGE_COLUMNS} FROM messages WHERE conversation = ?1 ORDER BY seq"
    ))?;
    let mut rows = statement.query([described.id])?;
    while let Some(row) = rows.next()? {
        let raw = RawMessage::read(row)?;
        let seq = raw.seq;
        if seq != end.seq + 1 {
            inspection.damaged(format!("conversation {name:?} has no message {}", end.seq + 1));
        }
        if let Ok((message, stored)) = raw.parse() {
            if link(&end.hash, &message) != stored {
                inspection.damaged(format!("message {seq} of {name:?} does not fit its hash"));
            }
            // One changed message must not make all later ones look changed.
            end = End { seq, time: message.time.as_millis(), hash: stored };
        } else {
            inspection.damaged(format!("message {seq} of {name:?} does not parse"));
            let stored = hash(row.get("hash")?).unwrap_or(GENESIS);
            end = End { seq, time: row.get("time")?, hash: stored };
        }
    }
    Ok(end)
}

/// Checks that a direct conversation has the members that its name says.
fn members(connection: &Connection, inspection: &mut Inspection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "SELECT name, (SELECT group_concat(user, '@') FROM
                           (SELECT user FROM members WHERE conversation = id ORDER BY user))
         FROM conversations",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (name, users): (String, Option<String>) = (row.get(0)?, row.get(1)?);
        let fits = match name.strip_prefix('@').and_then(|names| names.split_once('@')) {
            Some((one, two)) if one == two => users.as_deref() == Some(one),
            Some((one, two)) => users == Some(format!("{one}@{two}")),
            None => name.starts_with('#') && users.is_none(),
        };
        if !fits {
            inspection.damaged(format!("conversation {name:?} has other members than its name says"));
        }
    }
    Ok(())
}

/// Checks that every device that the audit log calls revoked is among the revoked ones: the newest revocations
/// could be removed without leaving a gap.
fn missing_revocations(connection: &Connection, inspection: &mut Inspection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "SELECT user, device FROM audit WHERE kind = 'device_revoked' AND NOT EXISTS
             (SELECT 1 FROM revocations WHERE name = audit.user AND revocations.device = audit.device)",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (user, device): (Option<String>, Option<String>) = (row.get(0)?, row.get(1)?);
        let (user, device) = (user.unwrap_or_default(), device.unwrap_or_default());
        inspection.damaged(format!("the revocation of {user}'s device {device} is missing"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use parlour_protocol::Limits;

    use super::super::conformance::{self, Waiting};
    use super::super::sqlite::SqliteStore;
    use super::super::{Bounds, outcome_queue};
    use super::*;
    use crate::metrics::Commits;

    /// Makes a database with five messages, changes it by hand, and returns the reported damage.
    async fn damage_after(change: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db");
        let (told, mut outcomes) = outcome_queue();
        let bounds = Bounds::new(&Limits::default());
        let store = SqliteStore::<Waiting>::open(&path, bounds, told, Commits::default()).unwrap();
        conformance::fill(&store, &mut outcomes, 5).await;
        store.close().await;
        let connection = Connection::open(&path).unwrap();
        // The suite's account has no certificate, which would be reported too.
        connection.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM accounts").unwrap();
        connection.execute_batch(change).unwrap();
        drop(connection);
        let inspection = inspect(&path, None).unwrap();
        let damage = inspection.damage()?;
        // Each message refers to the removed account.
        let rest = damage.split("; ").filter(|line| !line.contains("a row of accounts"));
        let rest = rest.collect::<Vec<_>>().join("; ");
        (!rest.is_empty()).then_some(rest)
    }

    #[tokio::test]
    async fn an_unchanged_database_is_sound_and_every_change_is_found() {
        assert_eq!(damage_after("").await, None);
        for (change, found) in [
            (
                "UPDATE messages SET text = 'forged' WHERE seq = 3",
                "message 3 of \"#lobby\" does not fit its hash",
            ),
            ("UPDATE messages SET sender = 'Sam' WHERE seq = 3", "message 3 of \"#lobby\" does not parse"),
            ("DELETE FROM messages WHERE seq = 2", "conversation \"#lobby\" has no message 2"),
            (
                "DELETE FROM messages WHERE seq = 5",
                "conversation \"#lobby\" ends at message 4, it should end at 5",
            ),
            (
                "UPDATE conversations SET last_hash = zeroblob(32)",
                "conversation \"#lobby\" ends at message 5, it should end at 5",
            ),
            (
                "INSERT INTO conversations VALUES (9, '@erik@sam', 0, 0, zeroblob(32))",
                "conversation \"@erik@sam\" has other members than its name says",
            ),
            (
                "INSERT INTO revocations VALUES (2, 'sam', '0123456789abcdef', 5, x'', NULL)",
                "revocation 1 is missing",
            ),
            ("UPDATE stored SET bytes = bytes - 1", "the account \"sam\" has stored more than is noted"),
            (
                "INSERT INTO revocations VALUES (1, 'sam', '0123456789abcdef', 5, zeroblob(32), NULL)",
                "revocation 1 does not fit its hash",
            ),
            (
                "INSERT INTO audit VALUES (9, 5, 'device_revoked', 'sam', '0123456789abcdef', NULL, '', 1, x'')",
                "the revocation of sam's device 0123456789abcdef is missing",
            ),
            (
                "INSERT INTO accounts VALUES ('sam', x'00', 'kid', 5, x'')",
                "the certificate of the account \"sam\" does not fit it",
            ),
        ] {
            let damage = damage_after(change).await.unwrap_or_default();
            assert!(damage.contains(found), "{change}: {damage}");
        }
    }

    #[test]
    fn a_file_that_is_no_database_of_ours_gives_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db");
        assert!(inspect(&path, None).is_err());
        std::fs::write(&path, "words ".repeat(1_000)).unwrap();
        assert!(inspect(&path, None).is_err());
    }
}
