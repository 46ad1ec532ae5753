//! The chains that are remembered, as a judge sees them while it reads a page.

use std::collections::HashMap;

use parlour_protocol::{Conversation, DeviceId, UserName};

use super::{Extent, Kind, Records, RecordsError};
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
    /// The generation that the page is kept under.
    generation: u64,
    from_beginning: bool,
    /// Whether messages between what is kept and the page were not read yet.
    skips: bool,
    /// Whether that is so for chains that were seen in earlier generations alone.
    is_apart: bool,
    learned: HashMap<ChainKey, Chain>,
}

impl<'a> PageChains<'a> {
    /// For a page that follows what is kept of a conversation.
    pub fn newer(records: &'a Records, extent: &Extent) -> Self {
        Self {
            records: Some(records),
            generation: extent.generation,
            from_beginning: extent.first <= 1,
            skips: false,
            is_apart: extent.generation > 0 && extent.parent.is_none(),
            learned: HashMap::new(),
        }
    }

    /// For a page in front of what is kept. `from_beginning` when it is the first of the conversation.
    pub fn older(from_beginning: bool) -> Self {
        let learned = HashMap::new();
        Self { records: None, generation: 0, from_beginning, skips: false, is_apart: false, learned }
    }

    /// For a page that is read before what lies between it and what is kept. What it teaches is not kept.
    pub fn ahead(records: &'a Records, generation: u64) -> Self {
        let learned = HashMap::new();
        let records = Some(records);
        Self { records, generation, from_beginning: false, skips: true, is_apart: false, learned }
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
        learned.or_else(|| {
            let records = self.records?;
            let kept = records.chain(key, self.generation).ok().flatten();
            kept.or_else(|| records.newest_chain(key).ok().flatten())
        })
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
        if self.learned.contains_key(key) {
            return false;
        }
        let is_new_here =
            || self.records.is_some_and(|records| matches!(records.chain(key, self.generation), Ok(None)));
        self.skips || (self.is_apart && is_new_here())
    }

    fn remember(&mut self, key: ChainKey, chain: Chain) {
        self.learned.insert(key, chain);
    }
}

impl Records {
    /// A chain as it was seen in one generation.
    fn chain(&self, key: &ChainKey, generation: u64) -> Result<Option<Chain>, RecordsError> {
        self.fact(Kind::Chain, &chain_label(key, generation))
    }

    /// A chain as far as it was ever seen, in whatever generation: what is set aside does not come again as new.
    fn newest_chain(&self, key: &ChainKey) -> Result<Option<Chain>, RecordsError> {
        match self.fact(Kind::NewestChain, &chain_label(key, 0))? {
            Some(chain) => Ok(Some(chain)),
            None => self.chain(key, 0),
        }
    }

    /// Keeps what was learned in a generation.
    pub(super) fn set_chains(
        &self,
        generation: u64,
        chains: &[(ChainKey, Chain)],
    ) -> Result<(), RecordsError> {
        for (key, chain) in chains {
            if generation > 0 && self.newest_chain(key)?.is_none_or(|newest| newest.last_n < chain.last_n) {
                self.set_fact(Kind::NewestChain, &chain_label(key, 0), chain)?;
            }
            self.set_fact(Kind::Chain, &chain_label(key, generation), chain)?;
            self.set_fact(Kind::Device, &super::device_label(key), &true)?;
        }
        Ok(())
    }

    /// Joins what an older page taught to what is kept in its generation: each chain must run on from the page into
    /// what is kept. Returns what to keep, and the chains that do not, with how many messages are missing.
    pub(crate) fn join_older(&self, generation: u64, learned: Learned) -> (Learned, Broken) {
        let mut broken = Vec::new();
        let joined = learned
            .into_iter()
            .map(|(key, older)| match self.chain(&key, generation).ok().flatten() {
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

/// The first generation's is as it was before there were more.
fn chain_label(key: &ChainKey, generation: u64) -> String {
    let chain = format!("{} {} {} {}", key.conversation, key.from, key.device, key.chain);
    if generation == 0 { chain } else { format!("{chain} {generation}") }
}
