//! The gate counts connections, by address and in all, and refuses those above the limits. A new guest is never
//! refused: the guest who has been silent longest makes room, so idle guests keep nobody out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parlour_protocol::{Farewell, Limits};
use thiserror::Error;

use crate::delivery::peer::Peer;
use crate::edge::handshakes::{Handshakes, Underway};
use crate::metrics::Bound;
use crate::network::network;

/// Counts connections, and refuses above the limits.
pub struct Gate {
    limits: Arc<Limits>,
    counts: Mutex<Counts>,
    handshakes: Arc<Handshakes>,
}

#[derive(Default)]
struct Counts {
    all: u64,
    guests: u64,
    by_address: HashMap<IpAddr, Address>,
}

#[derive(Default)]
struct Address {
    connections: u64,
    guests: Vec<Arc<Peer>>,
    /// Those that came with a certificate and had not logged in when this was last looked at.
    unproven: Vec<Arc<Peer>>,
}

impl Address {
    /// Ends the oldest of those with a certificate that have not logged in; false when there are none.
    fn dismiss_unproven(&mut self) -> bool {
        self.unproven.retain(|peer| !peer.is_logged_in());
        let places = self.unproven.iter().enumerate();
        let Some((oldest, _)) = places.min_by_key(|(_, peer)| peer.id) else { return false };
        self.unproven.swap_remove(oldest).dismiss(Farewell::TooManyConnections);
        true
    }

    /// Takes out the guest with this number, if it is here.
    fn remove_guest(&mut self, id: u64) -> Option<Arc<Peer>> {
        let place = self.guests.iter().position(|peer| peer.id == id)?;
        Some(self.guests.swap_remove(place))
    }
}

impl Counts {
    /// Ends the session of the guest who has been silent longest, among those from `address` or among all, and frees
    /// its place.
    fn dismiss_silent_guest(&mut self, address: Option<IpAddr>) {
        let from = |entry: &IpAddr| address.is_none_or(|address| address == *entry);
        let silent = self
            .by_address
            .iter()
            .filter(|(entry, _)| from(entry))
            .flat_map(|(entry, address)| address.guests.iter().map(|peer| (*entry, peer)))
            .max_by_key(|(_, peer)| peer.silence())
            .map(|(entry, peer)| (entry, peer.id));
        let Some((entry, id)) = silent else { return };
        if let Some(peer) = self.by_address.get_mut(&entry).and_then(|address| address.remove_guest(id)) {
            self.guests = self.guests.saturating_sub(1);
            peer.dismiss(Farewell::TooManyConnections);
        }
    }
}

impl Gate {
    /// A gate with these limits.
    pub fn new(limits: Arc<Limits>) -> Self {
        Self { counts: Mutex::default(), handshakes: Arc::default(), limits }
    }

    /// Counts a connection, or returns the limit that keeps it out. At a limit the oldest connection that is still in
    /// its handshake makes room, or of one address the oldest that has not logged in with its certificate; it ends a
    /// moment later.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Pass, Full> {
        let address = network(address);
        let mut counts = self.counts();
        let from_address = counts.by_address.get(&address).map_or(0, |entry| entry.connections);
        if from_address >= self.limits.connections_per_address {
            let mut unproven = || counts.by_address.get_mut(&address).is_some_and(Address::dismiss_unproven);
            if !self.handshakes.end_oldest_from(address) && !unproven() {
                return Err(Full::FromAddress);
            }
        } else if counts.all >= self.limits.connections && !self.handshakes.end_oldest() {
            return Err(Full::InAll);
        }
        counts.by_address.entry(address).or_default().connections += 1;
        counts.all += 1;
        Ok(Pass { gate: Arc::clone(self), address, guest: None, unproven: None })
    }

    /// The number of connections.
    pub fn connections(&self) -> u64 {
        self.counts().all
    }

    /// Handshakes that have begun and not ended.
    pub fn handshakes_under_way(&self) -> u64 {
        self.handshakes.count() as u64
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // After a panic the numbers may be slightly wrong, which is better than refusing everyone.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The limit that is reached: a connection is refused, or a guest makes room for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Full {
    /// The limit of all connections.
    #[error("too many connections")]
    InAll,
    /// The limit of connections from one address.
    #[error("too many connections from this address")]
    FromAddress,
    /// The limit of all guests.
    #[error("too many guests")]
    Guests,
    /// The limit of guests from one address.
    #[error("too many guests from this address")]
    GuestsFromAddress,
}

impl From<Full> for Bound {
    fn from(full: Full) -> Self {
        match full {
            Full::InAll => Self::Connections,
            Full::FromAddress => Self::ConnectionsPerAddress,
            Full::Guests => Self::Guests,
            Full::GuestsFromAddress => Self::GuestsPerAddress,
        }
    }
}

/// A connection's place. Dropping it frees the place.
pub struct Pass {
    gate: Arc<Gate>,
    address: IpAddr,
    /// The number of the guest's session.
    guest: Option<u64>,
    /// The number of the session that came with a certificate.
    unproven: Option<u64>,
}

impl Pass {
    /// A place for the TLS handshake of this connection.
    pub fn handshake(&self) -> Underway {
        self.gate.handshakes.begin(self.address, self.gate.limits.handshakes)
    }

    /// Notes that the connection came with a certificate. Until it logs in, it makes room for others of its address.
    pub fn expect_login(&mut self, peer: &Arc<Peer>) {
        self.gate.counts().by_address.entry(self.address).or_default().unproven.push(Arc::clone(peer));
        self.unproven = Some(peer.id);
    }

    /// Counts the connection as a guest's. At a limit the guest who has been silent longest makes room, and the limit
    /// is returned.
    pub fn become_guest(&mut self, peer: &Arc<Peer>) -> Option<Full> {
        let limits = &self.gate.limits;
        let mut counts = self.gate.counts();
        let from_address = counts.by_address.get(&self.address).map_or(0, |entry| entry.guests.len() as u64);
        let full = if from_address >= limits.guests_per_address {
            counts.dismiss_silent_guest(Some(self.address));
            Some(Full::GuestsFromAddress)
        } else if counts.guests >= limits.guests {
            counts.dismiss_silent_guest(None);
            Some(Full::Guests)
        } else {
            None
        };
        counts.by_address.entry(self.address).or_default().guests.push(Arc::clone(peer));
        counts.guests += 1;
        self.guest = Some(peer.id);
        full
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut counts = self.gate.counts();
        counts.all = counts.all.saturating_sub(1);
        let Some(entry) = counts.by_address.get_mut(&self.address) else { return };
        entry.connections = entry.connections.saturating_sub(1);
        entry.unproven.retain(|peer| Some(peer.id) != self.unproven);
        // A guest who made room for another is no longer in the list.
        let was_guest = self.guest.is_some_and(|id| entry.remove_guest(id).is_some());
        if entry.connections == 0 {
            counts.by_address.remove(&self.address);
        }
        if was_guest {
            counts.guests = counts.guests.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::outbox::Closing;

    fn gate(assignments: &[&str]) -> Arc<Gate> {
        let mut limits = Limits::default();
        for assignment in assignments {
            limits.set(assignment).unwrap();
        }
        Arc::new(Gate::new(Arc::new(limits)))
    }

    fn here() -> IpAddr {
        "127.0.0.1".parse().unwrap()
    }

    #[test]
    fn connections_are_bounded_by_address_and_in_all() {
        let gate = gate(&["connections=3", "connections_per_address=2"]);
        let first = gate.enter(here()).unwrap();
        let _second = gate.enter(here()).unwrap();
        assert_eq!(gate.enter(here()).err(), Some(Full::FromAddress));
        let _other = gate.enter("10.0.0.1".parse().unwrap()).unwrap();
        assert_eq!(gate.enter("10.0.0.2".parse().unwrap()).err(), Some(Full::InAll));
        drop(first);
        assert!(gate.enter(here()).is_ok());
    }

    #[test]
    fn one_network_of_ipv6_counts_as_one_address() {
        let gate = gate(&["connections_per_address=1"]);
        let _pass = gate.enter("2001:db8::1".parse().unwrap()).unwrap();
        assert!(gate.enter("2001:db8::2".parse().unwrap()).is_err());
        assert!(gate.enter("2001:db8:0:1::1".parse().unwrap()).is_ok());
    }

    /// A guest who comes a moment after the one before.
    fn guest(id: u64) -> Arc<Peer> {
        let peer = Arc::new(Peer::new(id, 1_000_000, None));
        std::thread::sleep(std::time::Duration::from_millis(5));
        peer
    }

    fn is_dismissed(peer: &Peer) -> bool {
        peer.outbox.closing() == Some(Closing::Said(Farewell::TooManyConnections))
    }

    #[test]
    fn the_guest_who_was_silent_longest_makes_room_for_the_next_from_the_address() {
        let gate = gate(&["guests_per_address=2"]);
        let mut passes: Vec<Pass> = (0..4).map(|_| gate.enter(here()).unwrap()).collect();
        let [first, second, third, fourth] = [1, 2, 3, 4].map(guest);
        let mut other = gate.enter("10.0.0.1".parse().unwrap()).unwrap();
        assert_eq!(other.become_guest(&guest(5)), None);
        assert_eq!(passes[0].become_guest(&first), None);
        assert_eq!(passes[1].become_guest(&second), None);
        first.hear();
        assert_eq!(passes[2].become_guest(&third), Some(Full::GuestsFromAddress));
        assert_eq!([&first, &second, &third].map(|peer| is_dismissed(peer)), [false, true, false]);
        // Its place is freed only once: a fourth guest has no place until another one leaves.
        drop(passes.remove(1));
        assert_eq!(gate.counts().guests, 3);
        drop(passes.remove(0));
        assert_eq!(passes[1].become_guest(&fourth), None);
        drop((passes, other));
        assert_eq!(gate.counts().guests, 0);
        assert!(gate.counts().by_address.is_empty());
    }

    #[test]
    fn the_guest_who_was_silent_longest_of_all_makes_room_when_there_are_too_many_in_all() {
        let gate = gate(&["guests=1"]);
        let mut first = gate.enter(here()).unwrap();
        let mut second = gate.enter("10.0.0.1".parse().unwrap()).unwrap();
        let (one, two) = (guest(1), guest(2));
        assert_eq!(first.become_guest(&one), None);
        assert_eq!(second.become_guest(&two), Some(Full::Guests));
        assert_eq!([&one, &two].map(|peer| is_dismissed(peer)), [true, false]);
        drop((first, second));
        assert_eq!(gate.counts().guests, 0);
    }

    #[test]
    fn an_unfinished_handshake_makes_room_for_the_next_connection() {
        let gate = gate(&["connections=2", "connections_per_address=1"]);
        let idle = gate.enter(here()).unwrap();
        let slow = idle.handshake();
        // From the same address, and from another one when there is room for no more.
        let _same = gate.enter(here()).unwrap();
        assert_eq!(gate.enter(here()).err(), Some(Full::FromAddress));
        drop((slow, idle));
        let other = gate.enter("10.0.0.1".parse().unwrap()).unwrap();
        let _slow = other.handshake();
        let _third = gate.enter("10.0.0.2".parse().unwrap()).unwrap();
        assert_eq!(gate.enter("10.0.0.3".parse().unwrap()).err(), Some(Full::InAll));
    }
}
