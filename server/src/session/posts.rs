//! Messages of one session that are being stored: at most so many at a time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for messages that are being stored. A place is given back when its message is answered.
pub struct Posts {
    places: Arc<Semaphore>,
    most: u32,
}

impl Posts {
    /// All of `most` places are free.
    pub fn new(most: u64) -> Self {
        let places = usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(places)), most: u32::try_from(most).unwrap_or(u32::MAX) }
    }

    /// Returns whether the next message has to wait for a place.
    pub fn is_full(&self) -> bool {
        self.places.available_permits() == 0
    }

    /// Waits for a place. `None` never comes: nothing closes the semaphore.
    pub async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Waits until every message that is being stored has been answered.
    pub async fn settle(&self) {
        // With all places free, all were given back.
        drop(self.places.acquire_many(self.most).await);
    }
}
