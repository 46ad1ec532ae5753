//! Readiness: the server can do its work if it is not stopping, and its database takes writes and answers.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::session::services::Services;

/// The time that the database has to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The time for which a result is reused, so that frequent requests do not load the disk.
const HOLDS: Duration = Duration::from_secs(1);

/// Checks the database, one check at a time.
pub(super) struct Readiness {
    services: Arc<Services>,
    /// The time and the result of the last check.
    last: Mutex<Option<(Instant, Vec<String>)>>,
}

impl Readiness {
    pub(super) fn new(services: Arc<Services>) -> Self {
        Self { services, last: Mutex::default() }
    }

    /// The reasons why the server is not ready; none if it is.
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

/// Describes the fault if `look` fails or takes too long.
async fn in_time<A, E: Display>(what: &str, look: impl Future<Output = Result<A, E>>) -> Option<String> {
    match timeout(PATIENCE, look).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(format!("{what}: {error}")),
        Err(_) => Some(format!("{what}: nothing came back in {} seconds", PATIENCE.as_secs())),
    }
}
