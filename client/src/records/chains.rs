//! The remembered chains, in the form that a judge needs while it reads a page.

use std::collections::HashMap;
use std::ops::Range;

use parlour_protocol::limits::VOID_COUNTERS;
use parlour_protocol::{Conversation, DeviceId, UserName};
use serde::{Deserialize, Serialize};

use super::{Extent, Kind, Records, RecordsError};
use crate::reading::chain::{Chain, ChainKey, Chains, Place};
use crate::reading::shown::{Shown, is_default};

/// Our own chain in a conversation: the state that the next message continues.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OwnChain {
    /// 16 random bytes in base64url.
    pub chain: String,
    /// The next message's counter.
    pub n: u64,
    /// The hash of the newest message that was not refused; empty if there is none.
    pub prev: String,
    /// The number of refused messages since. Older versions used their counters again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub void: u64,
}

impl OwnChain {
    /// The counters of the messages that were refused since the last one that was not.
    pub(crate) const fn refused(&self) -> Range<u64> {
        self.n.saturating_sub(self.void)..self.n
    }

    /// True if a message can still list all refused ones.
    pub(crate) const fn can_go_on(&self) -> bool {
        self.void <= VOID_COUNTERS
    }
}

/// One of our messages that was refused after it had taken its place in a chain.
pub(crate) struct Burnt {
    /// Its chain, by the name that readers use.
    pub(crate) key: ChainKey,
    /// Its counter.
    pub(crate) n: u64,
    /// Its hash.
    pub(crate) hash: String,
}

/// The knowledge gained from a page.
#[derive(Debug, Default)]
pub struct Learned {
    /// Chains, and the part of each that was seen.
    pub chains: Vec<(ChainKey, Chain)>,
    /// The places of messages that were refused, as their senders say in the page.
    pub refused: Vec<Place>,
}

impl Learned {
    /// Marks the messages among these that were refused.
    pub(crate) fn mark(&self, shown: &mut [Shown]) {
        for shown in shown {
            shown.refused |= self.refused.contains(&Place { seq: shown.seq, id: shown.id });
        }
    }
}

/// Chains that do not continue, and the number of messages missing from each.
pub(crate) type Broken = Vec<(ChainKey, u64)>;

/// Chains as they were before a page, with what the page adds. A page newer than everything that is
/// kept continues the kept chains; an older page starts its own, which are then joined to them.
pub struct PageChains<'a> {
    /// `None` for a page older than everything that is kept.
    records: Option<&'a Records>,
    /// The generation that the page is kept under.
    generation: u64,
    from_beginning: bool,
    /// True if messages between the kept ones and the page have not been read yet.
    skips: bool,
    /// True if the same holds for chains that were seen only in earlier generations.
    is_apart: bool,
    learned: HashMap<ChainKey, Chain>,
    refused: Vec<Place>,
    /// Our own chain, and the counters in it that the server told us it refused.
    own: Option<(ChainKey, Range<u64>)>,
}

impl<'a> PageChains<'a> {
    /// The chains for a page that follows what is kept of a conversation.
    pub fn newer(records: &'a Records, extent: &Extent) -> Self {
        Self {
            records: Some(records),
            generation: extent.generation,
            from_beginning: extent.first <= 1,
            skips: false,
            is_apart: extent.generation > 0 && extent.parent.is_none(),
            ..Self::older(false)
        }
    }

    /// The chains for a page in front of what is kept. `from_beginning` if it is the first of the conversation.
    pub fn older(from_beginning: bool) -> Self {
        Self {
            records: None,
            generation: 0,
            from_beginning,
            skips: false,
            is_apart: false,
            learned: HashMap::new(),
            refused: Vec::new(),
            own: None,
        }
    }

    /// The chains for a page that is read before the messages between it and the kept ones. Nothing of it is kept.
    pub fn ahead(records: &'a Records, generation: u64) -> Self {
        Self { records: Some(records), generation, skips: true, ..Self::older(false) }
    }

    /// The same, with our own chain and the counters in it that the server told us it refused.
    #[must_use]
    pub(crate) fn with_own(self, own: Option<(ChainKey, Range<u64>)>) -> Self {
        Self { own, ..self }
    }

    /// The knowledge gained from the page so far.
    pub(crate) fn learned(self) -> Learned {
        Learned { chains: self.learned.into_iter().collect(), refused: self.refused }
    }
}

impl Chains for PageChains<'_> {
    fn seen(&self, key: &ChainKey) -> Option<Chain> {
        let learned = self.learned.get(key).cloned();
        // Records that cannot be read are treated as empty: the message then shows as a gap.
        learned.or_else(|| {
            let records = self.records?;
            let kept = records.chain(key, self.generation).ok().flatten();
            kept.or_else(|| Some(records.newest_chain(key).ok().flatten()?.in_new_generation()))
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
        self.skips || self.begins_here(key)
    }

    fn begins_here(&self, key: &ChainKey) -> bool {
        let is_new_here =
            || self.records.is_some_and(|records| matches!(records.chain(key, self.generation), Ok(None)));
        self.is_apart && !self.learned.contains_key(key) && is_new_here()
    }

    fn told_refused(&self, key: &ChainKey, n: u64) -> bool {
        self.own.as_ref().is_some_and(|(own, refused)| own == key && refused.contains(&n))
    }

    fn remember(&mut self, key: ChainKey, chain: Chain) {
        self.learned.insert(key, chain);
    }

    fn refuse(&mut self, place: Place) {
        self.refused.push(place);
    }
}

impl Records {
    /// A chain as seen in one generation.
    fn chain(&self, key: &ChainKey, generation: u64) -> Result<Option<Chain>, RecordsError> {
        self.fact(Kind::Chain, &chain_label(key, generation))
    }

    /// A chain as last seen in any generation: messages that were set aside do not come again as new without a remark.
    fn newest_chain(&self, key: &ChainKey) -> Result<Option<Chain>, RecordsError> {
        match self.fact(Kind::NewestChain, &chain_label(key, 0))? {
            Some(chain) => Ok(Some(chain)),
            None => self.chain(key, 0),
        }
    }

    /// Keeps the knowledge gained in a generation.
    pub(super) fn set_chains(
        &self,
        generation: u64,
        chains: &[(ChainKey, Chain)],
    ) -> Result<(), RecordsError> {
        for (key, chain) in chains {
            if generation > 0 && self.newest_chain(key)?.is_none_or(|newest| newest.last_n <= chain.last_n) {
                self.set_fact(Kind::NewestChain, &chain_label(key, 0), chain)?;
            }
            self.set_fact(Kind::Chain, &chain_label(key, generation), chain)?;
            self.set_fact(Kind::Device, &super::device_label(key), &true)?;
        }
        Ok(())
    }

    /// Joins the chains of an older page to those kept in its generation: each must continue from the page into what is
    /// kept. Returns what to keep, and the chains that do not continue, with the number of missing messages.
    pub(crate) fn join_older(&self, generation: u64, learned: Learned) -> (Learned, Broken) {
        let Learned { chains, mut refused } = learned;
        let mut broken = Vec::new();
        let chains = chains
            .into_iter()
            .map(|(key, older)| match self.chain(&key, generation).ok().flatten() {
                None => (key, older),
                Some(kept) => {
                    let (whole, places, missing) = Chain::join(older, kept);
                    refused.extend(places);
                    if missing > 0 {
                        broken.push((key.clone(), missing));
                    }
                    (key, whole)
                }
            })
            .collect();
        (Learned { chains, refused }, broken)
    }

    /// Our own chain in a conversation.
    pub fn own_chain(&self, name: &Conversation) -> Result<Option<OwnChain>, RecordsError> {
        self.fact(Kind::OwnChain, &name.to_string())
    }

    /// Notes that our own chain has advanced to `next`, as the server's history shows: these records may be an older
    /// copy. Does nothing for another chain, or for one that has come as far.
    pub fn advance_own_chain(&mut self, name: &Conversation, next: &OwnChain) -> Result<(), RecordsError> {
        match self.own_chain(name)? {
            Some(own) if own.chain == next.chain && own.n < next.n => {
                self.write(|records| records.set_own_chain(name, next))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn set_own_chain(&self, name: &Conversation, chain: &OwnChain) -> Result<(), RecordsError> {
        self.set_fact(Kind::OwnChain, &name.to_string(), chain)
    }

    /// Uses up the counter of a refused message: the next one in its conversation gets another, and lists this one.
    pub(super) fn burn(&self, burnt: &Burnt) -> Result<(), RecordsError> {
        let Burnt { key, n, .. } = burnt;
        let own = self.own_chain(&key.conversation)?.filter(|own| own.chain == key.chain);
        let next = match own {
            Some(own) if own.n == *n => OwnChain { n: n + 1, void: own.void + 1, ..own },
            // The refused message was the first of a new chain.
            None if *n == 0 => OwnChain { chain: key.chain.clone(), n: 1, prev: String::new(), void: 1 },
            // These records are an older copy, or have lost the chain: the next message follows something else.
            _ => return Ok(()),
        };
        self.set_own_chain(&key.conversation, &next)
    }

    /// The place of a message of ours that was delivered before we learned that it was refused.
    pub(super) fn delivered(&self, extent: &Extent, burnt: &Burnt) -> Result<Option<Place>, RecordsError> {
        let chain = self.chain(&burnt.key, extent.generation)?;
        let is_it = |chain: &Chain| (chain.last_n, &chain.last_hash) == (burnt.n, &burnt.hash);
        Ok(chain.filter(is_it).and_then(|chain| chain.last_place))
    }

    /// Marks kept messages that were refused, except those of a page that is just being kept. Returns the messages that
    /// were not marked before.
    pub(super) fn mark_refused(
        &self,
        extent: &Extent,
        places: &[Place],
        page: &[Shown],
    ) -> Result<Vec<Shown>, RecordsError> {
        let mut marked = Vec::new();
        for Place { seq, id } in places {
            let is_it = |shown: &Shown| (shown.seq, shown.id) == (*seq, *id);
            if page.iter().any(is_it) {
                continue;
            }
            let Some(found) = self.find_kept(extent, std::iter::once((*seq, *id)))? else { continue };
            let shown = self.message_of(&extent.name, found.generation, found.last)?;
            if let Some(mut shown) = shown.filter(|shown| !shown.refused) {
                shown.refused = true;
                self.set_messages(found.generation, std::slice::from_ref(&shown))?;
                marked.push(shown);
            }
        }
        Ok(marked)
    }
}

/// The label of the first generation is the one from before there were generations.
fn chain_label(key: &ChainKey, generation: u64) -> String {
    let chain = format!("{} {} {} {}", key.conversation, key.from, key.device, key.chain);
    if generation == 0 { chain } else { format!("{chain} {generation}") }
}
