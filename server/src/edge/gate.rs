//! The gate counts connections, by address and in all, and refuses those above the limits.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parlour_protocol::Limits;
use thiserror::Error;

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
    guests: u64,
}

impl Gate {
    /// A gate that holds these limits.
    pub fn new(limits: Arc<Limits>) -> Self {
        Self { counts: Mutex::default(), handshakes: Arc::default(), limits }
    }

    /// Counts a connection in, or says of what there is too much. When there are as many as there may be,
    /// the oldest one that has not come through its handshake makes room; it goes a moment later.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Pass, Full> {
        let address = network(address);
        let mut counts = self.counts();
        let from_address = counts.by_address.get(&address).map_or(0, |entry| entry.connections);
        if from_address >= self.limits.connections_per_address {
            if !self.handshakes.end_oldest_from(address) {
                return Err(Full::FromAddress);
            }
        } else if counts.all >= self.limits.connections && !self.handshakes.end_oldest() {
            return Err(Full::InAll);
        }
        counts.by_address.entry(address).or_default().connections += 1;
        counts.all += 1;
        Ok(Pass { gate: Arc::clone(self), address, guest: false })
    }

    /// Connections that are in.
    pub fn connections(&self) -> u64 {
        self.counts().all
    }

    /// Handshakes that have begun and not ended.
    pub fn handshakes_under_way(&self) -> u64 {
        self.handshakes.count() as u64
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Numbers cannot be left half-changed in a way that matters more than refusing everyone.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a connection does not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Full {
    /// There are as many as there may be.
    #[error("too many connections")]
    InAll,
    /// Its address has as many as it may have.
    #[error("too many connections from this address")]
    FromAddress,
    /// There are as many guests as there may be.
    #[error("too many guests")]
    Guests,
    /// Its address has as many guests as it may have.
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

/// A connection's place. Dropping it gives the place back.
pub struct Pass {
    gate: Arc<Gate>,
    address: IpAddr,
    guest: bool,
}

impl Pass {
    /// A place for the TLS handshake of this connection.
    pub fn handshake(&self) -> Underway {
        self.gate.handshakes.begin(self.address, self.gate.limits.handshakes)
    }

    /// Counts the connection as a guest's, or says of what there is too much.
    pub fn become_guest(&mut self) -> Result<(), Full> {
        let limits = &self.gate.limits;
        let mut counts = self.gate.counts();
        if counts.guests >= limits.guests {
            return Err(Full::Guests);
        }
        let entry = counts.by_address.entry(self.address).or_default();
        if entry.guests >= limits.guests_per_address {
            return Err(Full::GuestsFromAddress);
        }
        entry.guests += 1;
        counts.guests += 1;
        drop(counts);
        self.guest = true;
        Ok(())
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut counts = self.gate.counts();
        counts.all = counts.all.saturating_sub(1);
        if self.guest {
            counts.guests = counts.guests.saturating_sub(1);
        }
        if let Some(entry) = counts.by_address.get_mut(&self.address) {
            entry.connections = entry.connections.saturating_sub(1);
            if self.guest {
                entry.guests = entry.guests.saturating_sub(1);
            }
            if entry.connections == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn guests_give_their_place_back() {
        let gate = gate(&["guests_per_address=1"]);
        let mut first = gate.enter(here()).unwrap();
        let mut second = gate.enter(here()).unwrap();
        assert_eq!(first.become_guest(), Ok(()));
        assert_eq!(second.become_guest(), Err(Full::GuestsFromAddress));
        drop(first);
        assert_eq!(second.become_guest(), Ok(()));
    }

    #[test]
    fn guests_are_bounded_in_all() {
        let gate = gate(&["guests=1"]);
        let mut first = gate.enter(here()).unwrap();
        let mut second = gate.enter("10.0.0.1".parse().unwrap()).unwrap();
        assert_eq!(first.become_guest(), Ok(()));
        assert_eq!(second.become_guest(), Err(Full::Guests));
        drop(first);
        assert_eq!(second.become_guest(), Ok(()));
    }

    #[test]
    fn who_does_not_finish_a_handshake_makes_room_for_the_next_one() {
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
