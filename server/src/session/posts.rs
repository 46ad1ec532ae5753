//! The messages of one session that are being stored; their number is limited.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for messages that are being stored. A place is free again when its message is answered.
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

    /// Returns true if the next message has to wait for a place.
    pub fn is_full(&self) -> bool {
        self.places.available_permits() == 0
    }

    /// Waits for a place. Never `None`, because nothing closes the semaphore.
    pub async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Waits until every message that is being stored has been answered.
    pub async fn settle(&self) {
        // All places can be had only when all are free.
        drop(self.places.acquire_many(self.most).await);
    }
}
