//! The only thread that writes, with group commit: it takes all waiting writes, makes them in one transaction, and
//! answers all callers once that is durable.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

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

/// The length of SQLite's log at which it is copied into the database: a thousand pages, and the most that one
/// transaction may add.
const LOG_BYTES: usize = 6 << 20;

/// The most memory for pages of the database: enough for all pages of one transaction. Pages that do not fit are
/// written to the log before its end and read again.
const CACHE_KIB: i64 = 8 << 10;

/// The most writes in one transaction.
const BATCH: usize = 1_024;

/// The longest that the next transaction waits until the last one's messages are delivered.
const GATHERING: Duration = Duration::from_millis(20);

/// The most conversations whose ends are kept in memory. With more, all are forgotten and read again.
const TAILS: usize = 100_000;

/// Receives the result of a write once it is durable or has failed.
pub type Answer<E> = oneshot::Sender<Result<(), E>>;

/// A write, with the caller's way to get the answer.
pub enum Write<T> {
    /// A message, and a value that the caller gets back with the outcome.
    Append(Box<NewMessage>, T),
    /// An account, and its entry in the audit log.
    CreateAccount(Box<(Account, Entry)>, Answer<CreateAccountError>),
    /// A revocation, and its entry in the audit log.
    AddRevocation(Box<(Revocation, Entry)>, Answer<AddRevocationError>),
    /// Entries for the audit log.
    Audit(Vec<Entry>, Answer<AuditError>),
    /// A durable write that changes nothing.
    Probe(Answer<WriteError>),
    /// Ends the writer after everything queued before this.
    Stop,
}

/// Answers a caller once the result of the transaction is known.
type Reply = Box<dyn FnOnce(Result<(), WriteError>)>;

/// The outcomes of the writes in a transaction, with the callers who wait until it is durable.
struct Written<T> {
    appended: Vec<Outcome<T>>,
    replies: Vec<Reply>,
    /// True if something other than messages was written.
    has_others: bool,
}

/// Writes what it receives, in one transaction for each batch.
pub struct Writer<T> {
    connection: Connection,
    memory: Memory,
    outcomes: Outcomes<T>,
    commits: Commits,
    log: LogCopier,
    health: Health,
}

impl<T> Writer<T> {
    /// Creates a writer for the database file `path` that keeps within `bounds`, sends the outcomes of messages to
    /// `outcomes` after each commit, and counts `commits`.
    pub(super) fn new(
        mut connection: Connection,
        path: &Path,
        survey: Survey,
        bounds: Bounds,
        outcomes: Outcomes<T>,
        commits: Commits,
    ) -> rusqlite::Result<Self> {
        let log = LogCopier::take_over(&mut connection)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
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
        // Writes that arrive meanwhile collect and are delivered together, with one write to each member for all
        // of them.
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
            self.outcomes.wait_until_delivered(Instant::now() + GATHERING);
        }
    }

    /// Writes the exact use of accounts, which is otherwise recorded a little ahead. Call it last.
    pub(super) fn settle(&mut self) {
        if let Err(failure) = self.memory.room.settle(&self.connection) {
            warn!(%failure, "more is noted of what accounts have stored than they have");
        }
    }

    /// Makes SQLite's log as long as it gets. A commit takes four times as long while the log has to grow, because
    /// it waits for the file system's own journal, and a log grows until its first checkpoint.
    pub(super) fn stretch_log(&self) {
        // A small cache sends the pages to the log instead of keeping them in memory; then everything is rolled
        // back.
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
                // If the transaction could not begin, the writes that were not tried are answered as well.
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
            self.outcomes.send(written.appended);
        }
        if !self.health.has_given_up()
            && let Err(failure) = self.log.after_commit(&self.connection)
        {
            self.health.not_copied(&failure);
        }
    }

    /// Makes all writes in one transaction. After a failure nothing more is written, but all callers are in
    /// `written` anyway.
    fn transact(&mut self, batch: &mut Vec<Write<T>>, written: &mut Written<T>) -> rusqlite::Result<()> {
        if self.memory.tails.len() >= TAILS {
            self.memory.tails.clear();
        }
        // Prepared statements, because rusqlite's own transactions are parsed each time.
        let connection = &self.connection;
        let run = |statement| connection.prepare_cached(statement)?.execute([]);
        if !connection.is_autocommit() {
            // An earlier transaction failed, and so did rolling it back.
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
            // The first failure says more than one here, which the next transaction notices anyway.
            let _ = run("ROLLBACK");
        }
        outcome
    }
}

impl<T> Written<T> {
    /// Adds the writes that were not made.
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

    /// Adds the outcome of a message. Fails if the database failed.
    fn add_message(
        &mut self,
        waiting: T,
        outcome: Result<Appended, Failure<AppendError>>,
    ) -> rusqlite::Result<()> {
        let (outcome, failed) = divide(outcome);
        self.appended.push((waiting, outcome));
        failed
    }

    /// Adds the outcome of another write. Fails if the database failed.
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
            // A caller that stopped waiting does not need the result.
            let _ = answer.send(committed.map_err(E::from).and(outcome));
        }));
    }

    /// Returns true if something was written and not only looked up.
    fn has_news(&self) -> bool {
        let fresh = |(_, outcome): &Outcome<T>| outcome.as_ref().is_ok_and(|appended| appended.fresh);
        self.has_others || self.appended.iter().any(fresh)
    }

    /// Replaces the outcomes of messages: a transaction that failed stored none of them.
    fn fail(&mut self, error: &WriteError) {
        self.appended.iter_mut().for_each(|(_, outcome)| *outcome = Err(error.clone().into()));
    }
}

/// Splits the result of one write into its own outcome and a failure of the database, which makes the outcome
/// meaningless.
fn divide<A, E: From<WriteError>>(outcome: Result<A, Failure<E>>) -> (Result<A, E>, rusqlite::Result<()>) {
    match outcome {
        Ok(done) => (Ok(done), Ok(())),
        Err(Failure::Refused(refusal)) => (Err(refusal), Ok(())),
        Err(Failure::Database(failure)) => (Err(WriteError::Closed.into()), Err(failure)),
    }
}

/// Appends messages until one fails.
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
    // Once for each conversation, however many messages it got.
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

/// Writes the database's version unchanged, so that its page goes to the disk.
fn touch(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    connection.pragma_update(None, "user_version", version)
}
