//! The chains that are remembered, as a judge sees them while it reads a page.

use std::collections::HashMap;

use parlour_protocol::{Conversation, DeviceId, UserName};

use super::Records;
use crate::reading::judge::{Chain, ChainKey, Chains};

/// Chains, and how far each was seen.
pub(crate) type Learned = Vec<(ChainKey, Chain)>;

/// Chains that do not run on, and how many messages are missing.
pub(crate) type Broken = Vec<(ChainKey, u64)>;

/// Chains as they were before a page, with what the page adds. What is read newer than all that is
/// kept continues the kept chains; what is read older begins anew, and is then joined to them.
pub struct PageChains<'a> {
    /// `None` for a page older than all that is kept.
    records: Option<&'a Records>,
    from_beginning: bool,
    /// Whether messages between what is kept and the page were not read yet.
    skips: bool,
    learned: HashMap<ChainKey, Chain>,
}

impl<'a> PageChains<'a> {
    /// For a page that follows what is kept. `from_beginning` when nothing came before what is kept.
    pub fn newer(records: &'a Records, from_beginning: bool) -> Self {
        Self { records: Some(records), from_beginning, skips: false, learned: HashMap::new() }
    }

    /// For a page in front of what is kept. `from_beginning` when it is the first of the conversation.
    pub fn older(from_beginning: bool) -> Self {
        Self { records: None, from_beginning, skips: false, learned: HashMap::new() }
    }

    /// For a page that is read before what lies between it and what is kept. What it teaches is not kept.
    pub fn ahead(records: &'a Records) -> Self {
        Self { records: Some(records), from_beginning: false, skips: true, learned: HashMap::new() }
    }

    /// The chains of the page, as far as it was read.
    pub(crate) fn learned(self) -> Learned {
        self.learned.into_iter().collect()
    }
}

impl Chains for PageChains<'_> {
    fn seen(&self, key: &ChainKey) -> Option<Chain> {
        let learned = self.learned.get(key).cloned();
        // Records that cannot be read are as good as none: the message then shows as a gap.
        learned.or_else(|| self.records.and_then(|records| records.chain(key).ok().flatten()))
    }

    fn knows_device(&self, conversation: &Conversation, from: &UserName, device: &DeviceId) -> bool {
        let same =
            |key: &ChainKey| key.conversation == *conversation && key.from == *from && key.device == *device;
        let key = ChainKey {
            conversation: conversation.clone(),
            from: from.clone(),
            device: device.clone(),
            chain: String::new(),
        };
        self.learned.keys().any(same)
            || self.records.is_some_and(|records| records.knows_device(&key).unwrap_or(false))
    }

    fn reads_from_beginning(&self) -> bool {
        self.from_beginning
    }

    fn skips(&self, key: &ChainKey) -> bool {
        // Within the page nothing is skipped.
        self.skips && !self.learned.contains_key(key)
    }

    fn remember(&mut self, key: ChainKey, chain: Chain) {
        self.learned.insert(key, chain);
    }
}

impl Records {
    /// Joins what an older page taught to what is kept: each chain must run on from the page into what
    /// is kept. Returns what to keep, and the chains that do not, with how many messages are missing.
    pub(crate) fn join_older(&self, learned: Learned) -> (Learned, Broken) {
        let mut broken = Vec::new();
        let joined = learned
            .into_iter()
            .map(|(key, older)| match self.chain(&key).ok().flatten() {
                None => (key, older),
                Some(kept) => {
                    let follows = kept.first_n == older.last_n + 1 && kept.first_prev == older.last_hash;
                    if !follows {
                        let missing = kept.first_n.saturating_sub(older.last_n + 1);
                        broken.push((key.clone(), missing.max(1)));
                    }
                    (key, Chain { first_n: older.first_n, first_prev: older.first_prev, ..kept })
                }
            })
            .collect();
        (joined, broken)
    }
}
