//! The rows of accounts, each with a hash of what is in it.

use parlour_protocol::{Timestamp, UserName};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::chain::{GENESIS, Hash, Link};
use super::rows::hash;
use super::{Account, StoreError};

/// The columns of an account, in the order in which [`Kept::read`] reads them.
pub(super) const COLUMNS: &str = "name, certificate, kid, created, hash";

/// A row as it stands, before anything in it is believed.
pub(super) struct Kept {
    pub(super) name: String,
    pub(super) certificate: Vec<u8>,
    pub(super) kid: String,
    created: i64,
    hash: Option<Hash>,
}

impl Kept {
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
        // Accounts stand alone: none comes after another.
        let mut link = Link::after(&GENESIS);
        link.field(self.name.as_bytes());
        link.field(&self.certificate);
        link.field(self.kid.as_bytes());
        link.field(&self.created.to_be_bytes());
        link.hash()
    }

    /// Whether nothing was changed since it was written.
    pub(super) fn is_sound(&self) -> bool {
        self.hash == Some(self.link())
    }
}

/// The account with this name.
pub(super) fn find(connection: &Connection, name: &UserName) -> Result<Option<Account>, StoreError> {
    let kept = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM accounts WHERE name = ?1"))?
        .query_row([name.as_str()], Kept::read)
        .optional()?;
    let Some(kept) = kept else { return Ok(None) };
    if !kept.is_sound() {
        return Err(StoreError::Damaged(format!("the account of {name}")));
    }
    let Kept { certificate, kid, created, .. } = kept;
    Ok(Some(Account { name: name.clone(), certificate, kid, created: Timestamp::from_millis(created) }))
}

/// Keeps a new account.
pub(super) fn add(connection: &Connection, account: &Account) -> rusqlite::Result<()> {
    let kept = Kept {
        name: account.name.to_string(),
        certificate: account.certificate.clone(),
        kid: account.kid.clone(),
        created: account.created.as_millis(),
        hash: None,
    };
    connection
        .prepare_cached(&format!("INSERT INTO accounts ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)"))?
        .execute(params![kept.name, kept.certificate, kept.kid, kept.created, kept.link()])?;
    Ok(())
}

/// Gives each its hash, where they have none yet.
pub(super) fn seal(connection: &Connection) -> rusqlite::Result<()> {
    let mut select = connection.prepare(&format!("SELECT {COLUMNS} FROM accounts"))?;
    let all = select.query_map([], Kept::read)?.collect::<rusqlite::Result<Vec<_>>>()?;
    for kept in all {
        connection
            .prepare_cached("UPDATE accounts SET hash = ?2 WHERE name = ?1")?
            .execute(params![kept.name, kept.link()])?;
    }
    Ok(())
}
