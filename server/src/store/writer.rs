//! The one thread that writes. It takes what has gathered, writes it in one transaction, and tells
//! everyone who waits once that is durable: group commit.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parlour_protocol::authority::Revocation;
use parlour_upkeep::{LogCopier, WriteFault};
use rusqlite::{Connection, OptionalExtension as _};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use super::audit::{AuditLog, append_with_change};
use super::health::Health;
use super::memory::Memory;
use super::revocations::{self, Told};
use super::room::Room;
use super::survey::Survey;
use super::tails::{Tail, append, move_tail};
use super::{Account, Bounds, NewMessage, Outcome, Outcomes, StoreError, accounts};
use crate::audit::Entry;
use crate::metrics::Commits;

/// The length of SQLite's log at which it is copied into the database: a thousand pages, and what one
/// transaction may add.
const LOG_BYTES: usize = 6 << 20;

/// The most writes in one transaction.
const BATCH: usize = 1_024;

/// How many conversations' ends are kept in memory before all are forgotten and read again.
const TAILS: usize = 100_000;

/// Hears once what became of a write.
pub type Answer = oneshot::Sender<Result<(), StoreError>>;

/// Something to write, with whom to tell.
pub enum Write<T> {
    /// A message, and what its sender gave along.
    Append(Box<NewMessage>, T),
    /// An account, and what the audit log says of it.
    CreateAccount(Box<(Account, Entry)>, Answer),
    /// A revocation, and what the audit log says of it.
    AddRevocation(Box<(Revocation, Entry)>, Answer),
    /// Entries of the audit log.
    Audit(Vec<Entry>, Answer),
    /// Something durable that changes nothing.
    Probe(Answer),
    /// Write what came before this, then end.
    Stop,
}

/// What was written, with whom to tell once it is durable.
struct Written<T> {
    appended: Vec<Outcome<T>>,
    others: Vec<(Result<(), StoreError>, Answer)>,
}

/// Writes what it is given, a transaction for each batch.
pub struct Writer<T> {
    connection: Connection,
    memory: Memory,
    outcomes: Outcomes<T>,
    commits: Commits,
    log: LogCopier,
    health: Health,
}

impl<T> Writer<T> {
    /// A writer into the database file `path` that keeps within `bounds`, tells `outcomes` after each commit, and
    /// counts `commits`.
    pub(super) fn new(
        mut connection: Connection,
        path: &Path,
        survey: Survey,
        bounds: Bounds,
        outcomes: Outcomes<T>,
        commits: Commits,
    ) -> rusqlite::Result<Self> {
        let log = LogCopier::take_over(&mut connection)?;
        let mut audit = AuditLog::new(bounds.audit);
        audit.probe(&connection)?;
        let memory = Memory {
            tails: HashMap::new(),
            room: Room::new(bounds, path.parent().map(Path::to_owned)),
            audit,
            survey: Arc::new(survey),
        };
        Ok(Self { connection, memory, outcomes, commits, log, health: Health::new(path) })
    }

    /// What was looked at when the database was opened.
    pub(super) fn survey(&self) -> Arc<Survey> {
        Arc::clone(&self.memory.survey)
    }

    /// Writes until it is told to stop, or nobody can ask any more. Blocks: has a thread of its own.
    pub fn run(&mut self, writes: &mut mpsc::Receiver<Write<T>>) {
        let mut batch = Vec::with_capacity(BATCH);
        while writes.blocking_recv_many(&mut batch, BATCH) > 0 {
            let before = batch.len();
            batch.retain(|write| !matches!(write, Write::Stop));
            let stop = batch.len() < before;
            if !batch.is_empty() {
                self.write(&mut batch);
            }
            if stop {
                return;
            }
        }
    }

    /// Notes exactly what is otherwise noted a little ahead. At the end.
    pub(super) fn settle(&mut self) {
        if let Err(failure) = self.memory.room.settle(&self.connection) {
            warn!(%failure, "more is noted of what accounts have stored than they have");
        }
    }

    /// Makes SQLite's log as long as it gets. A commit into a log that has to grow waits four times as
    /// long, for the file system's own journal, and a log grows until its first checkpoint.
    pub(super) fn stretch_log(&self) {
        // A cache of few pages, so that it is written to the log and not kept in memory; then as if it had not been.
        let pages = self.connection.query_row("PRAGMA cache_size", [], |row| row.get::<_, i64>(0));
        let stretched = pages.and_then(|pages| {
            self.connection.pragma_update(None, "cache_size", 16)?;
            let stretched = self.connection.execute_batch(&format!(
                "BEGIN IMMEDIATE; CREATE TABLE room (bytes BLOB); INSERT INTO room VALUES (zeroblob({LOG_BYTES})); \
                 ROLLBACK"
            ));
            stretched.and(self.connection.pragma_update(None, "cache_size", pages))
        });
        if let Err(failure) = stretched {
            warn!(%failure, "the database's log could not be made longer in advance");
        }
    }

    fn write(&mut self, batch: &mut Vec<Write<T>>) {
        let mut written = Written { appended: Vec::with_capacity(batch.len()), others: Vec::new() };
        let (begun, writes) = (Instant::now(), batch.len());
        let outcome = if self.health.has_given_up() {
            Err(None)
        } else {
            self.transact(batch, &mut written).map_err(Some)
        };
        match outcome {
            Ok(()) => {
                self.commits.observe(begun.elapsed(), writes);
                if written.has_news() {
                    self.health.worked();
                }
            }
            Err(failure) => {
                self.commits.failures.inc();
                self.memory.forget();
                // What was not even tried, because the transaction could not begin, is told as well.
                written.take(batch.drain(..));
                match failure {
                    Some(failure) if WriteFault::of(&failure).is_none() => {
                        error!(%failure, "a transaction failed; nothing of it is confirmed");
                        written.fail(&StoreError::Failed("the transaction failed".to_owned()));
                    }
                    failure => {
                        self.health.failed(failure.as_ref(), writes);
                        written.fail(&StoreError::NotWritten);
                    }
                }
            }
        }
        for (outcome, answer) in written.others {
            // Who does not wait any more does not need to know.
            let _ = answer.send(outcome);
        }
        if !written.appended.is_empty() {
            // Nobody listens only when the program is ending.
            let _ = self.outcomes.send(written.appended);
        }
        if !self.health.has_given_up()
            && let Err(failure) = self.log.after_commit(&self.connection)
        {
            self.health.not_copied(&failure);
        }
    }

    /// Writes all of it in one transaction. After a failure nothing more is written, but everyone who
    /// waits is among what was `written`.
    fn transact(&mut self, batch: &mut Vec<Write<T>>, written: &mut Written<T>) -> rusqlite::Result<()> {
        if self.memory.tails.len() >= TAILS {
            self.memory.tails.clear();
        }
        // As prepared statements, unlike rusqlite's own transactions, which are parsed each time.
        let connection = &self.connection;
        let run = |statement| connection.prepare_cached(statement)?.execute([]);
        if !connection.is_autocommit() {
            // What failed before could not be taken back then.
            run("ROLLBACK")?;
        }
        run("BEGIN IMMEDIATE")?;
        let mut batch = batch.drain(..);
        let memory = &mut self.memory;
        let outcome = memory.room.look(connection);
        let outcome = outcome.and_then(|()| append_all(connection, memory, &mut batch, written));
        written.take(batch);
        let outcome = outcome.and_then(|()| run("COMMIT").map(drop));
        if outcome.is_err() && !connection.is_autocommit() {
            // Why it came to that says more than that this failed too, which the next transaction notices.
            let _ = run("ROLLBACK");
        }
        outcome
    }
}

impl<T> Written<T> {
    /// Adds what was not written.
    fn take(&mut self, writes: impl Iterator<Item = Write<T>>) {
        for write in writes {
            match write {
                Write::Append(_, waiting) => self.appended.push((waiting, Err(StoreError::Closed))),
                Write::CreateAccount(_, answer)
                | Write::AddRevocation(_, answer)
                | Write::Audit(_, answer)
                | Write::Probe(answer) => {
                    self.others.push((Err(StoreError::Closed), answer));
                }
                Write::Stop => {}
            }
        }
    }

    /// Whether something was written, and not only looked up.
    fn has_news(&self) -> bool {
        let fresh = |(_, outcome): &Outcome<T>| outcome.as_ref().is_ok_and(|appended| appended.fresh);
        self.appended.iter().any(fresh) || self.others.iter().any(|(outcome, _)| outcome.is_ok())
    }

    fn fail(&mut self, error: &StoreError) {
        self.appended.iter_mut().for_each(|(_, outcome)| *outcome = Err(error.clone()));
        self.others.iter_mut().for_each(|(outcome, _)| *outcome = Err(error.clone()));
    }
}

/// Writes until something fails.
fn append_all<T>(
    connection: &Connection,
    memory: &mut Memory,
    batch: &mut impl Iterator<Item = Write<T>>,
    written: &mut Written<T>,
) -> rusqlite::Result<()> {
    let mut moved: HashMap<i64, Tail> = HashMap::new();
    for write in batch {
        let failed = match write {
            Write::Append(message, waiting) => {
                let outcome = append(connection, memory, &mut moved, *message);
                let (outcome, failed) = outcome.map_or_else(unwritten, |outcome| (outcome, None));
                written.appended.push((waiting, outcome));
                failed
            }
            Write::CreateAccount(new, answer) => {
                let (account, entry) = *new;
                let outcome = create_account(connection, &mut memory.audit, &account, entry);
                let (outcome, failed) = outcome.map_or_else(unwritten, |outcome| (outcome, None));
                written.others.push((outcome, answer));
                failed
            }
            Write::AddRevocation(new, answer) => {
                let (revocation, entry) = *new;
                let outcome = add_revocation(connection, memory, &revocation, entry);
                let (outcome, failed) = outcome.map_or_else(unwritten, |outcome| (outcome, None));
                written.others.push((outcome, answer));
                failed
            }
            Write::Audit(entries, answer) => {
                let outcome = memory.audit.append(connection, &entries);
                let (outcome, failed) = outcome.map_or_else(unwritten, |outcome| (outcome, None));
                written.others.push((outcome, answer));
                failed
            }
            Write::Probe(answer) => {
                let (outcome, failed) = touch(connection).map_or_else(unwritten, |()| (Ok(()), None));
                written.others.push((outcome, answer));
                failed
            }
            Write::Stop => None,
        };
        if let Some(failure) = failed {
            return Err(failure);
        }
    }
    // Once for each conversation, however much was said in it.
    moved.values().try_for_each(|tail| move_tail(connection, tail))
}

/// The outcome of what could not be written, with the reason.
fn unwritten<A>(failure: rusqlite::Error) -> (Result<A, StoreError>, Option<rusqlite::Error>) {
    (Err(StoreError::Closed), Some(failure))
}

fn create_account(
    connection: &Connection,
    audit: &mut AuditLog,
    account: &Account,
    mut entry: Entry,
) -> rusqlite::Result<Result<(), StoreError>> {
    let kept: Option<String> = connection
        .prepare_cached("SELECT kid FROM accounts WHERE name = ?1")?
        .query_row([account.name.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(kid) = kept {
        if kid != account.kid {
            return Ok(Err(StoreError::NameTaken));
        }
        entry.event = entry.event.because("the same request again");
        append_with_change(audit, connection, &entry)?;
        return Ok(Ok(()));
    }
    accounts::add(connection, account)?;
    append_with_change(audit, connection, &entry)?;
    Ok(Ok(()))
}

fn add_revocation(
    connection: &Connection,
    memory: &mut Memory,
    revocation: &Revocation,
    mut entry: Entry,
) -> rusqlite::Result<Result<(), StoreError>> {
    match revocations::keep(connection, revocation)? {
        Told::Known => return Ok(Ok(())),
        Told::Other => return Ok(Err(StoreError::OtherRevocation)),
        Told::New => {}
        Told::Mended => {
            warn!(
                number = revocation.number,
                "a revocation was damaged, and is put right by the authority's"
            );
            entry.event = entry.event.because("the record of it was damaged");
        }
    }
    if memory.survey.trust_revocations().is_err() && memory.survey.mended(connection)? {
        info!("the list of revoked devices is whole again");
    }
    append_with_change(&mut memory.audit, connection, &entry)?;
    Ok(Ok(()))
}

/// Writes the database's version as it is: the page on which it stands goes to the disk.
fn touch(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    connection.pragma_update(None, "user_version", version)
}
