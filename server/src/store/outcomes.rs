//! The queue of outcomes of appends, from the store to the task that answers callers. Outcomes collect while that
//! task is busy, so that its next batch is as large as possible; and the store can wait until the task is idle.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::Outcome;

/// With this many outcomes waiting, no further transaction begins until some are taken.
const WAITING: usize = 1_024;

/// The store's end of the queue. After each commit the store adds everything that it made durable, in the order in
/// which messages were stored. The queue is bounded: when it is full the store waits, and so do its callers.
pub struct Outcomes<T>(Arc<Shared<T>>);

/// The end of the queue where outcomes are taken.
pub struct OutcomeQueue<T>(Arc<Shared<T>>);

/// Outcomes that were taken together. While this exists, they count as being delivered.
pub struct Batch<T> {
    /// In the order in which messages were stored.
    pub outcomes: Vec<Outcome<T>>,
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    /// Signalled when nothing is being delivered any more, or something was taken.
    progress: Condvar,
    /// Signalled when an outcome was added, or when no more will come.
    news: Notify,
}

struct State<T> {
    waiting: Vec<Outcome<T>>,
    /// True while a batch was taken and is not delivered yet.
    delivering: bool,
    /// True when one of the two ends is gone.
    ended: bool,
}

/// A queue of outcomes with its two ends.
pub fn outcome_queue<T>() -> (Outcomes<T>, OutcomeQueue<T>) {
    let state = State { waiting: Vec::new(), delivering: false, ended: false };
    let shared = Arc::new(Shared { state: Mutex::new(state), progress: Condvar::new(), news: Notify::new() });
    (Outcomes(Arc::clone(&shared)), OutcomeQueue(shared))
}

impl<T> Outcomes<T> {
    /// Adds outcomes. Blocks while the queue is full. Drops them if the other end is gone.
    pub fn send(&self, outcomes: Vec<Outcome<T>>) {
        let full = |state: &mut State<T>| state.waiting.len() >= WAITING && !state.ended;
        let state = self.0.progress.wait_while(self.0.state(), full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.ended {
            return;
        }
        if state.waiting.is_empty() {
            state.waiting = outcomes;
        } else {
            state.waiting.extend(outcomes);
        }
        drop(state);
        self.0.news.notify_one();
    }

    /// Blocks until everything was delivered, or until `deadline`.
    pub fn wait_until_delivered(&self, deadline: Instant) {
        let busy = |state: &mut State<T>| (state.delivering || !state.waiting.is_empty()) && !state.ended;
        let left = deadline.saturating_duration_since(Instant::now());
        if left > Duration::ZERO {
            // The result is the same if time ran out.
            drop(self.0.progress.wait_timeout_while(self.0.state(), left, busy));
        }
    }
}

impl<T> OutcomeQueue<T> {
    /// Waits for outcomes and takes all of them; `None` when no more will come.
    pub async fn next(&mut self) -> Option<Batch<T>> {
        loop {
            if let Some(batch) = self.try_next() {
                return Some(batch);
            }
            if self.0.state().ended {
                // Outcomes that were added between the two checks.
                return self.try_next();
            }
            self.0.news.notified().await;
        }
    }

    /// Takes all waiting outcomes; `None` when there are none.
    pub fn try_next(&mut self) -> Option<Batch<T>> {
        let mut state = self.0.state();
        if state.waiting.is_empty() {
            return None;
        }
        let outcomes = std::mem::take(&mut state.waiting);
        state.delivering = true;
        drop(state);
        self.0.progress.notify_all();
        Some(Batch { outcomes, shared: Arc::clone(&self.0) })
    }
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.state().ended = true;
        self.progress.notify_all();
        self.news.notify_one();
    }
}

impl<T> Drop for Outcomes<T> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<T> Drop for OutcomeQueue<T> {
    fn drop(&mut self) {
        self.0.end();
        // Callers who wait notice that there will be no answer.
        let waiting = std::mem::take(&mut self.0.state().waiting);
        drop(waiting);
    }
}

impl<T> Drop for Batch<T> {
    fn drop(&mut self) {
        self.shared.state().delivering = false;
        self.shared.progress.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(numbers: std::ops::Range<usize>) -> Vec<Outcome<usize>> {
        numbers.map(|number| (number, Err(super::super::AppendError::Full))).collect()
    }

    fn numbers(batch: &Batch<usize>) -> Vec<usize> {
        batch.outcomes.iter().map(|(number, _)| *number).collect()
    }

    #[tokio::test]
    async fn outcomes_gather_while_a_batch_is_being_delivered() {
        let (told, mut queue) = outcome_queue();
        told.send(batch(0..1));
        let first = queue.next().await.unwrap();
        told.send(batch(1..3));
        told.send(batch(3..4));
        assert_eq!(numbers(&first), [0]);
        drop(first);
        assert_eq!(numbers(&queue.next().await.unwrap()), [1, 2, 3]);
        assert!(queue.try_next().is_none());
    }

    #[tokio::test]
    async fn the_store_can_wait_until_everything_was_delivered_and_waits_no_longer_than_it_wants() {
        let (told, mut queue) = outcome_queue();
        let soon = || Instant::now() + Duration::from_millis(20);
        let late = || Instant::now() + Duration::from_mins(1);
        told.wait_until_delivered(late());
        told.send(batch(0..1));
        let begun = soon();
        told.wait_until_delivered(begun);
        assert!(Instant::now() >= begun, "not taken yet");
        let first = queue.next().await.unwrap();
        let begun = soon();
        told.wait_until_delivered(begun);
        assert!(Instant::now() >= begun, "being delivered");
        let waiting = tokio::task::spawn_blocking(move || told.wait_until_delivered(late()));
        drop(first);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn a_full_queue_makes_the_store_wait_until_something_is_taken() {
        let (told, mut queue) = outcome_queue();
        told.send(batch(0..WAITING));
        let (sent, is_sent) = std::sync::mpsc::channel();
        let sending = tokio::task::spawn_blocking(move || {
            told.send(batch(WAITING..WAITING + 1));
            sent.send(()).unwrap();
        });
        assert!(is_sent.recv_timeout(Duration::from_millis(20)).is_err());
        assert_eq!(queue.next().await.unwrap().outcomes.len(), WAITING);
        sending.await.unwrap();
        assert_eq!(numbers(&queue.next().await.unwrap()), [WAITING]);
        // And there are no more.
        assert!(queue.next().await.is_none());
    }

    #[test]
    fn a_store_that_nobody_listens_to_does_not_wait() {
        let (told, queue) = outcome_queue();
        told.send(batch(0..2 * WAITING));
        drop(queue);
        told.send(batch(0..1));
        told.wait_until_delivered(Instant::now() + Duration::from_mins(1));
    }
}
