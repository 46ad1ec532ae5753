//! The rows of revoked devices: chained, so that a changed one is noticed, and put right by the TTP, which has
//! them all.

use parlour_protocol::authority::Revocation;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::chain::{GENESIS, Hash, Link};
use super::rows::hash;

/// The columns of a revocation, in the order in which [`Kept::read`] reads them.
const COLUMNS: &str = "number, name, device, time, hash";

/// A row as it stands, before anything in it is believed.
#[derive(PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) number: u64,
    pub(super) name: String,
    pub(super) device: String,
    time: i64,
    hash: Option<Hash>,
}

impl Kept {
    fn new(revocation: &Revocation, before: &Hash) -> Self {
        let mut kept = Self {
            number: revocation.number,
            name: revocation.name.to_string(),
            device: revocation.device.to_string(),
            time: revocation.time.as_millis(),
            hash: None,
        };
        kept.hash = Some(kept.link(before));
        kept
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get(0)?,
            name: row.get(1)?,
            device: row.get(2)?,
            time: row.get(3)?,
            hash: hash(row.get(4)?),
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

    /// Whether nothing was changed since it was written after the one whose hash is `before`.
    pub(super) fn fits(&self, before: &Hash) -> bool {
        self.hash == Some(self.link(before))
    }
}

/// What became of a revocation that the TTP told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It is kept, and was not before.
    New,
    /// It was kept before, as it is.
    Known,
    /// What was kept in its place was not what had been written, and is put right.
    Mended,
    /// Another one, which was not changed, is kept in its place: the TTP has changed its mind, and nobody's
    /// revocation is taken back for that.
    Other,
}

/// Keeps a revocation under its number.
pub(super) fn keep(connection: &Connection, revocation: &Revocation) -> rusqlite::Result<Told> {
    let before = hash_of(connection, revocation.number.saturating_sub(1))?.unwrap_or(GENESIS);
    let new = Kept::new(revocation, &before);
    let told = match find(connection, revocation.number)? {
        None => Told::New,
        Some(kept) if kept == new => return Ok(Told::Known),
        Some(kept) if kept.fits(&before) => return Ok(Told::Other),
        Some(_) => Told::Mended,
    };
    connection
        .prepare_cached(&format!(
            "INSERT OR REPLACE INTO revocations ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)"
        ))?
        .execute(params![new.number, new.name, new.device, new.time, new.hash])?;
    Ok(told)
}

fn find(connection: &Connection, number: u64) -> rusqlite::Result<Option<Kept>> {
    let mut select =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM revocations WHERE number = ?1"))?;
    match select.query_row([number], Kept::read).optional() {
        // A row that cannot be read as one is as good as none.
        Err(rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..)) => {
            Ok(None)
        }
        found => found,
    }
}

fn hash_of(connection: &Connection, number: u64) -> rusqlite::Result<Option<Hash>> {
    Ok(find(connection, number)?.and_then(|kept| kept.hash))
}

/// Looks at all of them, the oldest first; says what is wrong, and how many there are.
pub(super) fn verify(connection: &Connection, mut damaged: impl FnMut(String)) -> rusqlite::Result<u64> {
    let mut select = connection.prepare(&format!("SELECT {COLUMNS} FROM revocations ORDER BY number"))?;
    let mut rows = select.query([])?;
    let (mut last, mut before) = (0, GENESIS);
    while let Some(row) = rows.next()? {
        let Ok(kept) = Kept::read(row) else {
            last = row.get(0)?;
            before = GENESIS;
            damaged(format!("revocation {last} cannot be read"));
            continue;
        };
        if kept.number != last + 1 {
            damaged(format!("revocation {} is missing", last + 1));
        } else if !kept.fits(&before) {
            damaged(format!("revocation {} does not fit its hash", kept.number));
        }
        last = kept.number;
        before = kept.hash.unwrap_or(GENESIS);
    }
    Ok(last)
}

/// Writes the index anew. Where a row was changed it does not lead there any more, and the row cannot be replaced.
pub(super) fn reindex(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("REINDEX revocations")
}

/// Gives each its hash, where they have none yet.
pub(super) fn chain(connection: &Connection) -> rusqlite::Result<()> {
    let mut select = connection.prepare(&format!("SELECT {COLUMNS} FROM revocations ORDER BY number"))?;
    let all = select.query_map([], Kept::read)?.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut before = GENESIS;
    for kept in all {
        before = kept.link(&before);
        connection
            .prepare_cached("UPDATE revocations SET hash = ?2 WHERE number = ?1")?
            .execute(params![kept.number, before])?;
    }
    Ok(())
}
