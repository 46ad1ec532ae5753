//! The one thread that writes. It takes what has gathered, writes it in one transaction, and tells
//! everyone who waits once that is durable: group commit.

use std::collections::HashMap;

use parlour_protocol::authority::Revocation;
use parlour_protocol::{Body, Message, SealedMessage, Seq, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use super::chain::{GENESIS, Hash, link};
use super::rows::{MESSAGE_COLUMNS, RawMessage, hash};
use super::{Account, Appended, Completion, ConversationKey, NewMessage, StoreError};

/// The most writes in one transaction.
const BATCH: usize = 1_024;

/// How many conversations' ends are kept in memory before all are forgotten and read again.
const TAILS: usize = 100_000;

/// Something to write, with whom to tell.
pub(super) enum Write {
    Append(Box<NewMessage>, Completion),
    CreateAccount(Account, oneshot::Sender<Result<(), StoreError>>),
    AddRevocation(Revocation, oneshot::Sender<Result<(), StoreError>>),
    /// Write what came before this, then end.
    Stop,
}

/// What was written, with whom to tell once it is durable.
enum Written {
    Append(Result<Appended, StoreError>, Completion),
    Other(Result<(), StoreError>, oneshot::Sender<Result<(), StoreError>>),
}

/// An outcome on its way to the one who waits for it.
pub(super) type Told = (Result<Appended, StoreError>, Completion);

/// The end of a conversation.
#[derive(Clone, Copy)]
struct Tail {
    id: i64,
    seq: Seq,
    time: Timestamp,
    hash: Hash,
}

pub(super) struct Writer {
    connection: Connection,
    tails: HashMap<ConversationKey, Tail>,
    told: mpsc::UnboundedSender<Vec<Told>>,
}

impl Writer {
    /// A writer whose outcomes go to `told`, a batch after each commit.
    pub(super) fn new(connection: Connection, told: mpsc::UnboundedSender<Vec<Told>>) -> Self {
        Self { connection, tails: HashMap::new(), told }
    }

    /// Writes until nobody can ask any more. Blocks: has a thread of its own.
    pub(super) fn run(mut self, mut writes: mpsc::Receiver<Write>) {
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

    fn write(&mut self, batch: &mut Vec<Write>) {
        let mut written = Vec::with_capacity(batch.len());
        let committed = Self::transact(&mut self.connection, &mut self.tails, batch, &mut written);
        if let Err(failure) = committed {
            error!(%failure, "a transaction failed; nothing of it is confirmed");
            // What memory says may now be ahead of the database.
            self.tails.clear();
            let failed = StoreError::Failed("the transaction failed".to_owned());
            // What was not even tried, because the transaction could not begin, is told as well.
            written.extend(batch.drain(..).filter_map(Written::untried));
            for outcome in &mut written {
                outcome.fail(&failed);
            }
        }
        self.tell(written);
    }

    fn transact(
        connection: &mut Connection,
        tails: &mut HashMap<ConversationKey, Tail>,
        batch: &mut Vec<Write>,
        written: &mut Vec<Written>,
    ) -> rusqlite::Result<()> {
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut failure = None;
        // After a failure the rest is not written, but everyone who waits is still told.
        for write in batch.drain(..) {
            let mut attempt = |work: &mut dyn FnMut() -> rusqlite::Result<()>| {
                if failure.is_none() {
                    failure = work().err();
                }
            };
            match write {
                Write::Append(message, done) => {
                    let mut outcome = Err(StoreError::Closed);
                    attempt(&mut || append(&transaction, tails, &message).map(|o| outcome = o));
                    written.push(Written::Append(outcome, done));
                }
                Write::CreateAccount(account, done) => {
                    let mut outcome = Err(StoreError::Closed);
                    attempt(&mut || create_account(&transaction, &account).map(|o| outcome = o));
                    written.push(Written::Other(outcome, done));
                }
                Write::AddRevocation(revocation, done) => {
                    attempt(&mut || add_revocation(&transaction, &revocation));
                    written.push(Written::Other(Ok(()), done));
                }
                Write::Stop => {}
            }
        }
        match failure {
            Some(failure) => Err(failure),
            None => transaction.commit(),
        }
    }

    fn tell(&self, written: Vec<Written>) {
        let mut told = Vec::with_capacity(written.len());
        for outcome in written {
            match outcome {
                Written::Append(outcome, done) => told.push((outcome, done)),
                // Who does not wait any more does not need to know.
                Written::Other(outcome, done) => drop(done.send(outcome)),
            }
        }
        if !told.is_empty() {
            // Nobody listens only when the program is ending.
            let _ = self.told.send(told);
        }
    }
}

impl Written {
    fn untried(write: Write) -> Option<Self> {
        match write {
            Write::Append(_, done) => Some(Self::Append(Err(StoreError::Closed), done)),
            Write::CreateAccount(_, done) | Write::AddRevocation(_, done) => {
                Some(Self::Other(Err(StoreError::Closed), done))
            }
            Write::Stop => None,
        }
    }

    fn fail(&mut self, error: &StoreError) {
        match self {
            Self::Append(outcome, _) => *outcome = Err(error.clone()),
            Self::Other(outcome, _) => *outcome = Err(error.clone()),
        }
    }
}

fn append(
    transaction: &Transaction<'_>,
    tails: &mut HashMap<ConversationKey, Tail>,
    new: &NewMessage,
) -> rusqlite::Result<Result<Appended, StoreError>> {
    if let Some(known) = known_message(transaction, new)? {
        return Ok(known);
    }
    let key = ConversationKey::seen_by(&new.from, &new.to);
    if tails.len() >= TAILS {
        tails.clear();
    }
    let tail = match tails.get(&key) {
        Some(tail) => *tail,
        None => match load_tail(transaction, &key)? {
            Ok(tail) => tail,
            Err(damaged) => return Ok(Err(damaged)),
        },
    };
    let message = Message {
        to: new.to.clone(),
        from: new.from.clone(),
        seq: tail.seq + 1,
        id: new.id,
        time: new.now.max(tail.time),
        body: new.body.clone(),
    };
    let tail = Tail { id: tail.id, seq: message.seq, time: message.time, hash: link(&tail.hash, &message) };
    insert(transaction, &tail, &message)?;
    tails.insert(key, tail);
    Ok(Ok(Appended { message, fresh: true }))
}

/// The answer for an id that its sender used before.
fn known_message(
    transaction: &Transaction<'_>,
    new: &NewMessage,
) -> rusqlite::Result<Option<Result<Appended, StoreError>>> {
    let found = transaction
        .prepare_cached(&format!("SELECT {MESSAGE_COLUMNS} FROM messages WHERE sender = ?1 AND id = ?2"))?
        .query_row(params![new.from.as_str(), new.id.as_bytes()], RawMessage::read)
        .optional()?;
    Ok(found.map(|raw| {
        let (message, _) = raw.parse()?;
        if message.to == new.to && message.body == new.body {
            Ok(Appended { message, fresh: false })
        } else {
            Err(StoreError::IdInUse)
        }
    }))
}

/// The end of a conversation; one in which nothing was said yet is made.
fn load_tail(
    transaction: &Transaction<'_>,
    key: &ConversationKey,
) -> rusqlite::Result<Result<Tail, StoreError>> {
    let name = key.stored_name();
    let found = transaction
        .prepare_cached("SELECT id, last_seq, last_time, last_hash FROM conversations WHERE name = ?1")?
        .query_row([&name], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get::<_, Vec<u8>>(3)?))
        })
        .optional()?;
    if let Some((id, seq, time, bytes)) = found {
        let tail = hash(bytes).map(|hash| Tail { id, seq, time: Timestamp::from_millis(time), hash });
        return Ok(tail.ok_or_else(|| StoreError::Damaged(format!("conversation {name} has no hash"))));
    }
    transaction
        .prepare_cached(
            "INSERT INTO conversations (name, last_seq, last_time, last_hash) VALUES (?1, 0, 0, ?2)",
        )?
        .execute(params![name, GENESIS])?;
    let id = transaction.last_insert_rowid();
    if let ConversationKey::Direct(one, two) = key {
        let mut insert = transaction
            .prepare_cached("INSERT OR IGNORE INTO members (user, conversation) VALUES (?1, ?2)")?;
        insert.execute(params![one.as_str(), id])?;
        insert.execute(params![two.as_str(), id])?;
    }
    Ok(Ok(Tail { id, seq: 0, time: Timestamp::from_millis(0), hash: GENESIS }))
}

fn insert(transaction: &Transaction<'_>, tail: &Tail, message: &Message) -> rusqlite::Result<()> {
    let (text, sealed) = match &message.body {
        Body::Text(text) => (Some(text.as_str()), None),
        Body::Sealed(sealed) => (None, Some(sealed)),
    };
    transaction
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
    transaction
        .prepare_cached(
            "UPDATE conversations SET last_seq = ?2, last_time = ?3, last_hash = ?4 WHERE id = ?1",
        )?
        .execute(params![tail.id, message.seq, message.time.as_millis(), tail.hash])?;
    Ok(())
}

fn create_account(
    transaction: &Transaction<'_>,
    account: &Account,
) -> rusqlite::Result<Result<(), StoreError>> {
    let kept: Option<String> = transaction
        .prepare_cached("SELECT kid FROM accounts WHERE name = ?1")?
        .query_row([account.name.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(kid) = kept {
        return Ok(if kid == account.kid { Ok(()) } else { Err(StoreError::NameTaken) });
    }
    transaction
        .prepare_cached("INSERT INTO accounts (name, certificate, kid, created) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            account.name.as_str(),
            account.certificate,
            account.kid,
            account.created.as_millis()
        ])?;
    Ok(Ok(()))
}

fn add_revocation(transaction: &Transaction<'_>, revocation: &Revocation) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO revocations (number, name, device, time) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            revocation.number,
            revocation.name.as_str(),
            revocation.device.as_str(),
            revocation.time.as_millis()
        ])?;
    Ok(())
}
