//! Chains: each device numbers its messages in each conversation, so that a reader sees when the server holds one back,
//! moves one, delivers one twice, or delivers one that it had refused. The rules are those of
//! docs/private-messages.md, 10.7.

use parlour_protocol::{Conversation, DeviceId, MessageId, Seq, UserName};
use serde::{Deserialize, Serialize};

use crate::reading::counters::Counters;
use crate::reading::opening::Believed;
use crate::reading::shown::{Verdict, is_default};

/// A chain of one device's messages in one conversation, as far as it was seen.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Chain {
    /// The counter of the first message that was seen.
    pub first_n: u64,
    /// The hash of the message that it says it follows.
    pub first_prev: String,
    /// The number of refused messages between the two.
    #[serde(default, skip_serializing_if = "is_default")]
    pub first_void: u64,
    /// The counter of the last message that was seen.
    pub last_n: u64,
    /// The hash of that message.
    pub last_hash: String,
    /// The place of that message; older versions kept none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_place: Option<Place>,
    /// The newest message before it that counts; it is used for comparison if the last one was refused. Two are enough:
    /// a sender seals nothing before it knows the fate of its last message, and the next one lists that if it was
    /// refused. So no message of an honest sender calls more than the last one refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Taken>,
    /// Counters of messages that were refused and have not been delivered.
    #[serde(default, skip_serializing_if = "Counters::is_empty")]
    pub refused: Counters,
    /// Counters below the last one of which no message took its place. Older versions kept none: to them all that came
    /// late was a replay.
    #[serde(default, skip_serializing_if = "Counters::is_empty")]
    pub missing: Counters,
}

/// A message that took its place in a chain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Taken {
    /// Its counter.
    pub n: u64,
    /// Its hash.
    pub hash: String,
    /// Its place in the conversation; none if it was not read, and a later one says that it was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// The place of a message in its conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)] // its names say it
pub struct Place {
    pub seq: Seq,
    pub id: MessageId,
}

/// The name of a chain.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ChainKey {
    /// The conversation that it is in.
    pub conversation: Conversation,
    /// The sender.
    pub from: UserName,
    /// The sender's device.
    pub device: DeviceId,
    /// The sender's random name for it.
    pub chain: String,
}

/// The memory for chains while messages are judged in the order of their `seq`.
pub trait Chains {
    /// The part of this chain that was seen.
    fn seen(&self, key: &ChainKey) -> Option<Chain>;
    /// True if any chain of this device was seen in this conversation.
    fn knows_device(&self, conversation: &Conversation, from: &UserName, device: &DeviceId) -> bool;
    /// True if the conversation was read from its beginning.
    fn reads_from_beginning(&self) -> bool;
    /// True if messages between what was seen of this chain and what is judged now may be there, and just have not
    /// been read yet.
    fn skips(&self, key: &ChainKey) -> bool;
    /// True if what was seen of this chain is of earlier generations alone, and it begins anew in the present one with
    /// what is judged now.
    fn begins_here(&self, key: &ChainKey) -> bool;
    /// True if this is a chain of our own device, which was told that the message with this counter was refused.
    fn told_refused(&self, key: &ChainKey, n: u64) -> bool;
    /// Remembers the state of a chain.
    fn remember(&mut self, key: ChainKey, chain: Chain);
    /// Remembers that the message in this place was refused, as its sender says later.
    fn refuse(&mut self, place: Place);
}

/// The part of a message in its chain.
pub(crate) struct Followed {
    pub(crate) verdict: Verdict,
    /// The server told the sender that this message was refused.
    pub(crate) refused: bool,
}

/// Gives a message in this place its part in the chain.
pub(crate) fn follow(key: &ChainKey, message: &Believed, place: Place, chains: &mut impl Chains) -> Followed {
    let skips = chains.skips(key);
    let Some(mut seen) = chains.seen(key) else {
        let verdict = begin(key, message, place, skips, chains);
        return Followed { verdict, refused: chains.told_refused(key, message.n) };
    };
    if seen.refused.contains(message.n) {
        // Once. Of what is skipped nothing is remembered: the chain has to be read up to here first.
        if !skips {
            seen.refused.remove(message.n);
            seen.missing.remove(message.n);
            chains.remember(key.clone(), seen);
        }
        return Followed { verdict: Verdict::Good, refused: true };
    }
    let verdict = go_on(key, seen, message, place, skips, chains);
    let refused = verdict.is_believed() && chains.told_refused(key, message.n);
    Followed { verdict, refused }
}

/// A message of a chain that was not seen before.
fn begin(key: &ChainKey, message: &Believed, place: Place, skips: bool, chains: &mut impl Chains) -> Verdict {
    let known = chains.knows_device(&key.conversation, &key.from, &message.device);
    let is_unread = skips || (!known && !chains.reads_from_beginning());
    let verdict = match message.predecessor() {
        None if known => Verdict::Restarted,
        None => Verdict::Good,
        // The messages before it were not read here, so nothing can be said about them.
        Some(_) if is_unread => Verdict::Good,
        Some(n) => Verdict::Gap { missing: n + 1 },
    };
    let (mut refused, mut missing) = (Counters::default(), Counters::default());
    refused.push(message.n - message.void..message.n);
    missing.push(0..message.n - message.void);
    let chain = Chain {
        first_n: message.n,
        first_prev: message.prev.clone(),
        first_void: message.void,
        last_n: message.n,
        last_hash: message.hash.clone(),
        last_place: Some(place),
        before: is_unread.then(|| message.unread()).flatten(),
        refused,
        missing,
    };
    chains.remember(key.clone(), chain);
    verdict
}

/// A message of a chain that was seen before.
fn go_on(
    key: &ChainKey,
    seen: Chain,
    message: &Believed,
    place: Place,
    skips: bool,
    chains: &mut impl Chains,
) -> Verdict {
    if message.n <= seen.last_n {
        return come_late(key, seen, message, place, skips, chains);
    }
    let predecessor = message.predecessor();
    // Messages that this one calls refused do not count any more.
    let (counting, refused): (Vec<Taken>, Vec<Taken>) =
        seen.taken().partition(|taken| predecessor.is_some_and(|n| taken.n <= n));
    let newest = counting.into_iter().next();
    let missing = match (predecessor, &newest) {
        (None, _) => 0,
        (Some(n), None) => n + 1,
        (Some(n), Some(newest)) => n - newest.n,
    };
    if missing == 0 && newest.as_ref().is_some_and(|newest| newest.hash != message.prev) {
        return bad("altered: it does not follow the message before it");
    }
    for place in refused.into_iter().filter_map(|taken| taken.place) {
        chains.refuse(place);
    }
    let mut listed = seen.refused;
    listed.push((seen.last_n + 1).max(message.n - message.void)..message.n);
    let mut never_taken = seen.missing;
    never_taken.push(seen.last_n + 1..message.n - message.void);
    // After an unread part the chain begins with this message: what comes before it is compared with that.
    let (first_n, first_prev, first_void) = if skips {
        (message.n, message.prev.clone(), message.void)
    } else {
        (seen.first_n, seen.first_prev, seen.first_void)
    };
    let chain = Chain {
        first_n,
        first_prev,
        first_void,
        last_n: message.n,
        last_hash: message.hash.clone(),
        last_place: Some(place),
        before: if skips { message.unread() } else { newest },
        refused: listed,
        missing: never_taken,
    };
    chains.remember(key.clone(), chain);
    if missing == 0 || skips { Verdict::Good } else { Verdict::Gap { missing } }
}

/// A message that newer ones of its chain came before. It is a replay if its place was taken; else the server has moved
/// it, and it is shown: what is hidden once would be hidden for good.
fn come_late(
    key: &ChainKey,
    mut seen: Chain,
    message: &Believed,
    place: Place,
    skips: bool,
    chains: &mut impl Chains,
) -> Verdict {
    if !seen.missing.contains(message.n) {
        return bad("replayed: its place in the sender's chain was taken already");
    }
    let begins_here = chains.begins_here(key);
    // Of what is skipped nothing is remembered: the chain has to be read up to here first.
    if skips && !begins_here {
        return Verdict::Late;
    }
    seen.missing.remove(message.n);
    for refused in message.n - message.void..message.n {
        if seen.missing.contains(refused) {
            seen.missing.remove(refused);
            seen.refused.insert(refused);
        }
    }
    if skips {
        (seen.first_n, seen.first_prev) = (message.n, message.prev.clone());
        seen.first_void = message.void;
    }
    let is_newer = seen.before.as_ref().is_none_or(|before| before.n < message.n);
    if is_newer && message.n < seen.last_n {
        seen.before = Some(Taken { n: message.n, hash: message.hash.clone(), place: Some(place) });
    }
    chains.remember(key.clone(), seen);
    Verdict::Late
}

/// Takes the place of a message that was judged before, and is known again.
pub(crate) fn take_known(key: &ChainKey, n: u64, chains: &mut impl Chains) {
    if chains.skips(key) {
        return;
    }
    if let Some(mut seen) = chains.seen(key).filter(|seen| seen.missing.contains(n)) {
        seen.missing.remove(n);
        chains.remember(key.clone(), seen);
    }
}

impl Chain {
    /// The chain as a new generation begins with it: no message took a place there yet.
    pub(crate) fn in_new_generation(mut self) -> Self {
        self.missing = Counters::default();
        self.missing.push(0..self.last_n + 1);
        self
    }

    /// The newest messages that count, the last one first.
    fn taken(&self) -> impl Iterator<Item = Taken> + use<> {
        let last = Taken { n: self.last_n, hash: self.last_hash.clone(), place: self.last_place };
        std::iter::once(last).chain(self.before.clone())
    }

    /// Joins the chain, as an older page shows it, to what is kept of it: it must run on from the one into the other.
    /// Returns the whole, the places of messages in the page that turn out to be refused, and how many messages are
    /// missing between.
    pub(crate) fn join(older: Self, kept: Self) -> (Self, Vec<Place>, u64) {
        let predecessor = kept.first_n.saturating_sub(kept.first_void).checked_sub(1);
        let (counting, refused): (Vec<Taken>, Vec<Taken>) =
            older.taken().partition(|taken| predecessor.is_some_and(|n| taken.n <= n));
        let refused = refused.into_iter().filter(|taken| taken.n < kept.first_n);
        let refused = refused.filter_map(|taken| taken.place).collect();
        let newest = counting.into_iter().next();
        let follows = older.last_n < kept.first_n
            && match (predecessor, &newest) {
                (None, newest) => newest.is_none(),
                (Some(n), Some(newest)) => newest.n == n && newest.hash == kept.first_prev,
                (Some(_), None) => false,
            };
        let between = predecessor.map_or(0, |n| newest.as_ref().map_or(n + 1, |newest| n - newest.n));
        let missing = if follows { 0 } else { between.max(1) };
        let mut listed = older.refused.clone();
        listed.append(&kept.refused, older.last_n);
        // A counter that neither part took was never taken.
        let highest = older.last_n.max(kept.last_n);
        let never_taken_in = |part: &Self| {
            let mut missing = part.missing.clone();
            missing.push(part.last_n + 1..highest + 1);
            missing
        };
        let never_taken = never_taken_in(&older).both(&never_taken_in(&kept));
        // A server that moves messages may have put the newest one into the older page.
        let newest = if older.last_n > kept.last_n { older.clone() } else { kept };
        let whole = Self {
            first_n: older.first_n,
            first_prev: older.first_prev,
            first_void: older.first_void,
            refused: listed,
            missing: never_taken,
            ..newest
        };
        (whole, refused, missing)
    }
}

impl Believed {
    /// The counter of the message that this one follows, if there is one.
    fn predecessor(&self) -> Option<u64> {
        self.n.checked_sub(self.void)?.checked_sub(1)
    }

    /// The message that this one follows and that was not read: what this one says of it is taken as given.
    fn unread(&self) -> Option<Taken> {
        let n = self.predecessor()?;
        Some(Taken { n, hash: self.prev.clone(), place: None })
    }
}

fn bad(reason: &str) -> Verdict {
    Verdict::Bad { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
