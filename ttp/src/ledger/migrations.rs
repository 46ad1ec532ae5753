//! The versions of the database, numbered in `PRAGMA user_version`, and the steps from each to the next.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::LedgerError;

/// Marks the file as ours (`PRAGMA application_id`): "PTTP".
const APPLICATION: i32 = 0x5054_5450;

/// Step n leads from version n to n + 1. A released step is never changed.
const STEPS: &[&str] = &[include_str!("migrations/0001_begin.sql"), include_str!("migrations/0002_grow.sql")];

pub(super) fn known() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

/// Turns a new file into a database of the TTP.
pub(super) fn begin(connection: &mut Connection) -> Result<(), LedgerError> {
    connection.pragma_update(None, "application_id", APPLICATION)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    advance(connection)
}

/// Refuses a file that is not a database of the TTP.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), LedgerError> {
    let application: Result<i32, _> = connection.pragma_query_value(None, "application_id", |row| row.get(0));
    match application {
        Ok(APPLICATION) => Ok(()),
        Ok(_) => Err(LedgerError::Foreign(path.to_owned())),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            Err(LedgerError::Foreign(path.to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Takes the steps that are missing, each in a transaction of its own.
pub(super) fn advance(connection: &mut Connection) -> Result<(), LedgerError> {
    while step_after(version(connection)?)?.is_some() {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Read again within the transaction: another process may be doing the same.
        let found = version(&transaction)?;
        let Some(step) = step_after(found)? else { continue };
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", found + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

pub(super) fn version(connection: &Connection) -> Result<u32, LedgerError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// The step that leads on from this version, if there is one.
fn step_after(found: u32) -> Result<Option<&'static str>, LedgerError> {
    if found > known() {
        return Err(LedgerError::Newer { found, known: known() });
    }
    Ok(usize::try_from(found).ok().and_then(|found| STEPS.get(found)).copied())
}
