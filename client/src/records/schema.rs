//! The file and its key: created on first use, and upgraded from each older version.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parlour_crypto::Vault;
use rusqlite::Connection;
use zeroize::Zeroizing;

use super::RecordsError;
use super::disk::sqlite;
use super::error::DAMAGED;
use crate::profile::{ProfileError, read_key, write_private};

/// Step n leads from version n to n + 1. A released step is never changed.
const SCHEMA: &[&str] = &["
    CREATE TABLE facts (tag BLOB NOT NULL PRIMARY KEY, kind INTEGER NOT NULL, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX facts_by_kind ON facts (kind);
    CREATE TABLE messages (
        conversation BLOB NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (conversation, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE outbox (position INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL) STRICT;
", "
    CREATE TABLE kept (
        conversation BLOB NOT NULL, generation INTEGER NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (conversation, generation, seq)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO kept SELECT conversation, 0, seq, body FROM messages;
    DROP TABLE messages;
    ALTER TABLE kept RENAME TO messages;
"];

pub(super) fn migrate(connection: &mut Connection) -> Result<(), RecordsError> {
    let found: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
    if found > SCHEMA.len() {
        return Err(RecordsError::Unusable("local.db was written by a newer version of parlour".to_owned()));
    }
    for (done, step) in SCHEMA.iter().enumerate().skip(found) {
        let transaction = connection.transaction().map_err(sqlite)?;
        transaction.execute_batch(step).map_err(sqlite)?;
        transaction.pragma_update(None, "user_version", done + 1).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
    }
    Ok(())
}

/// The key of the records: read, or made on first use. Records without their key are left alone.
pub(super) fn vault(path: &Path, records: &Path) -> Result<Vault, RecordsError> {
    let wrong = |reason: &str| ProfileError::File { path: path.to_owned(), reason: reason.to_owned() };
    if path.exists() {
        let text = Zeroizing::new(read_key(path)?);
        let bytes = URL_SAFE_NO_PAD.decode(text.trim()).map(Zeroizing::new).ok();
        let key: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.as_slice().try_into().ok());
        let key = Zeroizing::new(key.ok_or_else(|| wrong("holds no key"))?);
        return Vault::from_key(*key).map_err(|error| wrong(&error.to_string()).into());
    }
    if std::fs::metadata(records).is_ok_and(|records| records.len() > 0) {
        let reason = "is missing, and local.db does not open without it".to_owned();
        let hint = format!("put it back from a copy; if there is none, {DAMAGED}");
        return Err(ProfileError::Keys { path: path.to_owned(), reason, hint }.into());
    }
    let vault = Vault::generate(&mut rand::rng()).map_err(|error| wrong(&error.to_string()))?;
    let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(vault.key_bytes().as_slice()));
    write_private(path, text.as_bytes())?;
    Ok(vault)
}
