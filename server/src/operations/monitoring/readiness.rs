//! Whether the server can do its work: it is not stopping, and its database takes writes and answers.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::session::services::Services;
use crate::store::StoreError;

/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// For how long what was found holds, so that nobody who asks often makes work for the disk.
const HOLDS: Duration = Duration::from_secs(1);

/// Looks, one at a time.
pub(super) struct Readiness {
    services: Arc<Services>,
    /// When was last looked at the database, and what was wrong.
    last: Mutex<Option<(Instant, Vec<String>)>>,
}

impl Readiness {
    pub(super) fn new(services: Arc<Services>) -> Self {
        Self { services, last: Mutex::default() }
    }

    /// Why it cannot; nothing when it can.
    pub(super) async fn reasons(&self) -> Vec<String> {
        let mut reasons = self.of_database().await;
        if self.services.stopping.is_cancelled() {
            reasons.insert(0, "the server is stopping".to_owned());
        }
        reasons
    }

    async fn of_database(&self) -> Vec<String> {
        let mut last = self.last.lock().await;
        if let Some((when, reasons)) = &*last
            && when.elapsed() < HOLDS
        {
            return reasons.clone();
        }
        let store = &self.services.store;
        let (writes, reads) = tokio::join!(
            in_time("the database takes no writes", store.probe()),
            in_time("the database does not answer", store.newest_revocation()),
        );
        let reasons: Vec<String> = writes.into_iter().chain(reads).collect();
        *last = Some((Instant::now(), reasons.clone()));
        reasons
    }
}

/// What is wrong, if it fails or takes too long.
async fn in_time<A>(what: &str, look: impl Future<Output = Result<A, StoreError>>) -> Option<String> {
    match timeout(PATIENCE, look).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(format!("{what}: {error}")),
        Err(_) => Some(format!("{what}: nothing came back in {} seconds", PATIENCE.as_secs())),
    }
}
