//! The leaves of the key log.

use parlour_keylog::{Leaf, leaf_hash};
use rusqlite::params;

use super::{LedgerError, LedgerTransaction};

impl LedgerTransaction<'_> {
    /// Appends a leaf.
    pub(crate) fn add_leaf(&self, leaf: &Leaf) -> Result<(), LedgerError> {
        let bytes = leaf.encode();
        self.0
            .prepare_cached(
                "INSERT INTO leaves (position, hash, leaf)
                 SELECT coalesce(max(position) + 1, 0), ?1, ?2 FROM leaves",
            )?
            .execute(params![leaf_hash(&bytes).as_slice(), bytes])?;
        Ok(())
    }
}

/// All leaves in order, as canonical bytes. Each must have its place and its hash.
pub(super) fn all(ledger: &LedgerTransaction<'_>) -> Result<Vec<Vec<u8>>, LedgerError> {
    let mut statement =
        ledger.0.prepare_cached("SELECT position, hash, leaf FROM leaves ORDER BY position")?;
    let mut rows = statement.query([])?;
    let mut leaves = Vec::new();
    while let Some(row) = rows.next()? {
        let (position, hash, leaf): (usize, Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if position != leaves.len() || leaf_hash(&leaf).as_slice() != hash {
            return Err(LedgerError::Failed(format!("leaf {position} of the log does not fit its hash")));
        }
        leaves.push(leaf);
    }
    Ok(leaves)
}
