//! Counters of messages that were refused, or that have not come.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The most runs that are remembered, which bounds what a hostile sender can make us keep for one chain. The oldest
/// go first; a message of theirs that is delivered later is shown as a replay.
pub(crate) const RUNS: usize = 256;

/// Counters in ascending order, as runs with a first and a last counter each.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counters(Vec<(u64, u64)>);

impl Counters {
    /// True if there are no counters.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if this counter is one of them.
    pub fn contains(&self, counter: u64) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&counter))
    }

    /// Adds counters that are greater than all others.
    pub fn push(&mut self, counters: Range<u64>) {
        let Some(last) = counters.end.checked_sub(1).filter(|last| *last >= counters.start) else { return };
        match self.0.last_mut() {
            Some(newest) if newest.1.checked_add(1) == Some(counters.start) => newest.1 = last,
            _ => self.0.push((counters.start, last)),
        }
        self.bound();
    }

    /// Adds those counters of `others` that are greater than `after`, and so greater than all of these.
    pub fn append(&mut self, others: &Self, after: u64) {
        for (first, last) in &others.0 {
            self.push((*first).max(after + 1)..last + 1);
        }
    }

    /// Adds a counter that is not there.
    pub fn insert(&mut self, counter: u64) {
        let mut run = (counter, counter);
        if let Some(index) = self.0.iter().position(|(_, last)| *last + 1 == counter) {
            run.0 = self.0.remove(index).0;
        }
        if let Some(index) = self.0.iter().position(|(first, _)| *first == counter + 1) {
            run.1 = self.0.remove(index).1;
        }
        let index = self.0.iter().position(|(first, _)| *first > counter).unwrap_or(self.0.len());
        self.0.insert(index, run);
        self.bound();
    }

    /// The counters that are in both sets.
    #[must_use]
    pub fn both(&self, others: &Self) -> Self {
        let mut both = Self::default();
        for (first, last) in &self.0 {
            for (other_first, other_last) in &others.0 {
                both.push(*first.max(other_first)..*last.min(other_last) + 1);
            }
        }
        both
    }

    /// Removes a counter.
    pub fn remove(&mut self, counter: u64) {
        let Some(index) = self.0.iter().position(|(first, last)| (*first..=*last).contains(&counter)) else {
            return;
        };
        let (first, last) = self.0.remove(index);
        let parts = [(first, counter.checked_sub(1)), (counter + 1, Some(last))];
        let parts =
            parts.into_iter().filter_map(|(first, last)| Some((first, last.filter(|last| first <= *last)?)));
        self.0.splice(index..index, parts);
        self.bound();
    }

    fn bound(&mut self) {
        let excess = self.0.len().saturating_sub(RUNS);
        self.0.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counters_behave_like_a_set(
            steps in prop::collection::vec((0..4_u64, 0..5_u64), 0..40),
            removed in prop::collection::vec(0..100_u64, 0..60),
            inserted in prop::collection::vec(0..100_u64, 0..60),
        ) {
            let (mut counters, mut set, mut next) = (Counters::default(), BTreeSet::new(), 0);
            for (pause, length) in steps {
                counters.push(next + pause..next + pause + length);
                set.extend(next + pause..next + pause + length);
                next += pause + length;
            }
            for counter in removed {
                counters.remove(counter);
                set.remove(&counter);
                for number in 0..next + 2 {
                    prop_assert_eq!(counters.contains(number), set.contains(&number));
                }
            }
            prop_assert_eq!(counters.is_empty(), set.is_empty());
            let (mut others, mut other_set) = (Counters::default(), BTreeSet::new());
            for counter in inserted {
                if other_set.insert(counter) {
                    others.insert(counter);
                }
            }
            let both = counters.both(&others);
            for number in 0..101 {
                prop_assert_eq!(others.contains(number), other_set.contains(&number));
                prop_assert_eq!(both.contains(number), set.contains(&number) && other_set.contains(&number));
            }
            let runs = other_set.iter().filter(|number| !other_set.contains(&(*number + 1))).count();
            prop_assert_eq!(others.0.len(), runs);
        }
    }

    #[test]
    fn no_more_runs_are_remembered_than_the_bound_and_the_oldest_go_first() {
        let mut counters = Counters::default();
        for number in 0..1_000 {
            counters.push(number * 2..number * 2 + 1);
        }
        assert_eq!(counters.0.len(), RUNS);
        assert!(counters.contains(1_998) && !counters.contains(0));
        counters.push(5_000..6_000);
        for number in 0..300 {
            counters.remove(5_001 + number * 3);
        }
        assert_eq!(counters.0.len(), RUNS);
        assert!(counters.contains(5_999));
    }
}
