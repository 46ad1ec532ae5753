//! Judging a page of messages: by what was read before it, by what is kept already, and by revocations.

use parlour_protocol::{Body, Conversation, RevokedDevice, Timestamp, UserName};

use super::{Account, Engine};
use crate::reading::chain::ChainKey;
use crate::reading::judge::{judge, know_again};
use crate::reading::opening::Opened;
use crate::reading::shown::Shown;
use crate::records::{Extent, Learned, PageChains, RecordsError};

impl Engine {
    /// The revoked devices of everyone who sealed something in this page.
    pub(super) fn revoked(&self, page: &[Opened]) -> Revoked {
        let mut revoked = Revoked::new();
        let Some(account) = &self.account else { return revoked };
        for message in page.iter().map(|opened| &opened.message) {
            let is_known = revoked.iter().any(|(name, _)| *name == message.from);
            if matches!(message.body, Body::Sealed(_)) && !is_known {
                revoked.push((message.from.clone(), account.revocations.of(&message.from).to_vec()));
            }
        }
        revoked
    }
}

/// The revoked devices of some users.
pub(super) type Revoked = Vec<(UserName, Vec<RevokedDevice>)>;

/// Judges a page in order, skipping messages that are `known` here already, unchanged.
pub(super) fn judged(
    me: &UserName,
    page: &[Opened],
    revoked: &Revoked,
    known: &[Shown],
    chains: &mut PageChains<'_>,
) -> Vec<Shown> {
    let of = |name: &UserName| revoked.iter().find(|(user, _)| user == name);
    page.iter()
        .map(|opened| {
            if let Some(known) = known.iter().find(|known| known.seq == opened.message.seq) {
                know_again(me, opened, chains);
                return known.clone();
            }
            let devices = of(&opened.message.from).map_or(&[][..], |(_, devices)| devices.as_slice());
            judge(me, opened, devices, chains)
        })
        .collect()
}

/// Judges a page that follows what is kept.
pub(super) fn judged_newer(
    account: &Account,
    extent: &Extent,
    page: &[Opened],
    revoked: &Revoked,
    anew: bool,
) -> Result<(Vec<Shown>, Learned), RecordsError> {
    let records = &account.records;
    let before = records.message(&extent.name, extent.last)?;
    let known = records.known_again(extent, page)?;
    let chains = if anew { PageChains::older(extent.first <= 1) } else { PageChains::newer(records, extent) };
    let mut chains = chains.with_own(account.own_refused(&extent.name)?);
    let mut shown = judged(&account.profile.name, page, revoked, &known, &mut chains);
    let learned = chains.learned();
    learned.mark(&mut shown);
    mark_times(before.map(|before| before.time), &mut shown);
    Ok((shown, learned))
}

/// Judges a page whose preceding messages have not been read yet.
pub(super) fn judged_ahead(
    account: &mut Account,
    name: &Conversation,
    page: &[Opened],
    revoked: &Revoked,
) -> Result<Vec<Shown>, RecordsError> {
    let generation = account.records.extent(name)?.map_or(0, |extent| extent.generation);
    let own = account.own_refused(name)?;
    let mut chains = PageChains::ahead(&account.records, generation).with_own(own);
    let mut shown = judged(&account.profile.name, page, revoked, &[], &mut chains);
    let learned = chains.learned();
    learned.mark(&mut shown);
    mark_times(None, &mut shown);
    for shown in &mut shown {
        shown.generation = generation;
    }
    // New messages continue our own chain as read here, even if these records are an older copy that
    // does not know of it.
    account.advance_own(name, &learned)?;
    Ok(shown)
}

/// Marks the newest messages of an older page whose sender's chain does not continue into what is kept.
pub(super) fn mark_broken(shown: &mut [Shown], broken: &[(ChainKey, u64)]) {
    for (key, missing) in broken {
        let last = shown.iter_mut().rev().find(|shown| shown.from == key.from && shown.verdict.is_believed());
        if let Some(last) = last {
            last.verdict = last.verdict.clone().after_gap(*missing);
        }
    }
}

/// Marks every message that has an earlier server time than the one before it.
pub(super) fn mark_times(before: Option<Timestamp>, shown: &mut [Shown]) {
    let mut newest = before;
    for shown in shown {
        shown.backwards = newest.is_some_and(|newest| shown.time.as_millis() < newest.as_millis());
        newest = Some(shown.time);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sync::tests::shown;
    use super::*;

    #[test]
    fn each_time_that_runs_backwards_is_marked() {
        let mut page =
            vec![shown("#lobby", 1, 10), shown("#lobby", 2, 5), shown("#lobby", 3, 5), shown("#lobby", 4, 4)];
        mark_times(Some(Timestamp::from_millis(11)), &mut page);
        assert_eq!(page.iter().map(|shown| shown.backwards).collect::<Vec<_>>(), [true, true, false, true]);
    }
}
