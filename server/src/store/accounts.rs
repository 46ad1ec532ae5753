//! The rows of accounts, each with a hash of its content.

use parlour_protocol::{Timestamp, UserName};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::chain::{GENESIS, Hash, Link};
use super::rows::hash;
use super::{Account, Damaged, Failure, ReadError};

/// The columns of an account, in the order in which [`AccountRow::read`] reads them.
pub(super) const COLUMNS: &str = "name, certificate, kid, created, hash";

/// An account's row as it stands in the database; nothing in it is trusted yet.
pub(super) struct AccountRow {
    pub(super) name: String,
    pub(super) certificate: Vec<u8>,
    pub(super) kid: String,
    created: i64,
    hash: Option<Hash>,
}

impl AccountRow {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: row.get(0)?,
            certificate: row.get(1)?,
            kid: row.get(2)?,
            created: row.get(3)?,
            hash: hash(row.get(4)?),
        })
    }

    fn link(&self) -> Hash {
        // Accounts are not chained, so each hash starts from the beginning.
        let mut link = Link::after(&GENESIS);
        link.field(self.name.as_bytes());
        link.field(&self.certificate);
        link.field(self.kid.as_bytes());
        link.field(&self.created.to_be_bytes());
        link.hash()
    }

    /// Returns true if the row is unchanged since it was written.
    pub(super) fn is_sound(&self) -> bool {
        self.hash == Some(self.link())
    }
}

/// Finds the account with this name.
pub(super) fn find(connection: &Connection, name: &UserName) -> Result<Option<Account>, Failure<ReadError>> {
    let row = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM accounts WHERE name = ?1"))?
        .query_row([name.as_str()], AccountRow::read)
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    if !row.is_sound() {
        return Err(Damaged(format!("the account of {name}")).into());
    }
    let AccountRow { certificate, kid, created, .. } = row;
    Ok(Some(Account { name: name.clone(), certificate, kid, created: Timestamp::from_millis(created) }))
}

/// Stores a new account.
pub(super) fn add(connection: &Connection, account: &Account) -> rusqlite::Result<()> {
    let row = AccountRow {
        name: account.name.to_string(),
        certificate: account.certificate.clone(),
        kid: account.kid.clone(),
        created: account.created.as_millis(),
        hash: None,
    };
    connection
        .prepare_cached(&format!("INSERT INTO accounts ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)"))?
        .execute(params![row.name, row.certificate, row.kid, row.created, row.link()])?;
    Ok(())
}

/// Computes the hash of every account, for databases made before accounts had hashes.
pub(super) fn seal(connection: &Connection) -> rusqlite::Result<()> {
    let mut select = connection.prepare(&format!("SELECT {COLUMNS} FROM accounts"))?;
    let all = select.query_map([], AccountRow::read)?.collect::<rusqlite::Result<Vec<_>>>()?;
    for row in all {
        connection
            .prepare_cached("UPDATE accounts SET hash = ?2 WHERE name = ?1")?
            .execute(params![row.name, row.link()])?;
    }
    Ok(())
}
