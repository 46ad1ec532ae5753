//! The bound on the bytes of messages that all sessions together may have on their way to the disk and from there to
//! the recipients.

use std::sync::Arc;

use parlour_protocol::{Body, Limits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::{Bound, Metrics};

/// Approximate bytes that a message takes besides its body.
const MESSAGE_BYTES: usize = 512;

/// Space for the messages of all sessions.
#[derive(Debug)]
pub struct InFlight {
    bytes: Arc<Semaphore>,
}

impl InFlight {
    /// The space that `limits` allow.
    pub fn new(limits: &Limits) -> Self {
        let bytes = usize::try_from(limits.posts_in_flight_bytes).unwrap_or(usize::MAX);
        Self { bytes: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))) }
    }

    /// Waits until there is space for a message, in the order in which sessions ask, and counts the waits in `metrics`.
    /// The space is taken until the result is dropped. Returns `None` when the program ends.
    pub async fn admit(&self, body: &Body, metrics: &Metrics) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(MESSAGE_BYTES + body.line_bytes()).unwrap_or(u32::MAX);
        if let Ok(room) = Arc::clone(&self.bytes).try_acquire_many_owned(bytes) {
            return Some(room);
        }
        metrics.limits.count(Bound::PostsInFlightBytes);
        Arc::clone(&self.bytes).acquire_many_owned(bytes).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use parlour_protocol::SafeText;

    use super::*;

    #[tokio::test]
    async fn a_session_waits_until_messages_of_others_are_gone() {
        let metrics = Metrics::default();
        let limits = Limits { posts_in_flight_bytes: 20_000, ..Limits::default() };
        let in_flight = InFlight::new(&limits);
        let body = Body::Text(SafeText::parse(&"x".repeat(8_192)).unwrap());
        let first = in_flight.admit(&body, &metrics).await.unwrap();
        let _second = in_flight.admit(&body, &metrics).await.unwrap();
        assert_eq!(metrics.limits.get(Bound::PostsInFlightBytes), 0);
        let mut third = Box::pin(in_flight.admit(&body, &metrics));
        let waited = tokio::time::timeout(std::time::Duration::from_millis(20), &mut third).await;
        assert!(waited.is_err());
        assert_eq!(metrics.limits.get(Bound::PostsInFlightBytes), 1);
        drop(first);
        assert!(third.await.is_some());
    }
}
