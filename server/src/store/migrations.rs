//! Updates a database to the newest schema, in numbered steps.

use rusqlite::Connection;
use thiserror::Error;

use super::{accounts, revocations};

/// A step: a part in SQL, then a part that SQL cannot express.
type Step = (&'static str, fn(&Connection) -> rusqlite::Result<()>);

/// The steps; the first makes version 1 from an empty database.
const STEPS: &[Step] = &[
    (include_str!("migrations/0001_initial.sql"), |_| Ok(())),
    (include_str!("migrations/0002_ids_in_order.sql"), |_| Ok(())),
    (include_str!("migrations/0003_audit.sql"), |_| Ok(())),
    (include_str!("migrations/0004_stored.sql"), |_| Ok(())),
    (include_str!("migrations/0005_hashes.sql"), |all| {
        accounts::seal(all)?;
        revocations::chain(all)
    }),
    (include_str!("migrations/0006_statements.sql"), |_| Ok(())),
];

/// The reasons why a database was not updated.
#[derive(Debug, Error)]
pub(super) enum MigrationError {
    #[error("the database is of version {found}, this program knows version {known}")]
    Newer { found: usize, known: usize },
    #[error("it is a database of another program")]
    Foreign,
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// The version after the last step.
pub(super) const fn newest() -> usize {
    STEPS.len()
}

/// Applies all missing steps, or none.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), MigrationError> {
    let found: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > STEPS.len() {
        return Err(MigrationError::Newer { found, known: STEPS.len() });
    }
    let tables: u64 = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    if found == 0 && tables > 0 {
        return Err(MigrationError::Foreign);
    }
    if found == STEPS.len() {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    for (sql, then) in STEPS.iter().skip(found) {
        transaction.execute_batch(sql)?;
        then(&transaction)?;
    }
    transaction.pragma_update(None, "user_version", STEPS.len())?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_database_comes_to_the_newest_version_and_stays_there() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        let version: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(version, STEPS.len());
    }

    #[test]
    fn a_database_of_another_program_is_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
        assert!(matches!(migrate(&mut connection), Err(MigrationError::Foreign)));
    }

    #[test]
    fn a_database_of_a_newer_version_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", STEPS.len() + 1).unwrap();
        assert!(matches!(migrate(&mut connection), Err(MigrationError::Newer { .. })));
    }
}
