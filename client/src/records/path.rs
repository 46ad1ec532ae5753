//! The messages that count now: a path from the present generation down through its parents.

use parlour_protocol::Seq;

use super::{Extent, Reason, Records, RecordsError};

/// Consecutive messages of one generation that count now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stretch {
    pub(super) generation: u64,
    pub(super) first: Seq,
    pub(super) last: Seq,
}

/// The messages that count now, of all that are kept of a conversation; the rest is set aside. Newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Path(Vec<Stretch>);

impl Path {
    /// True if a message counts.
    pub(crate) fn has(&self, generation: u64, seq: Seq) -> bool {
        self.0.iter().any(|s| s.generation == generation && (s.first..=s.last).contains(&seq))
    }

    /// The generation that has the message with this `seq`.
    pub(crate) fn generation_of(&self, seq: Seq) -> Option<u64> {
        self.0.iter().find(|stretch| (stretch.first..=stretch.last).contains(&seq)).map(|s| s.generation)
    }

    /// The number of messages of a generation that count.
    pub(crate) fn count(&self, generation: u64) -> u64 {
        self.0.iter().filter(|s| s.generation == generation).map(|s| s.last + 1 - s.first).sum()
    }

    /// The stretches, the oldest first.
    pub(super) fn oldest_first(&self) -> impl Iterator<Item = Stretch> + use<'_> {
        self.0.iter().rev().copied()
    }

    /// The newest message that counts.
    fn newest(&self) -> Option<Seq> {
        self.0.first().map(|stretch| stretch.last)
    }

    /// The oldest stretch that is connected to the newest message without a gap.
    fn bottom(&self) -> Option<Stretch> {
        let mut stretches = self.0.iter();
        let mut bottom = *stretches.next()?;
        for stretch in stretches {
            if stretch.last + 1 != bottom.first {
                break;
            }
            bottom = *stretch;
        }
        Some(bottom)
    }
}

impl Records {
    /// The path through the generations that counts now.
    pub(crate) fn path(&self, extent: &Extent) -> Result<Path, RecordsError> {
        let mut path = Vec::new();
        let (mut number, mut first, mut last) = (extent.generation, extent.begins, extent.last);
        let mut parent = extent.parent;
        loop {
            if first <= last {
                path.push(Stretch { generation: number, first, last });
            }
            let next = match parent {
                Some(parent) => self.generation(&extent.name, parent.generation)?.map(|g| (g, parent.last)),
                // Messages from before a gap count as well.
                None => match number.checked_sub(1) {
                    Some(before) => self
                        .generation(&extent.name, before)?
                        .filter(|generation| generation.reason == Reason::Gap)
                        .map(|generation| {
                            let last = generation.last;
                            (generation, last)
                        }),
                    None => None,
                },
            };
            // Each step leads to an earlier generation and further back, even in forged records.
            let Some((generation, newest)) = next.filter(|(generation, _)| generation.number < number) else {
                return Ok(Path(path));
            };
            let newest = newest.min(first.saturating_sub(1));
            if newest == 0 || generation.first > newest && generation.parent.is_none() {
                return Ok(Path(path));
            }
            (number, first, last, parent) = (generation.number, generation.first, newest, generation.parent);
        }
    }

    /// The extent, reaching down to the oldest message that is connected to the newest without a gap.
    pub(super) fn joined(&self, extent: Extent) -> Result<Extent, RecordsError> {
        let path = self.path(&extent)?;
        // An empty generation with nothing before it is not connected to messages from before a gap.
        let reaches = path.newest() == Some(extent.last);
        let first = path.bottom().filter(|_| reaches).map_or(extent.begins, |bottom| bottom.first);
        Ok(Extent { first, ..extent })
    }

    /// The generation of the oldest messages that count now.
    pub(crate) fn oldest_generation(&self, extent: &Extent) -> Result<u64, RecordsError> {
        Ok(self.path(extent)?.bottom().map_or(extent.generation, |bottom| bottom.generation))
    }
}
