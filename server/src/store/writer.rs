//! The one thread that writes. It takes what has gathered, writes it in one transaction, and tells
//! everyone who waits once that is durable: group commit.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parlour_protocol::authority::Revocation;
use parlour_protocol::{Body, Conversation, Message, MessageId, SealedMessage, Seq, Timestamp, UserName};
use parlour_upkeep::{LogCopier, WriteFault};
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use super::audit::{AuditLog, append_with_change};
use super::chain::{GENESIS, Hash, link};
use super::health::Health;
use super::reader::hash_before;
use super::revocations::{self, Told};
use super::room::{Bounds, Full, Room};
use super::rows::{MESSAGE_COLUMNS, RawMessage, hash};
use super::survey::Survey;
use super::{Account, Appended, ConversationKey, NewMessage, Outcome, Outcomes, StoreError, accounts};
use crate::audit::{Entry, Kind, SecurityEvent};
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

/// The end of a conversation.
#[derive(Clone, Copy)]
struct Tail {
    id: i64,
    seq: Seq,
    time: Timestamp,
    hash: Hash,
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

/// What is known of the database without asking it.
struct Memory {
    tails: HashMap<ConversationKey, Tail>,
    room: Room,
    audit: AuditLog,
    survey: Arc<Survey>,
}

impl Memory {
    /// Forgets what may be ahead of the database.
    fn forget(&mut self) {
        self.tails.clear();
        self.room.forget();
        self.audit.forget();
    }
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
        let memory = Memory {
            tails: HashMap::new(),
            room: Room::new(bounds, path.parent().map(Path::to_owned)),
            audit: AuditLog::new(bounds.audit),
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
        // Too large for the page cache, so that it is written to the log; then as if it had not been.
        let stretched = self.connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; CREATE TABLE room (bytes BLOB); INSERT INTO room VALUES (zeroblob({LOG_BYTES})); ROLLBACK"
        ));
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

fn append(
    connection: &Connection,
    memory: &mut Memory,
    moved: &mut HashMap<i64, Tail>,
    new: NewMessage,
) -> rusqlite::Result<Result<Appended, StoreError>> {
    if let Err(full) = memory.room.for_message(connection, &new.from, &new.body)? {
        return without_room(connection, memory, &new, full);
    }
    let key = ConversationKey::seen_by(&new.from, &new.to);
    let tail = match memory.tails.get(&key) {
        Some(tail) => *tail,
        None => match load_tail(connection, &memory.survey, &key)? {
            Ok(tail) => tail,
            Err(damaged) => return Ok(Err(damaged)),
        },
    };
    let NewMessage { to, from, id, body, now } = new;
    let message = Message { to, from, seq: tail.seq + 1, id, time: now.max(tail.time), body };
    let next = Tail { id: tail.id, seq: message.seq, time: message.time, hash: link(&tail.hash, &message) };
    match insert(connection, &next, &message) {
        Ok(()) => {}
        Err(failure) if is_taken(&failure) => {
            memory.tails.insert(key.clone(), tail);
            // An id that its sender used before; anything else that is taken should not be.
            let taken = || StoreError::Damaged(format!("message {} of {key:?} is there already", next.seq));
            let Message { to, from, id, body, .. } = &message;
            return Ok(known_message(connection, from, to, *id, body)?.unwrap_or_else(|| Err(taken())));
        }
        Err(failure) => return Err(failure),
    }
    memory.room.charge(connection, &message.from, &message.body)?;
    memory.tails.insert(key, next);
    moved.insert(next.id, next);
    Ok(Ok(Appended { message, fresh: true }))
}

/// The answer to a message for which there is no room: one that was kept before needs none.
fn without_room(
    connection: &Connection,
    memory: &mut Memory,
    new: &NewMessage,
    full: Full,
) -> rusqlite::Result<Result<Appended, StoreError>> {
    if let Some(known) = known_message(connection, &new.from, &new.to, new.id, &new.body)? {
        return Ok(known);
    }
    if let Full::Account { first: true } = full {
        let event = SecurityEvent::new(Kind::RateLimit).of(&new.from).because("no room for more messages");
        append_with_change(&mut memory.audit, connection, &Entry { time: new.now, event, times: 1 })?;
    }
    Ok(Err(full.into()))
}

fn is_taken(failure: &rusqlite::Error) -> bool {
    failure.sqlite_error().is_some_and(|e| e.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE)
}

/// The answer for an id that its sender used before.
fn known_message(
    connection: &Connection,
    from: &UserName,
    to: &Conversation,
    id: MessageId,
    body: &Body,
) -> rusqlite::Result<Option<Result<Appended, StoreError>>> {
    let found = connection
        .prepare_cached(&format!("SELECT {MESSAGE_COLUMNS} FROM messages WHERE id = ?1 AND sender = ?2"))?
        .query_row(params![id.as_bytes(), from.as_str()], RawMessage::read)
        .optional()?;
    Ok(found.map(|raw| {
        let (message, _) = raw.parse()?;
        if message.to == *to && message.body == *body {
            Ok(Appended { message, fresh: false })
        } else {
            Err(StoreError::IdInUse)
        }
    }))
}

/// The end of a conversation; one in which nothing was said yet is made.
fn load_tail(
    connection: &Connection,
    survey: &Survey,
    key: &ConversationKey,
) -> rusqlite::Result<Result<Tail, StoreError>> {
    let name = key.stored_name();
    let found = connection
        .prepare_cached("SELECT id, last_seq, last_time, last_hash FROM conversations WHERE name = ?1")?
        .query_row([&name], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get::<_, Vec<u8>>(3)?))
        })
        .optional()?;
    if let Some((id, seq, time, bytes)) = found {
        let tail = hash(bytes).map(|hash| Tail { id, seq, time: Timestamp::from_millis(time), hash });
        let sound = tail.filter(|tail| hash_before(connection, id, tail.seq + 1).as_ref() == Ok(&tail.hash));
        let elsewhere = || StoreError::Damaged(format!("conversation {name} does not end at message {seq}"));
        return Ok(sound.ok_or_else(elsewhere));
    }
    if let Err(doubt) = survey.trust_absence() {
        return Ok(Err(doubt));
    }
    connection
        .prepare_cached(
            "INSERT INTO conversations (name, last_seq, last_time, last_hash) VALUES (?1, 0, 0, ?2)",
        )?
        .execute(params![name, GENESIS])?;
    let id = connection.last_insert_rowid();
    if let ConversationKey::Direct(one, two) = key {
        let mut insert = connection
            .prepare_cached("INSERT OR IGNORE INTO members (user, conversation) VALUES (?1, ?2)")?;
        insert.execute(params![one.as_str(), id])?;
        insert.execute(params![two.as_str(), id])?;
    }
    Ok(Ok(Tail { id, seq: 0, time: Timestamp::from_millis(0), hash: GENESIS }))
}

fn insert(connection: &Connection, tail: &Tail, message: &Message) -> rusqlite::Result<()> {
    let (text, sealed) = match &message.body {
        Body::Text(text) => (Some(text.as_str()), None),
        Body::Sealed(sealed) => (None, Some(sealed)),
    };
    connection
        .prepare_cached(
            "INSERT INTO messages (conversation, seq, id, sender, recipient, time, text, sealed, key1, key2, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            tail.id,
            message.seq,
            message.id.as_bytes(),
            message.from.as_str(),
            message.to.to_string(),
            message.time.as_millis(),
            text,
            sealed.map(SealedMessage::rest_json),
            sealed.map(|s| s.key1().json),
            sealed.map(|s| s.key2().json),
            tail.hash,
        ])?;
    Ok(())
}

/// Notes the new end of a conversation.
fn move_tail(connection: &Connection, tail: &Tail) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE conversations SET last_seq = ?2, last_time = ?3, last_hash = ?4 WHERE id = ?1",
        )?
        .execute(params![tail.id, tail.seq, tail.time.as_millis(), tail.hash])?;
    Ok(())
}

/// Writes the database's version as it is: the page on which it stands goes to the disk.
fn touch(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    connection.pragma_update(None, "user_version", version)
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
