//! A cache of accounts. An account never changes, and its revocations are noted here as they happen.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use parlour_protocol::{DeviceId, RevokedDevice, UserName};

use crate::delivery::Posting;
use crate::store::{Account, ReadError, Store};

/// The most accounts in memory. At one more all are forgotten, and read again when they are needed.
const REMEMBERED: usize = 50_000;

/// Reads accounts, and remembers them.
pub struct Directory {
    store: Arc<dyn Store<Posting>>,
    memory: RwLock<Memory>,
}

#[derive(Default)]
struct Memory {
    known: HashMap<UserName, Known>,
    /// Revocations noted so far. An account that was read before one of them is not remembered after it.
    revocations: u64,
    /// Revocations in force that the store does not have, or not yet.
    held: HashMap<UserName, Vec<RevokedDevice>>,
}

/// An account, and its revoked devices.
#[derive(Clone)]
struct Known {
    account: Arc<Account>,
    revoked: Arc<[DeviceId]>,
}

impl Directory {
    /// A directory of what is in `store`.
    pub fn new(store: Arc<dyn Store<Posting>>) -> Self {
        Self { store, memory: RwLock::default() }
    }

    /// The account with this name, if there is one.
    pub async fn account(&self, name: &UserName) -> Result<Option<Arc<Account>>, ReadError> {
        Ok(self.known(name).await?.map(|known| known.account))
    }

    /// Returns true if a device was revoked.
    pub async fn is_revoked(&self, name: &UserName, device: &DeviceId) -> Result<bool, ReadError> {
        Ok(self.known(name).await?.is_some_and(|known| known.revoked.contains(device)))
    }

    /// All revoked devices of a user.
    pub async fn revoked(&self, name: &UserName) -> Result<Vec<RevokedDevice>, ReadError> {
        // Read before the store: a revocation that is stored in between is then in at least one of the two.
        let held = self.read().held.get(name).cloned().unwrap_or_default();
        let mut revoked = self.store.revoked_devices(name.clone()).await?;
        for held in held {
            if revoked.iter().all(|kept| kept.device != held.device) {
                revoked.push(held);
            }
        }
        Ok(revoked)
    }

    /// Puts a revocation into force, even if the store does not have it. Returns true if it is new.
    pub fn hold(&self, name: &UserName, revoked: RevokedDevice) -> bool {
        let mut memory = self.write();
        memory.revocations += 1;
        if let Some(known) = memory.known.get_mut(name)
            && !known.revoked.contains(&revoked.device)
        {
            known.revoked = known.revoked.iter().chain([&revoked.device]).cloned().collect();
        }
        let held = memory.held.entry(name.clone()).or_default();
        let is_news = held.iter().all(|held| held.device != revoked.device);
        if is_news {
            held.push(revoked);
        }
        is_news
    }

    /// Notes that the store has a revocation.
    pub fn kept(&self, name: &UserName, device: &DeviceId) {
        let mut memory = self.write();
        // A task that read the store before this and looks here only now reads again.
        memory.revocations += 1;
        if let Some(held) = memory.held.get_mut(name) {
            held.retain(|held| held.device != *device);
            if held.is_empty() {
                memory.held.remove(name);
            }
        }
    }

    async fn known(&self, name: &UserName) -> Result<Option<Known>, ReadError> {
        loop {
            let revocations = {
                let memory = self.read();
                if let Some(known) = memory.known.get(name) {
                    return Ok(Some(known.clone()));
                }
                memory.revocations
            };
            let Some(account) = self.store.account(name.clone()).await? else { return Ok(None) };
            let revoked = self.revoked(name).await?;
            let revoked = revoked.into_iter().map(|revoked| revoked.device).collect();
            let known = Known { account: Arc::new(account), revoked };
            let mut memory = self.write();
            // A revocation that came in between may be missing from what was read.
            if memory.revocations == revocations {
                if memory.known.len() >= REMEMBERED {
                    memory.known.clear();
                }
                memory.known.insert(name.clone(), known.clone());
                return Ok(Some(known));
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use parlour_protocol::ttp::Revocation;
    use parlour_protocol::{Limits, Timestamp};

    use super::*;
    use crate::audit::{Entry, Kind, SecurityEvent};
    use crate::metrics::Commits;
    use crate::store::sqlite::SqliteStore;
    use crate::store::{Bounds, outcome_queue};

    fn entry(kind: Kind) -> Entry {
        Entry { time: Timestamp::from_millis(1), event: SecurityEvent::new(kind), times: 1 }
    }

    #[tokio::test]
    async fn a_revocation_is_in_force_whether_or_not_the_account_was_cached() {
        let folder = tempfile::tempdir().unwrap();
        let (told, _outcomes) = outcome_queue();
        let store: Arc<dyn Store<Posting>> = Arc::new(
            SqliteStore::open(
                &folder.path().join("chat.db"),
                Bounds::new(&Limits::default()),
                told,
                Commits::default(),
            )
            .unwrap(),
        );
        let name: UserName = "sam".parse().unwrap();
        let [first, second] = ["1", "2"].map(|digit| digit.repeat(16).parse::<DeviceId>().unwrap());
        let account = Account {
            name: name.clone(),
            certificate: vec![1],
            kid: "kid".to_owned(),
            created: Timestamp::from_millis(1),
        };
        store.create_account(account, entry(Kind::Registration)).await.unwrap();
        let (fresh, remembering) = (Directory::new(Arc::clone(&store)), Directory::new(Arc::clone(&store)));
        assert!(!remembering.is_revoked(&name, &first).await.unwrap());
        for (number, device) in [(1, &first), (2, &second)] {
            let time = Timestamp::from_millis(2);
            let revoked = RevokedDevice { device: device.clone(), time, statement: None };
            assert!(remembering.hold(&name, revoked.clone()));
            assert!(!remembering.hold(&name, revoked.clone()), "it is not new");
            assert!(remembering.is_revoked(&name, device).await.unwrap());
            assert!(fresh.hold(&name, revoked));
            let revocation =
                Revocation { number, name: name.clone(), device: device.clone(), time, statement: None };
            store.add_revocation(revocation, entry(Kind::DeviceRevoked)).await.unwrap();
            remembering.kept(&name, device);
            fresh.kept(&name, device);
            assert!(fresh.read().held.is_empty());
        }
        for directory in [fresh, remembering] {
            assert!(directory.is_revoked(&name, &first).await.unwrap());
            assert!(directory.is_revoked(&name, &second).await.unwrap());
            assert!(directory.account(&name).await.unwrap().is_some());
        }
    }
}
