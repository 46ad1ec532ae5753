//! The one thread that writes, with group commit: it takes what has gathered, writes it in one transaction,
//! and answers everyone who waits once that is durable.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parlour_protocol::ttp::Revocation;
use parlour_upkeep::{LogCopier, WriteFault};
use rusqlite::{Connection, OptionalExtension as _};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use super::append::append;
use super::audit::{AuditLog, append_with_change};
use super::health::Health;
use super::memory::Memory;
use super::revocations::{self, Addition};
use super::room::Room;
use super::survey::Survey;
use super::tail::{self, Tail};
use super::{
    Account, AddRevocationError, AppendError, Appended, AuditError, Bounds, CreateAccountError, Failure,
    NewMessage, Outcome, Outcomes, WriteError, accounts,
};
use crate::audit::Entry;
use crate::metrics::Commits;

/// The length of SQLite's log at which it is copied into the database: a thousand pages, and what one
/// transaction may add.
const LOG_BYTES: usize = 6 << 20;

/// The most writes in one transaction.
const BATCH: usize = 1_024;

/// The most conversations whose ends are kept in memory. With more, all are forgotten and read again.
const TAILS: usize = 100_000;

/// Gets the result of a write once it is durable, or has failed.
pub type Answer<E> = oneshot::Sender<Result<(), E>>;

/// Something to write, with who waits for it.
pub enum Write<T> {
    /// A message, and what its caller finds again in the outcome.
    Append(Box<NewMessage>, T),
    /// An account, and the entry for it in the audit log.
    CreateAccount(Box<(Account, Entry)>, Answer<CreateAccountError>),
    /// A revocation, and the entry for it in the audit log.
    AddRevocation(Box<(Revocation, Entry)>, Answer<AddRevocationError>),
    /// Entries of the audit log.
    Audit(Vec<Entry>, Answer<AuditError>),
    /// Something durable that changes nothing.
    Probe(Answer<WriteError>),
    /// Ends the writer, once everything in front of this is written.
    Stop,
}

/// Answers somebody who waits, when it is known what became of the transaction.
type Reply = Box<dyn FnOnce(Result<(), WriteError>)>;

/// The outcomes of the writes in a transaction, with those who wait until it is durable.
struct Written<T> {
    appended: Vec<Outcome<T>>,
    replies: Vec<Reply>,
    /// Whether something besides messages was written.
    has_others: bool,
}

/// Writes what it is given, one transaction for each batch.
pub struct Writer<T> {
    connection: Connection,
    memory: Memory,
    outcomes: Outcomes<T>,
    commits: Commits,
    log: LogCopier,
    health: Health,
}

impl<T> Writer<T> {
    /// A writer into the database file `path` that keeps within `bounds`, sends what became of messages to `outcomes`
    /// after each commit, and counts `commits`.
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

    /// The findings from when the database was opened.
    pub(super) fn survey(&self) -> Arc<Survey> {
        Arc::clone(&self.memory.survey)
    }

    /// Writes until it gets [`Write::Stop`], or every sender is gone. Blocks, so it needs a thread of its own.
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

    /// Writes exactly what accounts have stored, which is otherwise a little ahead. The last thing to be done.
    pub(super) fn settle(&mut self) {
        if let Err(failure) = self.memory.room.settle(&self.connection) {
            warn!(%failure, "more is noted of what accounts have stored than they have");
        }
    }

    /// Makes SQLite's log as long as it gets. A commit into a log that has to grow takes four times as
    /// long, because it waits for the file system's own journal, and a log grows until its first checkpoint.
    pub(super) fn stretch_log(&self) {
        // A small cache, so that the pages go to the log instead of staying in memory; then all of it is taken back.
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
        let mut written =
            Written { appended: Vec::with_capacity(batch.len()), replies: Vec::new(), has_others: false };
        let (begun, writes) = (Instant::now(), batch.len());
        let outcome = if self.health.has_given_up() {
            Err(None)
        } else {
            self.transact(batch, &mut written).map_err(Some)
        };
        let committed = match outcome {
            Ok(()) => {
                self.commits.observe(begun.elapsed(), writes);
                if written.has_news() {
                    self.health.worked();
                }
                Ok(())
            }
            Err(failure) => {
                self.commits.failures.inc();
                self.memory.forget();
                // Those whose write was not even tried, because the transaction could not begin, are answered as well.
                written.take(batch.drain(..));
                let error = match failure {
                    Some(failure) if WriteFault::of(&failure).is_none() => {
                        error!(%failure, "a transaction failed; nothing of it is confirmed");
                        WriteError::Failed("the transaction failed".to_owned())
                    }
                    failure => {
                        self.health.failed(failure.as_ref(), writes);
                        WriteError::NotWritten
                    }
                };
                written.fail(&error);
                Err(error)
            }
        };
        for reply in written.replies {
            reply(committed.clone());
        }
        if !written.appended.is_empty() {
            // Nobody receives them only when the program is ending.
            let _ = self.outcomes.send(written.appended);
        }
        if !self.health.has_given_up()
            && let Err(failure) = self.log.after_commit(&self.connection)
        {
            self.health.not_copied(&failure);
        }
    }

    /// Writes all of it in one transaction. After a failure nothing more is written, but everyone who
    /// waits is in `written` all the same.
    fn transact(&mut self, batch: &mut Vec<Write<T>>, written: &mut Written<T>) -> rusqlite::Result<()> {
        if self.memory.tails.len() >= TAILS {
            self.memory.tails.clear();
        }
        // As prepared statements, unlike rusqlite's own transactions, which are parsed each time.
        let connection = &self.connection;
        let run = |statement| connection.prepare_cached(statement)?.execute([]);
        if !connection.is_autocommit() {
            // An earlier transaction failed, and so did taking it back.
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
            // The first failure says more than one of this, which the next transaction notices.
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
                Write::Append(_, waiting) => self.appended.push((waiting, Err(WriteError::Closed.into()))),
                Write::CreateAccount(_, answer) => self.reply(answer, Err(WriteError::Closed.into())),
                Write::AddRevocation(_, answer) => self.reply(answer, Err(WriteError::Closed.into())),
                Write::Audit(_, answer) => self.reply(answer, Err(WriteError::Closed.into())),
                Write::Probe(answer) => self.reply(answer, Err(WriteError::Closed)),
                Write::Stop => {}
            }
        }
    }

    /// Adds what became of a message. Fails when the database did.
    fn add_message(
        &mut self,
        waiting: T,
        outcome: Result<Appended, Failure<AppendError>>,
    ) -> rusqlite::Result<()> {
        let (outcome, failed) = divide(outcome);
        self.appended.push((waiting, outcome));
        failed
    }

    /// Adds what became of another write. Fails when the database did.
    fn add<E: From<WriteError> + Send + 'static>(
        &mut self,
        answer: Answer<E>,
        outcome: Result<(), Failure<E>>,
    ) -> rusqlite::Result<()> {
        let (outcome, failed) = divide(outcome);
        self.reply(answer, outcome);
        failed
    }

    fn reply<E: From<WriteError> + Send + 'static>(&mut self, answer: Answer<E>, outcome: Result<(), E>) {
        self.has_others |= outcome.is_ok();
        self.replies.push(Box::new(move |committed: Result<(), WriteError>| {
            // Whoever has stopped waiting does not need the result.
            let _ = answer.send(committed.map_err(E::from).and(outcome));
        }));
    }

    /// Whether something was written, and not only looked up.
    fn has_news(&self) -> bool {
        let fresh = |(_, outcome): &Outcome<T>| outcome.as_ref().is_ok_and(|appended| appended.fresh);
        self.has_others || self.appended.iter().any(fresh)
    }

    /// No message of a transaction that failed was stored.
    fn fail(&mut self, error: &WriteError) {
        self.appended.iter_mut().for_each(|(_, outcome)| *outcome = Err(error.clone().into()));
    }
}

/// Divides what became of one write into its own outcome and a failure of the database, after which its own
/// outcome does not count.
fn divide<A, E: From<WriteError>>(outcome: Result<A, Failure<E>>) -> (Result<A, E>, rusqlite::Result<()>) {
    match outcome {
        Ok(done) => (Ok(done), Ok(())),
        Err(Failure::Refused(refusal)) => (Err(refusal), Ok(())),
        Err(Failure::Database(failure)) => (Err(WriteError::Closed.into()), Err(failure)),
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
        match write {
            Write::Append(message, waiting) => {
                written.add_message(waiting, append(connection, memory, &mut moved, *message))
            }
            Write::CreateAccount(new, answer) => {
                let (account, entry) = *new;
                written.add(answer, create_account(connection, &mut memory.audit, &account, entry))
            }
            Write::AddRevocation(new, answer) => {
                let (revocation, entry) = *new;
                written.add(answer, add_revocation(connection, memory, &revocation, entry))
            }
            Write::Audit(entries, answer) => written.add(answer, memory.audit.append(connection, &entries)),
            Write::Probe(answer) => written.add(answer, touch(connection).map_err(Failure::from)),
            Write::Stop => Ok(()),
        }?;
    }
    // Once for each conversation, however much was said in it.
    moved.values().try_for_each(|tail| tail::save(connection, tail))
}

fn create_account(
    connection: &Connection,
    audit: &mut AuditLog,
    account: &Account,
    mut entry: Entry,
) -> Result<(), Failure<CreateAccountError>> {
    let known: Option<String> = connection
        .prepare_cached("SELECT kid FROM accounts WHERE name = ?1")?
        .query_row([account.name.as_str()], |row| row.get(0))
        .optional()?;
    match known {
        Some(kid) if kid != account.kid => return Err(Failure::Refused(CreateAccountError::NameTaken)),
        Some(_) => entry.event = entry.event.because("the same request again"),
        None => accounts::add(connection, account)?,
    }
    Ok(append_with_change(audit, connection, &entry)?)
}

fn add_revocation(
    connection: &Connection,
    memory: &mut Memory,
    revocation: &Revocation,
    mut entry: Entry,
) -> Result<(), Failure<AddRevocationError>> {
    match revocations::add(connection, revocation)? {
        Addition::Known => return Ok(()),
        Addition::New => {}
        Addition::Repaired => {
            let number = revocation.number;
            warn!(number, "a revocation was damaged, and is repaired with what the TTP sent");
            entry.event = entry.event.because("the record of it was damaged");
        }
    }
    if memory.survey.trust_revocations().is_err() && memory.survey.recheck_revocations(connection)? {
        info!("the list of revoked devices is whole again");
    }
    Ok(append_with_change(&mut memory.audit, connection, &entry)?)
}

/// Writes the database's version as it is, so that the page on which it stands goes to the disk.
fn touch(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    connection.pragma_update(None, "user_version", version)
}
