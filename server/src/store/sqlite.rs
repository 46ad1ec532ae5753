//! The SQLite backend: `DATA/chat.db` in WAL mode, with every commit on the disk before it is answered.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use parlour_protocol::ttp::Revocation;
use parlour_protocol::{ConversationHead, HistoryRange, RevokedDevice, UserName};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::opening::connect;
use super::survey::Survey;
use super::{
    Account, AddRevocationError, AuditError, Bounds, ConversationKey, CreateAccountError, Failure, Later,
    NewMessage, Outcomes, Page, ReadError, Statements, Store, WriteError, accounts, reader, revocations,
};
use crate::audit::Entry;
use crate::metrics::Commits;

pub use super::opening::OpenError;
pub use super::writer::{Answer, Write, Writer};

/// The number of threads that read.
const READERS: usize = 2;

/// The most writes, and the most reads, that are queued for their threads. Further callers wait for a place in the
/// queue.
const QUEUE: usize = 4_096;

/// A read, which answers its caller; `None` ends the thread.
type Read = Option<Box<dyn FnOnce(&Connection) + Send>>;

/// The store over one SQLite file.
pub struct SqliteStore<T> {
    writes: mpsc::Sender<Write<T>>,
    reads: mpsc::Sender<Read>,
    survey: Arc<Survey>,
    readers: Threads,
    writer: Threads,
}

/// Threads that have not been joined yet.
type Threads = Mutex<Vec<JoinHandle<()>>>;

impl<T: Send + 'static> SqliteStore<T> {
    /// Opens or creates the database file `path` and starts its threads. The store keeps within `bounds`, sends
    /// the outcomes of messages to `outcomes`, and counts `commits`.
    pub fn open(
        path: &Path,
        bounds: Bounds,
        outcomes: Outcomes<T>,
        commits: Commits,
    ) -> Result<Self, OpenError> {
        let mut writer = Writer::open(path, bounds, outcomes, commits)?;
        let failed = |reason: String| OpenError::Failed { path: path.to_owned(), reason };
        let (writes, mut write_queue) = mpsc::channel(QUEUE);
        let (reads, read_queue) = mpsc::channel(QUEUE);
        let survey = writer.survey();
        let write = move || {
            writer.stretch_log();
            writer.run(&mut write_queue);
            writer.settle();
        };
        let writer = thread("store-writer", write).map_err(&failed)?;
        let mut readers = Vec::new();
        let read_queue = Arc::new(Mutex::new(read_queue));
        for _ in 0..READERS {
            let connection = connect(path).map_err(|error| OpenError::new(path, &error))?;
            let queue = Arc::clone(&read_queue);
            readers.push(thread("store-reader", move || read(&connection, &queue)).map_err(&failed)?);
        }
        Ok(Self { writes, reads, survey, readers: Mutex::new(readers), writer: Mutex::new(vec![writer]) })
    }

    /// Writes everything that is queued and ends the threads. The store cannot be used afterwards.
    pub async fn close(&self) {
        // A send fails when the thread has ended already. The writer's connection closes last: SQLite copies the log
        // into the database and removes it when the last connection closes, and not when two close at once.
        for _ in 0..READERS {
            let _ = self.reads.send(None).await;
        }
        join(&self.readers).await;
        let _ = self.writes.send(Write::Stop).await;
        join(&self.writer).await;
    }

    fn reading<A: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<A, Failure<ReadError>> + Send + 'static,
    ) -> Later<'_, A, ReadError> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let read: Read = Some(Box::new(move |connection| {
                // A caller that stopped waiting does not need the answer.
                let _ = answer.send(work(connection));
            }));
            self.reads.send(read).await.map_err(|_| ReadError::Closed)?;
            answered.await.map_err(|_| ReadError::Closed)?.map_err(|failure| match failure {
                Failure::Refused(error) => error,
                Failure::Database(failure) => ReadError::Failed(failure.to_string()),
            })
        })
    }

    fn writing<E: From<WriteError> + Send + 'static>(
        &self,
        write: impl FnOnce(Answer<E>) -> Write<T> + Send + 'static,
    ) -> Later<'_, (), E> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.writes.send(write(answer)).await.map_err(|_| WriteError::Closed)?;
            answered.await.map_err(|_| WriteError::Closed)?
        })
    }
}

/// Waits until these threads have ended.
async fn join(threads: &Threads) {
    let threads = match threads.lock() {
        Ok(mut threads) => std::mem::take(&mut *threads),
        Err(_) => return,
    };
    let joined = tokio::task::spawn_blocking(move || {
        threads.into_iter().map(JoinHandle::join).filter(Result::is_err).count()
    });
    if joined.await.is_ok_and(|panicked| panicked > 0) {
        warn!("a thread of the store had panicked");
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, String> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(|error| error.to_string())
}

/// Reads one request after another; the threads take turns at waiting for the queue.
fn read(connection: &Connection, queue: &Mutex<mpsc::Receiver<Read>>) {
    loop {
        let next = match queue.lock() {
            Ok(mut queue) => queue.blocking_recv(),
            Err(_) => return,
        };
        match next {
            Some(Some(work)) => work(connection),
            Some(None) | None => return,
        }
    }
}

impl<T: Send + 'static> Store<T> for SqliteStore<T> {
    fn create_account(&self, account: Account, entry: Entry) -> Later<'_, (), CreateAccountError> {
        self.writing(|answer| Write::CreateAccount(Box::new((account, entry)), answer))
    }

    fn account(&self, name: UserName) -> Later<'_, Option<Account>, ReadError> {
        self.reading(move |connection| accounts::find(connection, &name))
    }

    fn append(&self, message: NewMessage, waiting: T) -> Later<'_, (), WriteError> {
        Box::pin(async move {
            let write = Write::Append(Box::new(message), waiting);
            self.writes.send(write).await.map_err(|_| WriteError::Closed)
        })
    }

    fn history(
        &self,
        conversation: ConversationKey,
        range: HistoryRange,
        limit: u16,
    ) -> Later<'_, Page, ReadError> {
        let survey = Arc::clone(&self.survey);
        self.reading(move |connection| reader::history(connection, &survey, &conversation, range, limit))
    }

    fn conversations(&self, user: UserName) -> Later<'_, Vec<ConversationHead>, ReadError> {
        let survey = Arc::clone(&self.survey);
        self.reading(move |connection| reader::conversations(connection, &survey, &user))
    }

    fn add_revocation(&self, revocation: Revocation, entry: Entry) -> Later<'_, (), AddRevocationError> {
        self.writing(|answer| Write::AddRevocation(Box::new((revocation, entry)), answer))
    }

    fn revoked_devices(&self, user: UserName) -> Later<'_, Vec<RevokedDevice>, ReadError> {
        let survey = Arc::clone(&self.survey);
        self.reading(move |connection| reader::revoked_devices(connection, &survey, &user))
    }

    fn statements(&self, after: u64) -> Later<'_, Statements, ReadError> {
        self.reading(move |connection| revocations::statements(connection, after))
    }

    fn newest_revocation(&self) -> Later<'_, u64, ReadError> {
        self.reading(reader::newest_revocation)
    }

    fn audit(&self, entries: Vec<Entry>) -> Later<'_, (), AuditError> {
        self.writing(|answer| Write::Audit(entries, answer))
    }

    fn probe(&self) -> Later<'_, (), WriteError> {
        self.writing(Write::Probe)
    }

    fn waiting(&self) -> usize {
        self.writes.max_capacity() - self.writes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{conformance, outcome_queue};
    use super::*;
    use crate::audit::Kind;
    use crate::store::{AppendError, AuditFile, AuditFilter, AuditRow, Retention, Verdict};

    const BOUNDS: Bounds = Bounds {
        account: 1 << 20,
        database: 1 << 30,
        free: 0,
        audit: Retention { days: 365, entries: 1_000_000 },
    };

    fn open(path: &Path) -> conformance::Opened<SqliteStore<conformance::Waiting>> {
        let (told, outcomes) = outcome_queue();
        (SqliteStore::open(path, BOUNDS, told, Commits::default()).unwrap(), outcomes)
    }

    #[tokio::test]
    async fn sqlite_keeps_every_promise_of_a_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db");
        conformance::all(|| open(&path), |store| async move { store.close().await }).await;
        // Each change left its entry, and requests that changed nothing left none.
        let file = AuditFile::open(&path).unwrap();
        let mut seen = Vec::new();
        let visit = |row: AuditRow| {
            seen.push((row.kind, row.detail));
            Ok(())
        };
        file.read(&AuditFilter::default(), visit).unwrap();
        let entry = |kind: Kind, detail: &str| (kind.to_string(), detail.to_owned());
        let registered = [entry(Kind::Registration, ""), entry(Kind::Registration, "the same request again")];
        let others = [
            entry(Kind::Registration, ""),
            entry(Kind::RateLimit, "no room for more messages"),
            entry(Kind::DeviceRevoked, ""),
        ];
        assert_eq!(seen, [registered.as_slice(), &registered, &others].concat());
        assert!(matches!(file.verify().unwrap(), Verdict::Sound { entries: 7, .. }));
    }

    #[tokio::test]
    async fn databases_of_older_versions_are_brought_up_to_date_with_every_message_intact() {
        let dumps = [
            (include_str!("fixtures/version1.sql"), 0),
            (include_str!("fixtures/version2.sql"), 0),
            (include_str!("fixtures/version3.sql"), 2),
            (include_str!("fixtures/version4.sql"), 4),
            (include_str!("fixtures/version5.sql"), 4),
        ];
        for (dump, audited) in dumps {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("chat.db");
            Connection::open(&path).unwrap().execute_batch(dump).unwrap();
            let (store, mut outcomes) = open(&path);
            let (sam, erik) = (conformance::name("sam"), conformance::name("erik"));
            let heads = store.conversations(sam.clone()).await.unwrap();
            let mut counts = Vec::new();
            for head in heads {
                let key = ConversationKey::seen_by(&sam, &head.name);
                let page = store.history(key, HistoryRange::Newest, 100).await.unwrap();
                assert_eq!(page.messages.len() as u64, head.last);
                counts.push((head.name.to_string(), head.last));
            }
            let expected = [("#lobby", 3), ("@erik", 2), ("@sam", 1)];
            assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)));
            let [revoked] = store.revoked_devices(sam.clone()).await.unwrap().try_into().unwrap();
            // Its statement comes when the TTP sends the revocation again.
            assert_eq!(store.statements(0).await.unwrap(), Statements::default());
            let again = Revocation {
                number: 1,
                name: sam,
                device: revoked.device,
                time: revoked.time,
                statement: Some("a.b.c".to_owned()),
            };
            store.add_revocation(again, conformance::entry(Kind::DeviceRevoked, 5)).await.unwrap();
            assert_eq!(store.statements(0).await.unwrap().statements, ["a.b.c"]);
            assert!(store.account(erik).await.unwrap().is_some());
            // The store can still be used.
            let kept = conformance::append(&store, &mut outcomes, conformance::public("erik", 9, "on")).await;
            assert_eq!(kept.unwrap().message.seq, 4);
            store.audit(vec![conformance::entry(Kind::Started, 5)]).await.unwrap();
            store.close().await;
            let verdict = AuditFile::open(&path).unwrap().verify().unwrap();
            assert!(matches!(verdict, Verdict::Sound { entries, .. } if entries == audited + 1));
            // Earlier messages count too, to the byte.
            let counted = "SELECT group_concat(user || ' ' || bytes, ', ' ORDER BY user) FROM stored";
            let counted = Connection::open(&path).unwrap().query_row(counted, [], |row| row.get(0));
            assert_eq!(counted, Ok("erik 3875, sam 7278".to_owned()));
        }
    }

    #[tokio::test]
    async fn a_changed_row_is_noticed_and_not_served() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db");
        let (store, mut outcomes) = open(&path);
        conformance::fill(&store, &mut outcomes, 5).await;
        store.close().await;
        let changed = Connection::open(&path).unwrap();
        changed.execute("UPDATE messages SET text = 'forged' WHERE seq = 3", []).unwrap();
        drop(changed);
        let (store, _outcomes) = open(&path);
        let lobby = conformance::lobby();
        let damaged = store.history(lobby.clone(), HistoryRange::Newest, 100).await;
        assert!(matches!(damaged, Err(ReadError::Damaged(_))));
        let sound = store.history(lobby, HistoryRange::Newest, 2).await.unwrap();
        assert_eq!(sound.messages.len(), 2);
        store.close().await;
    }

    #[tokio::test]
    async fn a_direct_conversation_in_which_nothing_was_said_is_not_listed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db");
        let (store, mut outcomes) = open(&path);
        conformance::fill(&store, &mut outcomes, 1).await;
        store.close().await;
        // Earlier versions left such a row when an id was used again for a new recipient.
        let empty = "INSERT INTO conversations VALUES (7, '@sam@sam', 0, 0, zeroblob(32));
                     INSERT INTO members VALUES ('sam', 7)";
        Connection::open(&path).unwrap().execute_batch(empty).unwrap();
        let (store, mut outcomes) = open(&path);
        let sam = conformance::name("sam");
        assert_eq!(store.conversations(sam.clone()).await.unwrap().len(), 1);
        conformance::append(&store, &mut outcomes, conformance::sealed("sam", "sam")).await.unwrap();
        assert_eq!(store.conversations(sam.clone()).await.unwrap().len(), 2);
        store.close().await;
        // A conversation with messages is listed, even if its own row says that it has none.
        let forged = "UPDATE conversations SET last_seq = 0, last_hash = zeroblob(32) WHERE id = 7";
        Connection::open(&path).unwrap().execute_batch(forged).unwrap();
        let (store, _outcomes) = open(&path);
        assert_eq!(store.conversations(sam).await.unwrap().len(), 2);
        store.close().await;
    }

    #[tokio::test]
    async fn a_probe_is_really_written_and_failed_writes_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db");
        let (told, mut outcomes) = outcome_queue();
        let commits = Commits::default();
        let store = SqliteStore::open(&path, BOUNDS, told, commits.clone()).unwrap();
        conformance::fill(&store, &mut outcomes, 1).await;
        let beside = Connection::open(&path).unwrap();
        // SQLite's count of the commits by others since this connection was opened.
        let changes = || beside.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0)).unwrap();
        let before = changes();
        store.probe().await.unwrap();
        assert_ne!(changes(), before);
        beside
            .execute_batch(
                "CREATE TRIGGER full BEFORE INSERT ON messages BEGIN SELECT RAISE(ABORT, 'full'); END",
            )
            .unwrap();
        let refused = conformance::append(&store, &mut outcomes, conformance::public("sam", 2, "lost")).await;
        assert!(matches!(refused, Err(AppendError::Write(WriteError::Failed(_)))));
        assert_eq!(commits.failures.get(), 1);
        store.probe().await.unwrap();
        store.close().await;
        assert_eq!(store.probe().await, Err(WriteError::Closed));
    }

    #[tokio::test]
    async fn a_database_of_a_newer_version_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(
            SqliteStore::<()>::open(&path, BOUNDS, outcome_queue().0, Commits::default()),
            Err(OpenError::Newer { found: 99, .. })
        ));
    }
}
