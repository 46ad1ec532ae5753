//! Accounts, remembered once they were read: an account, once made, does not change.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use parlour_protocol::UserName;

use crate::delivery::Posting;
use crate::store::{Account, Store, StoreError};

/// Accounts in memory at most; with more, all are forgotten and read again when asked for.
const REMEMBERED: usize = 50_000;

/// Reads accounts through a memory.
pub struct Directory {
    store: Arc<dyn Store<Posting>>,
    known: RwLock<HashMap<UserName, Arc<Account>>>,
}

impl Directory {
    /// A directory of what is in `store`.
    pub fn new(store: Arc<dyn Store<Posting>>) -> Self {
        Self { store, known: RwLock::default() }
    }

    /// The account with this name, if there is one.
    pub async fn account(&self, name: &UserName) -> Result<Option<Arc<Account>>, StoreError> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let Some(account) = self.store.account(name.clone()).await? else { return Ok(None) };
        let account = Arc::new(account);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(name.clone(), Arc::clone(&account));
        Ok(Some(account))
    }
}
