//! The state of the disk under the writer, and the log lines about it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parlour_upkeep::{WriteFault, write_fault_text};
use tracing::{error, info};

/// The time between two log lines while nothing can be stored. One for each message would fill the log.
const REMINDER: Duration = Duration::from_mins(1);

/// The state of the writer's disk.
#[derive(Debug)]
pub(super) struct Health {
    database: PathBuf,
    /// True once writing was given up until the next start.
    given_up: bool,
    trouble: Option<Trouble>,
    /// The time of the last log line about a failure to copy SQLite's own log.
    copy_failure_logged: Option<Instant>,
}

/// A period in which writing fails.
#[derive(Debug)]
struct Trouble {
    /// The time of its last log line.
    logged: Instant,
    /// Writes that failed since it began.
    refused: u64,
}

impl Health {
    pub(super) fn new(database: &Path) -> Self {
        Self { database: database.to_owned(), given_up: false, trouble: None, copy_failure_logged: None }
    }

    /// Returns true if nothing is written any more until the next start.
    pub(super) const fn has_given_up(&self) -> bool {
        self.given_up
    }

    /// Notes that this many writes failed, and the reason; without a failure, the writes were not even tried.
    pub(super) fn failed(&mut self, failure: Option<&rusqlite::Error>, writes: usize) {
        let fault = failure.and_then(WriteFault::of);
        let begins = self.trouble.is_none() || (fault == Some(WriteFault::Unsynced) && !self.given_up);
        self.given_up |= fault == Some(WriteFault::Unsynced);
        let now = Instant::now();
        let trouble = self.trouble.get_or_insert(Trouble { logged: now, refused: 0 });
        trouble.refused += writes as u64;
        if begins || now.duration_since(trouble.logged) >= REMINDER {
            trouble.logged = now;
            let refused = trouble.refused;
            let reason = failure.map(|failure| write_fault_text(failure, &self.database));
            self.log(&reason.unwrap_or_else(|| "the disk failed before".to_owned()), refused);
        }
    }

    fn log(&self, reason: &str, refused: u64) {
        if self.given_up {
            error!(
                reason,
                refused, "nothing more is stored until the server is started again; what is kept can be read"
            );
        } else {
            error!(reason, refused, "nothing can be stored now; what is kept can be read");
        }
    }

    /// Notes that SQLite's log could not be copied into the database. Confirmed writes stay in the log, which grows.
    pub(super) fn not_copied(&mut self, failure: &rusqlite::Error) {
        if WriteFault::of(failure) == Some(WriteFault::Unsynced) {
            return self.failed(Some(failure), 0);
        }
        let now = Instant::now();
        if self.copy_failure_logged.is_none_or(|logged| now.duration_since(logged) >= REMINDER) {
            self.copy_failure_logged = Some(now);
            let reason = write_fault_text(failure, &self.database);
            error!(reason, "the database's log cannot be copied into it, and grows");
        }
    }

    /// Notes that a write succeeded.
    pub(super) fn worked(&mut self) {
        if let Some(Trouble { refused, .. }) = self.trouble.take() {
            info!(refused, "storing works again");
        }
    }
}
