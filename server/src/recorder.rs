//! Takes security events as they happen, and writes them to the audit log in the background.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::audit::{Entry, Repeats, SecurityEvent};
use crate::clock::Clock;
use crate::delivery::Posting;
use crate::metrics::Metrics;
use crate::store::{AuditError, Store, WriteError};

/// The time for which entries are collected before they are written together. A crash can lose this much of the log.
const GATHER: Duration = Duration::from_millis(50);

/// The time between two searches for repetitions whose minute is over.
const LOOK: Duration = Duration::from_secs(1);

/// The most entries that are kept while the disk does not accept them. Further ones are counted and lost.
const HELD: usize = 4_096;

/// Takes events from the whole server, without ever making the caller wait for the disk.
pub struct Recorder {
    store: Arc<dyn Store<Posting>>,
    clock: Clock,
    metrics: Arc<Metrics>,
    repeats: Mutex<Repeats>,
    news: Notify,
    /// Locked while entries are on their way to the store, so that they arrive in order. Holds those that could
    /// not be written yet.
    writing: tokio::sync::Mutex<Held>,
}

/// Entries that could not be written yet, and the number of those lost for lack of space.
#[derive(Default)]
struct Held {
    entries: Vec<Entry>,
    lost: usize,
}

impl Recorder {
    /// Makes a recorder that writes to this store.
    pub fn new(store: Arc<dyn Store<Posting>>, clock: Clock, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            clock,
            metrics,
            repeats: Mutex::default(),
            news: Notify::new(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// Records an event, which will be written soon.
    pub fn record(&self, event: SecurityEvent) {
        self.metrics.audit_events.count(event.kind);
        self.repeats().note(event, self.clock.now());
        self.news.notify_one();
    }

    /// Makes the entry for a change of the database, which is written together with that change. Events recorded
    /// before are written first.
    pub async fn entry(self: &Arc<Self>, event: SecurityEvent) -> Entry {
        self.metrics.audit_events.count(event.kind);
        let recorder = Arc::clone(self);
        // In a separate task: if the caller is cancelled, the waiting entries must not be lost.
        if tokio::spawn(async move { recorder.flush().await }).await.is_err() {
            error!("the task that writes the audit log has panicked");
        }
        Entry { time: self.clock.now(), event, times: 1 }
    }

    /// Writes the waiting entries, and returns when they are durable.
    async fn flush(&self) {
        let mut held = self.writing.lock().await;
        let entries = self.repeats().take(self.clock.now());
        self.write(&mut held, entries).await;
    }

    /// Keeps writing recorded events, until the server stops.
    pub async fn run(self: Arc<Self>, stopping: CancellationToken) {
        loop {
            tokio::select! {
                () = self.news.notified() => tokio::time::sleep(GATHER).await,
                () = tokio::time::sleep(LOOK) => {}
                () = stopping.cancelled() => return,
            }
            self.flush().await;
        }
    }

    /// Writes everything, including repetitions whose minute is not over.
    pub async fn close(&self) {
        let mut held = self.writing.lock().await;
        let entries = self.repeats().take_all();
        self.write(&mut held, entries).await;
        let count = held.entries.len() + held.lost;
        if count > 0 {
            error!(count, "entries of the audit log could not be written, and are lost");
        }
    }

    async fn write(&self, held: &mut Held, new: Vec<Entry>) {
        let mut entries = std::mem::take(&mut held.entries);
        entries.extend(new);
        if entries.is_empty() {
            return;
        }
        let count = entries.len();
        match self.store.audit(entries.clone()).await {
            Ok(()) => {
                if held.lost > 0 {
                    error!(
                        count = held.lost,
                        "entries of the audit log were lost while nothing could be stored"
                    );
                    held.lost = 0;
                }
            }
            // The writer has logged it. The entries are tried again with the next ones.
            Err(AuditError::Write(WriteError::NotWritten)) => {
                let lost = count.saturating_sub(HELD);
                self.metrics.audit_losses.inc_by(u64::try_from(lost).unwrap_or(u64::MAX));
                held.lost += lost;
                entries.truncate(HELD);
                held.entries = entries;
            }
            Err(failure) => {
                self.metrics.audit_losses.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
                error!(count, %failure, "entries of the audit log could not be written");
            }
        }
    }

    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
