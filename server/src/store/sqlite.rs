//! The SQLite backend: `DATA/chat.db` in WAL mode, every commit on disk before it counts.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use parlour_protocol::authority::Revocation;
use parlour_protocol::{ConversationHead, HistoryRange, RevokedDevice, UserName};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::opening::connect;
use super::survey::Survey;
use super::{
    Account, ConversationKey, Later, NewMessage, Outcomes, Page, Retention, Store, StoreError, accounts,
    reader,
};
use crate::audit::Entry;

pub use super::opening::OpenError;
pub use super::writer::{Answer, Write, Writer};

/// Threads that read.
const READERS: usize = 2;

/// Writes and reads that may wait for their thread; further ones wait for a place in the queue.
const QUEUE: usize = 4_096;

/// Something to read, with where to; `None` ends the thread.
type Read = Option<Box<dyn FnOnce(&Connection) + Send>>;

/// The store over one SQLite file.
pub struct SqliteStore<T> {
    writes: mpsc::Sender<Write<T>>,
    reads: mpsc::Sender<Read>,
    survey: Arc<Survey>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<T: Send + 'static> SqliteStore<T> {
    /// Opens or makes the database file `path` and starts its threads. Of the audit log so much is kept as
    /// `retention` says; what becomes of appends is told to `outcomes`.
    pub fn open(path: &Path, retention: Retention, outcomes: Outcomes<T>) -> Result<Self, OpenError> {
        let mut writer = Writer::open(path, retention, outcomes)?;
        let failed = |reason: String| OpenError::Failed { path: path.to_owned(), reason };
        let (writes, mut write_queue) = mpsc::channel(QUEUE);
        let (reads, read_queue) = mpsc::channel(QUEUE);
        let mut threads = Vec::new();
        let survey = writer.survey();
        let write = move || {
            writer.stretch_log();
            writer.run(&mut write_queue);
        };
        threads.push(thread("store-writer", write).map_err(&failed)?);
        let read_queue = Arc::new(Mutex::new(read_queue));
        for _ in 0..READERS {
            let connection = connect(path).map_err(|error| OpenError::new(path, &error))?;
            let queue = Arc::clone(&read_queue);
            threads.push(thread("store-reader", move || read(&connection, &queue)).map_err(&failed)?);
        }
        Ok(Self { writes, reads, survey, threads: Mutex::new(threads) })
    }

    /// Writes what is queued and ends the threads. Nothing can be kept or read afterwards.
    pub async fn close(&self) {
        // A failing send means that the thread has ended already.
        let _ = self.writes.send(Write::Stop).await;
        for _ in 0..READERS {
            let _ = self.reads.send(None).await;
        }
        let threads = match self.threads.lock() {
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

    fn reading<A: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<A, StoreError> + Send + 'static,
    ) -> Later<'_, A> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let read: Read = Some(Box::new(move |connection| {
                // Who does not wait any more does not need the answer.
                let _ = answer.send(work(connection));
            }));
            self.reads.send(read).await.map_err(|_| StoreError::Closed)?;
            answered.await.map_err(|_| StoreError::Closed)?
        })
    }

    fn writing(&self, write: impl FnOnce(Answer) -> Write<T> + Send + 'static) -> Later<'_, ()> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.writes.send(write(answer)).await.map_err(|_| StoreError::Closed)?;
            answered.await.map_err(|_| StoreError::Closed)?
        })
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, String> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(|error| error.to_string())
}

/// Reads one after the other; the threads take turns at waiting for the queue.
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
    fn create_account(&self, account: Account, entry: Entry) -> Later<'_, ()> {
        self.writing(|answer| Write::CreateAccount(Box::new((account, entry)), answer))
    }

    fn account(&self, name: UserName) -> Later<'_, Option<Account>> {
        self.reading(move |connection| accounts::find(connection, &name))
    }

    fn append(&self, message: NewMessage, waiting: T) -> Later<'_, ()> {
        Box::pin(async move {
            let write = Write::Append(Box::new(message), waiting);
            self.writes.send(write).await.map_err(|_| StoreError::Closed)
        })
    }

    fn history(&self, conversation: ConversationKey, range: HistoryRange, limit: u16) -> Later<'_, Page> {
        let survey = Arc::clone(&self.survey);
        self.reading(move |connection| reader::history(connection, &survey, &conversation, range, limit))
    }

    fn conversations(&self, user: UserName) -> Later<'_, Vec<ConversationHead>> {
        let survey = Arc::clone(&self.survey);
        self.reading(move |connection| reader::conversations(connection, &survey, &user))
    }

    fn add_revocation(&self, revocation: Revocation, entry: Entry) -> Later<'_, ()> {
        self.writing(|answer| Write::AddRevocation(Box::new((revocation, entry)), answer))
    }

    fn revoked_devices(&self, user: UserName) -> Later<'_, Vec<RevokedDevice>> {
        let survey = Arc::clone(&self.survey);
        self.reading(move |connection| reader::revoked_devices(connection, &survey, &user))
    }

    fn newest_revocation(&self) -> Later<'_, u64> {
        self.reading(reader::newest_revocation)
    }

    fn audit(&self, entries: Vec<Entry>) -> Later<'_, ()> {
        self.writing(|answer| Write::Audit(entries, answer))
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance;
    use super::*;
    use crate::audit::Kind;
    use crate::store::{AuditFile, AuditRow, Verdict, Wanted};

    const KEPT: Retention = Retention { days: 365, entries: 1_000_000 };

    fn open(path: &Path) -> conformance::Opened<SqliteStore<conformance::Waiting>> {
        let (told, outcomes) = mpsc::unbounded_channel();
        (SqliteStore::open(path, KEPT, told).unwrap(), outcomes)
    }

    #[tokio::test]
    async fn sqlite_keeps_every_promise_of_a_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db");
        conformance::all(|| open(&path), |store| async move { store.close().await }).await;
        // Each change left its entry, and what changed nothing left none.
        let file = AuditFile::open(&path).unwrap();
        let mut seen = Vec::new();
        let visit = |row: AuditRow| {
            seen.push((row.kind, row.detail));
            Ok(())
        };
        file.read(&Wanted::default(), visit).unwrap();
        let entry = |kind: Kind, detail: &str| (kind.to_string(), detail.to_owned());
        let registered = [entry(Kind::Registration, ""), entry(Kind::Registration, "the same request again")];
        assert_eq!(seen, [registered.as_slice(), &registered, &[entry(Kind::DeviceRevoked, "")]].concat());
        assert!(matches!(file.verify().unwrap(), Verdict::Sound { entries: 5, .. }));
    }

    #[tokio::test]
    async fn databases_of_older_versions_are_brought_up_to_date_with_every_message_intact() {
        for dump in [include_str!("fixtures/version1.sql"), include_str!("fixtures/version2.sql")] {
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
            assert_eq!(store.revoked_devices(sam).await.unwrap().len(), 1);
            assert!(store.account(erik).await.unwrap().is_some());
            // And it goes on.
            let kept = conformance::append(&store, &mut outcomes, conformance::public("erik", 9, "on")).await;
            assert_eq!(kept.unwrap().message.seq, 4);
            store.audit(vec![conformance::entry(Kind::Started, 5)]).await.unwrap();
            store.close().await;
            let verdict = AuditFile::open(&path).unwrap().verify().unwrap();
            assert!(matches!(verdict, Verdict::Sound { entries: 1, .. }));
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
        assert!(matches!(damaged, Err(StoreError::Damaged(_))));
        let sound = store.history(lobby, HistoryRange::Newest, 2).await.unwrap();
        assert_eq!(sound.messages.len(), 2);
        store.close().await;
    }

    #[tokio::test]
    async fn a_database_of_a_newer_version_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(
            SqliteStore::<()>::open(&path, KEPT, mpsc::unbounded_channel().0),
            Err(OpenError::Newer { found: 99, .. })
        ));
    }
}
