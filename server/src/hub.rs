//! Who is online, and how what happens reaches them.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use parlour_protocol::{Conversation, DeviceId, Event, Farewell, Message, UserName, json, plain};

use crate::outbox::{Closing, Outbox};

/// One connection, as others reach it.
pub struct Peer {
    /// Unique in this process.
    pub id: u64,
    /// What waits to be sent.
    pub outbox: Outbox,
    logged_in: AtomicBool,
    begun: Instant,
    /// Milliseconds after `begun` at which the client last said something.
    heard: AtomicU64,
}

impl Peer {
    /// A connection that was just made, in the plain dialect.
    pub fn new(id: u64, outgoing_bytes: usize) -> Self {
        Self {
            id,
            outbox: Outbox::new(outgoing_bytes),
            logged_in: AtomicBool::new(false),
            begun: Instant::now(),
            heard: AtomicU64::new(0),
        }
    }

    /// Whether it speaks json.
    pub fn speaks_json(&self) -> bool {
        self.outbox.in_json()
    }

    /// Whether it belongs to a user.
    pub fn is_logged_in(&self) -> bool {
        self.logged_in.load(Ordering::Acquire)
    }

    /// Notes that it belongs to a user from now on.
    pub fn logged_in(&self) {
        self.logged_in.store(true, Ordering::Release);
    }

    /// Notes that the client said something.
    pub fn hear(&self) {
        self.heard.store(self.age_millis(), Ordering::Release);
    }

    /// How long the client has said nothing.
    pub fn silence(&self) -> Duration {
        Duration::from_millis(self.age_millis().saturating_sub(self.heard.load(Ordering::Acquire)))
    }

    fn age_millis(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Queues an event in its dialect; some events say nothing in plain.
    pub fn tell(&self, event: &Encoded<'_>) {
        self.outbox.push(
            |in_json, lines| lines.extend_from_slice(event.line(in_json)),
            |in_json, lines| say_farewell(Farewell::SlowReader, in_json, lines),
        );
    }

    /// Says why, and closes.
    pub fn dismiss(&self, farewell: Farewell) {
        self.outbox.close(Closing::Said(farewell), |in_json, lines| say_farewell(farewell, in_json, lines));
    }
}

fn say_farewell(farewell: Farewell, in_json: bool, lines: &mut Vec<u8>) {
    lines.extend_from_slice(Encoded::new(&Event::Goodbye(farewell)).line(in_json));
}

/// An event that is written at most once in each dialect, however many hear it.
pub struct Encoded<'a> {
    event: &'a Event,
    plain: OnceCell<Vec<u8>>,
    json: OnceCell<Vec<u8>>,
}

impl<'a> Encoded<'a> {
    /// Nothing is written yet.
    pub fn new(event: &'a Event) -> Self {
        Self { event, plain: OnceCell::new(), json: OnceCell::new() }
    }

    /// The line with its line feed; nothing where plain says nothing.
    fn line(&self, in_json: bool) -> &[u8] {
        let line = if in_json { &self.json } else { &self.plain };
        line.get_or_init(|| {
            let mut line = Vec::with_capacity(256);
            let says_something = if in_json {
                json::write_event(&mut line, self.event);
                true
            } else {
                plain::write_event(&mut line, self.event)
            };
            if says_something {
                line.push(b'\n');
            }
            line
        })
    }
}

/// A user's session on one device.
struct Online {
    device: DeviceId,
    peer: Arc<Peer>,
}

/// All sessions that are logged in.
#[derive(Default)]
pub struct Hub {
    online: RwLock<HashMap<UserName, Vec<Online>>>,
}

impl Hub {
    /// Makes `peer` the session of this device. When the device has one already, that is returned
    /// and nothing changes, unless it is the one with the id `replace`.
    pub fn join(
        self: &Arc<Self>,
        user: &UserName,
        device: &DeviceId,
        peer: &Arc<Peer>,
        replace: Option<u64>,
    ) -> Result<Presence, Arc<Peer>> {
        let mut online = self.write();
        let sessions = online.entry(user.clone()).or_default();
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
        let mut names: Vec<UserName> = self.read().keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Brings a message to everyone who may hear it, except to the session `except`, which has it as
    /// its reply.
    pub fn deliver(&self, message: &Message, except: u64) {
        let event = Event::Message(message.clone());
        let encoded = Encoded::new(&event);
        let online = self.read();
        let tell = |sessions: &Vec<Online>| {
            for session in sessions.iter().filter(|session| session.peer.id != except) {
                session.peer.tell(&encoded);
            }
        };
        match &message.to {
            Conversation::Channel(_) => online.values().for_each(tell),
            Conversation::Direct(to) => {
                online.get(to).into_iter().for_each(tell);
                if *to != message.from {
                    online.get(&message.from).into_iter().for_each(tell);
                }
            }
        }
    }

    /// Tells everyone.
    pub fn broadcast(&self, event: &Event) {
        let encoded = Encoded::new(event);
        for session in self.read().values().flatten() {
            session.peer.tell(&encoded);
        }
    }

    /// Closes the session of a device, if it has one.
    pub fn dismiss(&self, user: &UserName, device: &DeviceId, farewell: Farewell) {
        let online = self.read();
        let sessions = online.get(user).into_iter().flatten();
        sessions.filter(|session| session.device == *device).for_each(|s| s.peer.dismiss(farewell));
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<UserName, Vec<Online>>> {
        self.online.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<UserName, Vec<Online>>> {
        self.online.write().unwrap_or_else(std::sync::PoisonError::into_inner)
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
        if let Some(sessions) = online.get_mut(&self.user) {
            sessions.retain(|session| session.peer.id != self.id);
            if sessions.is_empty() {
                online.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use parlour_protocol::{Body, MessageId, SafeText, Timestamp};

    use super::*;

    fn peer(id: u64) -> Arc<Peer> {
        Arc::new(Peer::new(id, 1_000_000))
    }

    fn name(text: &str) -> UserName {
        text.parse().unwrap()
    }

    fn device(digit: char) -> DeviceId {
        digit.to_string().repeat(16).parse().unwrap()
    }

    fn message(to: &str) -> Message {
        Message {
            to: to.parse().unwrap(),
            from: name("sam"),
            seq: 1,
            id: MessageId::from_bytes([1; 16]),
            time: Timestamp::from_millis(0),
            body: Body::Text(SafeText::parse("hi").unwrap()),
        }
    }

    async fn heard(peer: &Peer) -> usize {
        peer.outbox.close(Closing::Quiet, |_, _| ());
        let mut lines = Vec::new();
        peer.outbox.take(&mut lines).await;
        lines.split_inclusive(|byte| *byte == b'\n').count()
    }

    #[tokio::test]
    async fn a_direct_message_reaches_both_users_devices_and_nobody_else() {
        let hub = Arc::new(Hub::default());
        let (writing, other_device, erik, anna) = (peer(1), peer(2), peer(3), peer(4));
        let _presences = [
            hub.join(&name("sam"), &device('1'), &writing, None).ok(),
            hub.join(&name("sam"), &device('2'), &other_device, None).ok(),
            hub.join(&name("erik"), &device('1'), &erik, None).ok(),
            hub.join(&name("anna"), &device('1'), &anna, None).ok(),
        ];
        hub.deliver(&message("@erik"), 1);
        hub.deliver(&message("#lobby"), 1);
        assert_eq!(heard(&writing).await, 0);
        assert_eq!(heard(&other_device).await, 2);
        assert_eq!(heard(&erik).await, 2);
        assert_eq!(heard(&anna).await, 1);
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
}
