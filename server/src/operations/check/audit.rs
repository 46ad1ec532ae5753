//! Checks that nobody changed the audit log.

use std::path::Path;

use parlour_upkeep::Finding;

use crate::store::{AuditFile, Verdict};

/// Checks the chain of the log in this database.
pub(super) fn find(database: &Path) -> Finding {
    match AuditFile::open(database).and_then(|log| log.verify()) {
        Ok(verdict @ Verdict::Sound { .. }) => Finding::well("audit", verdict.to_string()),
        Ok(verdict @ Verdict::Broken { .. }) => Finding::wrong("audit", verdict.to_string(), BROKEN),
        Err(failure) => Finding::wrong("audit", failure.to_string(), BROKEN),
    }
}

/// Advice about a changed log. It cannot be repaired, and nothing else depends on it.
const BROKEN: &str = "somebody or the disk has changed it: keep a copy of the database, and compare the log with the one \
    in an older backup";
