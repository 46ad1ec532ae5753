//! The parts that the backups of all programs share: their recipient, the check of their contents, and their faults.

use std::io::{self, Write};

use thiserror::Error;

use crate::archive::{Manifest, PackError, UnpackError};
use crate::inspection::{Inspection, Inventory};
use crate::key::{KeyError, Recipient};
use crate::snapshot::SnapshotError;

/// The reasons why a backup is not made, or cannot be used.
#[derive(Debug, Error)]
pub enum BackupFault {
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No recipient is named.
    #[error("no recipient is named to encrypt the backup to")]
    NoRecipient,
    /// The database cannot be copied.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The backup cannot be written.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The backup cannot be opened.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// The database to be backed up is damaged.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The contents of the backup are damaged, or do not match its manifest.
    #[error("the backup is not sound: {0}")]
    Unsound(String),
}

impl BackupFault {
    /// Advice for the operator of `program`.
    pub fn hint(&self, program: &str) -> String {
        match self {
            Self::Key(error) => error.hint(program),
            Self::NoRecipient => format!(
                "'{program} backup-key FILE' makes a key and prints its recipient; give that with --recipient, or \
                 as backup-recipient = \"age1...\" in the file"
            ),
            Self::Snapshot(error) => error.hint(),
            Self::Pack(error) => error.hint(),
            Self::Unpack(error) => error.hint(),
            Self::Damaged(_) => format!(
                "'{program} check' lists the damage; an older backup can be restored into another folder"
            ),
            Self::Unsound(_) => "take another copy, or an older backup".to_owned(),
        }
    }

    /// Returns true if the backup itself is at fault.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Unpack(error) => error.is_damage(),
            Self::Unsound(_) => true,
            Self::Key(_) | Self::NoRecipient | Self::Snapshot(_) | Self::Pack(_) | Self::Damaged(_) => false,
        }
    }
}

/// The recipient that backups are encrypted to.
pub fn recipient(text: Option<&str>) -> Result<Recipient, BackupFault> {
    Ok(text.ok_or(BackupFault::NoRecipient)?.parse()?)
}

/// The inventory of a database that can be backed up: it was read, and nothing in it is damaged.
pub fn fit_to_back_up(inspected: Result<Inspection, String>) -> Result<Inventory, BackupFault> {
    undamaged(inspected).map_err(BackupFault::Damaged)
}

/// Checks that the database from a backup is not damaged, and that its contents match the manifest.
pub fn agree(manifest: &Manifest, inspected: Result<Inspection, String>) -> Result<(), BackupFault> {
    let found = undamaged(inspected).map_err(BackupFault::Unsound)?;
    if found == manifest.inventory {
        return Ok(());
    }
    let (found, expected) = (found.line(), manifest.inventory.line());
    Err(BackupFault::Unsound(format!("it holds {found}, and should hold {expected}")))
}

fn undamaged(inspected: Result<Inspection, String>) -> Result<Inventory, String> {
    let inspection = inspected?;
    inspection.damage().map_or(Ok(inspection.inventory), Err)
}

/// Prints the contents of a backup on two lines.
pub fn describe(manifest: &Manifest, out: &mut impl Write) -> io::Result<()> {
    let inventory = &manifest.inventory;
    writeln!(out, "{}", inventory.line())?;
    writeln!(out, "schema {}, digest {}", inventory.schema, inventory.digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_database_is_neither_backed_up_nor_taken_from_a_backup() {
        let mut inspection = Inspection::default();
        let manifest = Manifest::new("program", "1", inspection.inventory.clone());
        assert!(fit_to_back_up(Ok(inspection.clone())).is_ok());
        assert!(agree(&manifest, Ok(inspection.clone())).is_ok());
        inspection.damaged("row 1");
        assert!(matches!(fit_to_back_up(Ok(inspection.clone())), Err(BackupFault::Damaged(_))));
        let error = agree(&manifest, Ok(inspection)).unwrap_err();
        assert!(error.is_damage() && error.to_string() == "the backup is not sound: row 1", "{error}");
    }

    #[test]
    fn a_database_with_other_contents_than_the_manifest_says_is_not_sound() {
        let manifest = Manifest::new("program", "1", Inventory::default());
        let mut inspection = Inspection::default();
        inspection.inventory.counts.insert("messages".to_owned(), 3);
        assert!(agree(&manifest, Ok(inspection)).unwrap_err().is_damage());
    }
}
