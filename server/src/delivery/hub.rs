//! The users who are online, and their sessions.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use parlour_protocol::{DeviceId, Event, Farewell, UserName};

use crate::delivery::peer::{Encoded, Peer};

/// A user's session on one device.
struct Online {
    device: DeviceId,
    peer: Arc<Peer>,
}

/// All sessions that are logged in.
#[derive(Default)]
pub struct Hub {
    online: RwLock<Register>,
}

#[derive(Default)]
struct Register {
    by_user: HashMap<UserName, Vec<Online>>,
    /// A list of all sessions, to go through for each message. `None` after a change, until it is needed again.
    list: Option<Arc<[Arc<Peer>]>>,
}

impl Hub {
    /// Makes `peer` the session of this device. If the device already has a session, that one is returned and nothing
    /// changes, unless its id is `replace`.
    pub fn join(
        self: &Arc<Self>,
        user: &UserName,
        device: &DeviceId,
        peer: &Arc<Peer>,
        replace: Option<u64>,
    ) -> Result<Presence, Arc<Peer>> {
        let mut online = self.write();
        online.list = None;
        let sessions = online.by_user.entry(user.clone()).or_default();
        if let Some(position) = sessions.iter().position(|session| session.device == *device) {
            let older = sessions.get(position).map(|session| Arc::clone(&session.peer));
            match older {
                Some(older) if replace != Some(older.id) => return Err(older),
                _ => drop(sessions.swap_remove(position)),
            }
        }
        sessions.push(Online { device: device.clone(), peer: Arc::clone(peer) });
        Ok(Presence { hub: Arc::clone(self), user: user.clone(), id: peer.id })
    }

    /// The names of all who are online, sorted.
    pub fn users(&self) -> Vec<UserName> {
        let mut names: Vec<UserName> = self.read().by_user.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Everyone who is online.
    pub fn everyone(&self) -> Arc<[Arc<Peer>]> {
        if let Some(list) = &self.read().list {
            return Arc::clone(list);
        }
        let online = &mut *self.write();
        let sessions = online.by_user.values().flatten();
        Arc::clone(online.list.get_or_insert_with(|| sessions.map(|s| Arc::clone(&s.peer)).collect()))
    }

    /// Hands every session of a user to `visit`.
    pub fn visit(&self, user: &UserName, visit: impl FnMut(&Arc<Peer>)) {
        self.read().by_user.get(user).into_iter().flatten().map(|session| &session.peer).for_each(visit);
    }

    /// Sends an event to everyone.
    pub fn broadcast(&self, event: &Event) {
        let encoded = Encoded::new(event);
        for peer in self.everyone().iter() {
            peer.tell(&encoded);
        }
    }

    /// Closes the session of a device, if it has one.
    pub fn dismiss(&self, user: &UserName, device: &DeviceId, farewell: Farewell) {
        let online = self.read();
        let sessions = online.by_user.get(user).into_iter().flatten();
        sessions.filter(|session| session.device == *device).for_each(|s| s.peer.dismiss(farewell));
    }

    fn read(&self) -> RwLockReadGuard<'_, Register> {
        self.online.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Register> {
        self.online.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's place in the hub. Dropping it takes the session offline.
pub struct Presence {
    hub: Arc<Hub>,
    user: UserName,
    id: u64,
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut online = self.hub.write();
        online.list = None;
        if let Some(sessions) = online.by_user.get_mut(&self.user) {
            sessions.retain(|session| session.peer.id != self.id);
            if sessions.is_empty() {
                online.by_user.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(id: u64) -> Arc<Peer> {
        Arc::new(Peer::new(id, 1_000_000, None))
    }

    fn name(text: &str) -> UserName {
        text.parse().unwrap()
    }

    fn device(digit: char) -> DeviceId {
        digit.to_string().repeat(16).parse().unwrap()
    }

    #[test]
    fn a_device_has_one_session_until_it_is_replaced() {
        let hub = Arc::new(Hub::default());
        let first = hub.join(&name("sam"), &device('1'), &peer(1), None).ok().unwrap();
        let refused = hub.join(&name("sam"), &device('1'), &peer(2), None);
        assert!(refused.is_err_and(|older| older.id == 1));
        let second = hub.join(&name("sam"), &device('1'), &peer(2), Some(1)).ok().unwrap();
        drop(first);
        assert_eq!(hub.users(), [name("sam")]);
        drop(second);
        assert_eq!(hub.users(), [] as [UserName; 0]);
    }

    #[test]
    fn the_list_of_everyone_follows_who_comes_and_goes() {
        let hub = Arc::new(Hub::default());
        let ids = || {
            let mut ids: Vec<u64> = hub.everyone().iter().map(|peer| peer.id).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids(), [0; 0]);
        let sam = hub.join(&name("sam"), &device('1'), &peer(1), None).ok().unwrap();
        assert_eq!(ids(), [1]);
        let _erik = hub.join(&name("erik"), &device('1'), &peer(2), None).ok().unwrap();
        assert_eq!(ids(), [1, 2]);
        drop(sam);
        assert_eq!(ids(), [2]);
    }
}
