//! Whether the disk takes what the writer has for it, and what the log hears of that.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parlour_upkeep::{WriteFault, write_fault_text};
use tracing::{error, info};

/// How often the log hears that nothing can be stored, while that lasts: not once for each message.
const REMINDER: Duration = Duration::from_mins(1);

/// How the writer's disk is.
#[derive(Debug)]
pub(super) struct Health {
    database: PathBuf,
    /// Writing was given up until the next start.
    given_up: bool,
    trouble: Option<Trouble>,
    /// When the log last heard that SQLite's own log cannot be copied.
    told_of_log: Option<Instant>,
}

/// Writing does not work.
#[derive(Debug)]
struct Trouble {
    /// When the log last heard of it.
    told: Instant,
    /// Writes that came to nothing since it began.
    refused: u64,
}

impl Health {
    pub(super) fn new(database: &Path) -> Self {
        Self { database: database.to_owned(), given_up: false, trouble: None, told_of_log: None }
    }

    /// Whether nothing is written any more before the next start.
    pub(super) const fn has_given_up(&self) -> bool {
        self.given_up
    }

    /// So many writes came to nothing, for this reason; none when it was not even tried.
    pub(super) fn failed(&mut self, failure: Option<&rusqlite::Error>, writes: usize) {
        let fault = failure.and_then(WriteFault::of);
        let begins = self.trouble.is_none() || (fault == Some(WriteFault::Unsynced) && !self.given_up);
        self.given_up |= fault == Some(WriteFault::Unsynced);
        let now = Instant::now();
        let trouble = self.trouble.get_or_insert(Trouble { told: now, refused: 0 });
        trouble.refused += writes as u64;
        if begins || now.duration_since(trouble.told) >= REMINDER {
            trouble.told = now;
            let refused = trouble.refused;
            let reason = failure.map(|failure| write_fault_text(failure, &self.database));
            self.tell(&reason.unwrap_or_else(|| "the disk failed before".to_owned()), refused);
        }
    }

    fn tell(&self, reason: &str, refused: u64) {
        if self.given_up {
            error!(
                reason,
                refused, "nothing more is stored until the server is started again; what is kept can be read"
            );
        } else {
            error!(reason, refused, "nothing can be stored now; what is kept can be read");
        }
    }

    /// SQLite's log could not be copied into the database. What was confirmed stays in it, and it grows.
    pub(super) fn not_copied(&mut self, failure: &rusqlite::Error) {
        if WriteFault::of(failure) == Some(WriteFault::Unsynced) {
            return self.failed(Some(failure), 0);
        }
        let now = Instant::now();
        if self.told_of_log.is_none_or(|told| now.duration_since(told) >= REMINDER) {
            self.told_of_log = Some(now);
            let reason = write_fault_text(failure, &self.database);
            error!(reason, "the database's log cannot be copied into it, and grows");
        }
    }

    /// Something was written.
    pub(super) fn worked(&mut self) {
        if let Some(Trouble { refused, .. }) = self.trouble.take() {
            info!(refused, "storing works again");
        }
    }
}
