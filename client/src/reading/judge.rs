//! Judges messages that were opened, one after the other in the order of their `seq`: whether the device
//! was revoked, whether anything is missing before. What does not fit is shown as what it is, never dropped.

use parlour_protocol::limits::CLOCK_TOLERANCE_MS;
use parlour_protocol::{Body, Conversation, DeviceId, RevokedDevice, Timestamp, UNKNOWN_CONTENT, UserName};
use serde::{Deserialize, Serialize};

use crate::reading::opening::{Believed, Inside, Opened};
use crate::reading::shown::{REVOKED, Shown, Signer, Verdict};

/// A chain of one device's messages in one conversation, as far as it was seen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Chain {
    /// The counter of the first message that was seen.
    pub first_n: u64,
    /// What that message says came before it.
    pub first_prev: String,
    /// The counter of the last message that was seen.
    pub last_n: u64,
    /// The hash of that message.
    pub last_hash: String,
}

/// Where chains are remembered while messages are judged in the order of their `seq`.
pub trait Chains {
    /// What was seen of this chain.
    fn seen(&self, key: &ChainKey) -> Option<Chain>;
    /// Whether any chain of this device was seen in this conversation.
    fn knows_device(&self, conversation: &Conversation, from: &UserName, device: &DeviceId) -> bool;
    /// Whether the conversation was read from its beginning.
    fn reads_from_beginning(&self) -> bool;
    /// Whether messages between what was seen of this chain and what is judged now may be there, and just
    /// not have been read yet.
    fn skips(&self, key: &ChainKey) -> bool;
    /// Remembers how far a chain was seen.
    fn remember(&mut self, key: ChainKey, chain: Chain);
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

/// Judges one message for the user `me` that was not held before. `revoked` are the sender's revoked devices, as far
/// as they are known by now.
pub fn judge(me: &UserName, opened: &Opened, revoked: &[RevokedDevice], chains: &mut impl Chains) -> Shown {
    let message = &opened.message;
    let conversation = message.conversation(me);
    let (text, signed, verdict) = match &message.body {
        Body::Text(text) => match &message.to {
            Conversation::Channel(_) => (Some(text.as_str().to_owned()), None, Verdict::Public),
            Conversation::Direct(_) => (None, None, bad("not sealed: anybody could have written it")),
        },
        Body::Sealed(_) => match believed(opened.inside.as_ref(), revoked) {
            Ok(believed) => {
                // It takes its place in the chain, whether it can be shown or not.
                let verdict = follow(&conversation, &message.from, believed, chains);
                let was_revoked = revoked.iter().any(|revoked| revoked.device == believed.device);
                let verdict = if was_revoked { verdict.undated() } else { verdict };
                match &believed.text {
                    Ok(text) if verdict.is_believed() => (Some(text.clone()), Some(believed.signed), verdict),
                    Err(reason) if verdict.is_believed() => (None, Some(believed.signed), bad(reason)),
                    _ => (None, Some(believed.signed), verdict),
                }
            }
            Err(reason) => (None, None, bad(reason)),
        },
        Body::Unknown => (None, None, bad(UNKNOWN_CONTENT)),
    };
    let differs =
        |signed: &Timestamp| (signed.as_millis() - message.time.as_millis()).abs() > CLOCK_TOLERANCE_MS;
    Shown {
        conversation,
        seq: message.seq,
        id: message.id,
        from: message.from.clone(),
        to: message.to.clone(),
        time: message.time,
        signed: signed.filter(differs),
        text,
        verdict,
        backwards: false,
        generation: 0,
        set_aside: false,
        signer: opened
            .inside
            .as_ref()
            .and_then(|inside| inside.as_ref().ok())
            .map(|believed| Signer { device: believed.device.clone(), time: believed.signed }),
    }
}

/// What is inside, unless its device had been revoked when it signed.
fn believed<'a>(inside: Option<&'a Inside>, revoked: &[RevokedDevice]) -> Result<&'a Believed, &'a str> {
    let believed = inside.ok_or("altered: not opened")?.as_ref().map_err(String::as_str)?;
    let withdrawn = |revoked: &RevokedDevice| {
        revoked.device == believed.device && revoked.time.as_millis() <= believed.signed.as_millis()
    };
    if revoked.iter().any(withdrawn) {
        return Err(REVOKED);
    }
    Ok(believed)
}

/// Whether the message continues what was seen of its chain.
fn follow(
    conversation: &Conversation,
    from: &UserName,
    message: &Believed,
    chains: &mut impl Chains,
) -> Verdict {
    let key = ChainKey {
        conversation: conversation.clone(),
        from: from.clone(),
        device: message.device.clone(),
        chain: message.chain.clone(),
    };
    let skips = chains.skips(&key);
    let Some(seen) = chains.seen(&key) else {
        let known = chains.knows_device(conversation, from, &message.device);
        let from_beginning = chains.reads_from_beginning();
        let chain = Chain {
            first_n: message.n,
            first_prev: message.prev.clone(),
            last_n: message.n,
            last_hash: message.hash.clone(),
        };
        chains.remember(key, chain);
        return match message.n {
            0 if known => Verdict::Restarted,
            0 => Verdict::Good,
            // What came before was not read here, so nothing can be said about it.
            _ if skips || (!known && !from_beginning) => Verdict::Good,
            missing => Verdict::Gap { missing },
        };
    };
    if message.n <= seen.last_n {
        return bad("replayed: its place in the sender's chain was taken already");
    }
    let missing = message.n - seen.last_n - 1;
    if missing == 0 && message.prev != seen.last_hash {
        return bad("altered: it does not follow the message before it");
    }
    let newest = Chain { last_n: message.n, last_hash: message.hash.clone(), ..seen };
    // After what was not read the chain begins with this one: what comes before it is held against that.
    let first = skips.then(|| (message.n, message.prev.clone()));
    let (first_n, first_prev) = first.unwrap_or((newest.first_n, newest.first_prev));
    chains.remember(key, Chain { first_n, first_prev, last_n: newest.last_n, last_hash: newest.last_hash });
    if missing == 0 || skips { Verdict::Good } else { Verdict::Gap { missing } }
}

fn bad(reason: &str) -> Verdict {
    Verdict::Bad { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Chains in memory.
    #[derive(Default)]
    struct Memory {
        chains: HashMap<ChainKey, Chain>,
        from_beginning: bool,
        /// Chains that were not read up to here.
        skipped: Vec<ChainKey>,
    }

    impl Chains for Memory {
        fn seen(&self, key: &ChainKey) -> Option<Chain> {
            self.chains.get(key).cloned()
        }

        fn knows_device(&self, _: &Conversation, _: &UserName, device: &DeviceId) -> bool {
            self.chains.keys().any(|key| key.device == *device)
        }

        fn reads_from_beginning(&self) -> bool {
            self.from_beginning
        }

        fn skips(&self, key: &ChainKey) -> bool {
            self.skipped.contains(key)
        }

        fn remember(&mut self, key: ChainKey, chain: Chain) {
            self.skipped.retain(|skipped| *skipped != key);
            self.chains.insert(key, chain);
        }
    }

    fn message(chain: &str, n: u64, prev: &str, hash: &str) -> Believed {
        Believed {
            text: Ok("x".into()),
            signed: Timestamp::from_millis(0),
            device: "0123456789abcdef".parse().unwrap(),
            chain: chain.into(),
            n,
            prev: prev.into(),
            hash: hash.into(),
        }
    }

    fn verdicts(memory: &mut Memory, messages: &[Believed]) -> Vec<Verdict> {
        let conversation: Conversation = "@erik".parse().unwrap();
        let from: UserName = "erik".parse().unwrap();
        messages.iter().map(|message| follow(&conversation, &from, message, memory)).collect()
    }

    #[test]
    fn a_chain_that_runs_on_is_good() {
        let mut memory = Memory { from_beginning: true, ..Memory::default() };
        let chain = [message("c", 0, "", "a"), message("c", 1, "a", "b"), message("c", 2, "b", "d")];
        assert_eq!(verdicts(&mut memory, &chain), [Verdict::Good, Verdict::Good, Verdict::Good]);
    }

    #[test]
    fn what_is_missing_is_counted_and_what_follows_is_good_again() {
        let mut memory = Memory { from_beginning: true, ..Memory::default() };
        let chain = [message("c", 0, "", "a"), message("c", 3, "z", "b"), message("c", 4, "b", "d")];
        let expected = [Verdict::Good, Verdict::Gap { missing: 2 }, Verdict::Good];
        assert_eq!(verdicts(&mut memory, &chain), expected);
    }

    #[test]
    fn a_beginning_that_was_cut_off_shows_only_where_everything_was_read() {
        let begun = [message("c", 5, "z", "a")];
        let mut memory = Memory { from_beginning: true, ..Memory::default() };
        assert_eq!(verdicts(&mut memory, &begun), [Verdict::Gap { missing: 5 }]);
        assert_eq!(verdicts(&mut Memory::default(), &begun), [Verdict::Good]);
    }

    #[test]
    fn a_replay_and_a_message_in_the_place_of_another_are_not_believed() {
        let mut memory = Memory { from_beginning: true, ..Memory::default() };
        let chain = [message("c", 0, "", "a"), message("c", 0, "", "a"), message("c", 1, "other", "b")];
        let verdicts = verdicts(&mut memory, &chain);
        assert!(verdicts[0].is_believed());
        assert!(!verdicts[1].is_believed());
        assert!(!verdicts[2].is_believed());
    }

    #[test]
    fn what_was_not_read_yet_is_not_missing_and_a_replay_is_one_all_the_same() {
        let mut memory = Memory::default();
        verdicts(&mut memory, &[message("c", 0, "", "a"), message("c", 1, "a", "b")]);
        memory.skipped = memory.chains.keys().cloned().collect();
        let page = [
            message("c", 1, "a", "b"),
            message("c", 7, "x", "d"),
            message("c", 9, "y", "e"),
            message("c", 9, "y", "e"),
        ];
        let verdicts = verdicts(&mut memory, &page);
        assert!(!verdicts[0].is_believed() && !verdicts[3].is_believed());
        // Within the page nothing is skipped.
        assert_eq!(verdicts[1..3], [Verdict::Good, Verdict::Gap { missing: 1 }]);
    }

    #[test]
    fn a_new_chain_of_a_known_device_is_a_restart() {
        let mut memory = Memory { from_beginning: true, ..Memory::default() };
        let chain = [message("c", 0, "", "a"), message("d", 0, "", "b"), message("d", 1, "b", "c")];
        assert_eq!(verdicts(&mut memory, &chain), [Verdict::Good, Verdict::Restarted, Verdict::Good]);
    }
}
