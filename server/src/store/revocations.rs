//! The rows of revoked devices. They are chained, which reveals changed rows; the TTP has all of them and sends
//! them again, which repairs the damage.

use parlour_protocol::limits::{REVOCATIONS_BYTES, REVOCATIONS_PAGE};
use parlour_protocol::ttp::Revocation;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::chain::{GENESIS, Hash, Link};
use super::rows::hash;
use super::{AddRevocationError, Failure, ReadError, Statements};

/// The columns of a revocation, in the order in which [`RevocationRow::read`] reads them.
const COLUMNS: &str = "number, name, device, time, hash, statement";

/// A revocation's row as it stands in the database; nothing in it is trusted yet.
#[derive(PartialEq, Eq)]
pub(super) struct RevocationRow {
    pub(super) number: u64,
    pub(super) name: String,
    pub(super) device: String,
    time: i64,
    hash: Option<Hash>,
    /// The TTP's signed statement. It proves itself and is not hashed.
    statement: Option<String>,
}

impl RevocationRow {
    fn new(revocation: &Revocation, before: &Hash) -> Self {
        let mut row = Self {
            number: revocation.number,
            name: revocation.name.to_string(),
            device: revocation.device.to_string(),
            time: revocation.time.as_millis(),
            hash: None,
            statement: revocation.statement.clone(),
        };
        row.hash = Some(row.link(before));
        row
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get(0)?,
            name: row.get(1)?,
            device: row.get(2)?,
            time: row.get(3)?,
            hash: hash(row.get(4)?),
            statement: row.get(5)?,
        })
    }

    fn link(&self, before: &Hash) -> Hash {
        let mut link = Link::after(before);
        link.field(&self.number.to_be_bytes());
        link.field(self.name.as_bytes());
        link.field(self.device.as_bytes());
        link.field(&self.time.to_be_bytes());
        link.hash()
    }

    /// True if it is the same revocation; the statements may differ.
    fn is_of(&self, other: &Self) -> bool {
        let facts = |row: &Self| (row.number, row.name.clone(), row.device.clone(), row.time, row.hash);
        facts(self) == facts(other)
    }

    /// True if the row is unchanged since it was written after the row whose hash is `before`.
    pub(super) fn fits(&self, before: &Hash) -> bool {
        self.hash == Some(self.link(before))
    }
}

/// The effect of adding a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addition {
    /// It was new.
    New,
    /// It was stored before, and nothing changed.
    Known,
    /// Its row was damaged, and was replaced.
    Repaired,
}

/// Stores a revocation under its number. An intact row is never replaced: a revocation stays even if the TTP sends
/// another one with its number.
pub(super) fn add(
    connection: &Connection,
    revocation: &Revocation,
) -> Result<Addition, Failure<AddRevocationError>> {
    let before = hash_of(connection, revocation.number.saturating_sub(1))?.unwrap_or(GENESIS);
    let new = RevocationRow::new(revocation, &before);
    let addition = match find(connection, revocation.number)? {
        None => Addition::New,
        Some(row) if row.is_of(&new) => {
            // A revocation from before there were statements gets its own, and no statement is ever removed.
            if new.statement.is_some() && row.statement != new.statement {
                connection
                    .prepare_cached("UPDATE revocations SET statement = ?2 WHERE number = ?1")?
                    .execute(params![new.number, new.statement])?;
            }
            return Ok(Addition::Known);
        }
        Some(row) if row.fits(&before) => {
            return Err(Failure::Refused(AddRevocationError::NumberTaken));
        }
        Some(_) => Addition::Repaired,
    };
    connection
        .prepare_cached(&format!(
            "INSERT OR REPLACE INTO revocations ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        ))?
        .execute(params![new.number, new.name, new.device, new.time, new.hash, new.statement])?;
    Ok(addition)
}

fn find(connection: &Connection, number: u64) -> rusqlite::Result<Option<RevocationRow>> {
    let mut select =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM revocations WHERE number = ?1"))?;
    match select.query_row([number], RevocationRow::read).optional() {
        // A row with wrong column types counts as missing.
        Err(rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..)) => {
            Ok(None)
        }
        found => found,
    }
}

/// The statements of revocations with a number above `after`, as many as go into one reply.
pub(super) fn statements(connection: &Connection, after: u64) -> Result<Statements, Failure<ReadError>> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut select = connection.prepare_cached(
        "SELECT statement FROM revocations WHERE number > ?1 AND statement IS NOT NULL ORDER BY number LIMIT ?2",
    )?;
    let rows = select.query_map(params![after, REVOCATIONS_PAGE + 1], |row| row.get::<_, String>(0))?;
    let (mut statements, mut bytes) = (Vec::new(), 0);
    for statement in rows {
        let statement = statement?;
        bytes += statement.len();
        let is_full = statements.len() == REVOCATIONS_PAGE || bytes > REVOCATIONS_BYTES;
        if is_full && !statements.is_empty() {
            return Ok(Statements { statements, more: true });
        }
        statements.push(statement);
    }
    Ok(Statements { statements, more: false })
}

fn hash_of(connection: &Connection, number: u64) -> rusqlite::Result<Option<Hash>> {
    Ok(find(connection, number)?.and_then(|row| row.hash))
}

/// Checks all revocations, the oldest first. Reports each damage to `damaged`, and returns the number of the last
/// one.
pub(super) fn verify(connection: &Connection, mut damaged: impl FnMut(String)) -> rusqlite::Result<u64> {
    let mut select = connection.prepare(&format!("SELECT {COLUMNS} FROM revocations ORDER BY number"))?;
    let mut rows = select.query([])?;
    let (mut last, mut before) = (0, GENESIS);
    while let Some(row) = rows.next()? {
        let Ok(found) = RevocationRow::read(row) else {
            last = row.get(0)?;
            before = GENESIS;
            damaged(format!("revocation {last} cannot be read"));
            continue;
        };
        if found.number != last + 1 {
            damaged(format!("revocation {} is missing", last + 1));
        } else if !found.fits(&before) {
            damaged(format!("revocation {} does not fit its hash", found.number));
        }
        last = found.number;
        before = found.hash.unwrap_or(GENESIS);
    }
    Ok(last)
}

/// Builds the index again. While the index does not lead to a damaged row, that row cannot be replaced.
pub(super) fn reindex(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("REINDEX revocations")
}

/// Computes the hash of every revocation, for databases made before revocations had hashes.
pub(super) fn chain(connection: &Connection) -> rusqlite::Result<()> {
    // Statements came later.
    let mut select = connection
        .prepare("SELECT number, name, device, time, hash, NULL FROM revocations ORDER BY number")?;
    let all = select.query_map([], RevocationRow::read)?.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut before = GENESIS;
    for row in all {
        before = row.link(&before);
        connection
            .prepare_cached("UPDATE revocations SET hash = ?2 WHERE number = ?1")?
            .execute(params![row.number, before])?;
    }
    Ok(())
}
