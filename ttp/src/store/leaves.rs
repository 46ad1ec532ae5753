//! The leaves of the key log.

use parlour_keylog::{Leaf, leaf_hash};
use rusqlite::params;

use super::{Records, StoreError};

impl Records<'_> {
    /// Appends a leaf.
    pub(crate) fn add_leaf(&self, leaf: &Leaf) -> Result<(), StoreError> {
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

/// All of them in order, as canonical bytes.
pub(super) fn all(records: &Records<'_>) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut statement = records.0.prepare_cached("SELECT leaf FROM leaves ORDER BY position")?;
    let leaves = statement.query_map([], |row| row.get(0))?;
    Ok(leaves.collect::<Result<_, _>>()?)
}
