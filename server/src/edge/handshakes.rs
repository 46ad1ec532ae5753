//! The TLS handshakes under way. Their number is bounded, and the oldest gives way to a new one. A client that begins
//! handshakes without finishing them loses only its own: an honest handshake takes a fraction of a second, so it does
//! not become the oldest.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// All handshakes that are under way.
#[derive(Default)]
pub struct Handshakes {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    /// Oldest first.
    by_age: BTreeMap<u64, (IpAddr, oneshot::Sender<()>)>,
    by_address: BTreeSet<(IpAddr, u64)>,
}

/// The place of one handshake. Dropping it frees the place.
pub struct Underway {
    all: Arc<Handshakes>,
    number: u64,
    ended: oneshot::Receiver<()>,
}

impl Handshakes {
    /// Takes a place for a handshake from `address`. If `most` are taken, the oldest handshake ends.
    pub fn begin(self: &Arc<Self>, address: IpAddr, most: u64) -> Underway {
        let (end, ended) = oneshot::channel();
        let mut state = self.state();
        if state.by_age.len() as u64 >= most {
            state.end_oldest();
        }
        let number = state.next;
        state.next += 1;
        state.by_age.insert(number, (address, end));
        state.by_address.insert((address, number));
        drop(state);
        Underway { all: Arc::clone(self), number, ended }
    }

    /// Ends the oldest handshake of all; false when none is under way.
    pub fn end_oldest(&self) -> bool {
        self.state().end_oldest()
    }

    /// Ends the oldest handshake from this address; false when none is under way.
    pub fn end_oldest_from(&self, address: IpAddr) -> bool {
        let mut state = self.state();
        let oldest = state.by_address.range((address, 0)..=(address, u64::MAX)).next().copied();
        oldest.is_some_and(|(_, number)| state.end(number))
    }

    /// The number of handshakes that are under way.
    pub fn count(&self) -> usize {
        self.state().by_age.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end_oldest(&mut self) -> bool {
        let oldest = self.by_age.first_key_value().map(|(number, _)| *number);
        oldest.is_some_and(|number| self.end(number))
    }

    fn end(&mut self, number: u64) -> bool {
        let Some((address, end)) = self.by_age.remove(&number) else { return false };
        self.by_address.remove(&(address, number));
        // It may just have ended by itself.
        let _ = end.send(());
        true
    }
}

impl Underway {
    /// Waits until this handshake has to give way to another.
    pub async fn ended(&mut self) {
        if (&mut self.ended).await.is_err() {
            // Its own drop frees its place.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.all.state().end(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    fn has_ended(underway: &mut Underway) -> bool {
        underway.ended.try_recv().is_ok()
    }

    #[test]
    fn the_oldest_gives_way_to_one_too_many() {
        let all = Arc::new(Handshakes::default());
        let mut first = all.begin(address(1), 2);
        let mut second = all.begin(address(1), 2);
        let mut third = all.begin(address(2), 2);
        assert_eq!([&mut first, &mut second, &mut third].map(has_ended), [true, false, false]);
        assert_eq!(all.count(), 2);
        drop((first, second, third));
        assert_eq!(all.count(), 0);
        assert!(!all.end_oldest());
    }

    #[test]
    fn the_oldest_of_an_address_is_ended_and_no_other() {
        let all = Arc::new(Handshakes::default());
        let mut other = all.begin(address(1), 10);
        let mut first = all.begin(address(2), 10);
        let mut second = all.begin(address(2), 10);
        assert!(all.end_oldest_from(address(2)));
        assert_eq!([&mut other, &mut first, &mut second].map(has_ended), [false, true, false]);
        drop(second);
        assert!(!all.end_oldest_from(address(2)));
        assert!(!all.end_oldest_from(address(3)));
        assert_eq!(all.count(), 1);
    }
}
