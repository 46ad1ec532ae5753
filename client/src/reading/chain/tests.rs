mod any_order;

use std::collections::HashMap;

use parlour_protocol::Timestamp;

use super::*;

/// Chains in memory.
#[derive(Default)]
struct Memory {
    chains: HashMap<ChainKey, Chain>,
    from_beginning: bool,
    /// Chains that were not read up to here.
    skipped: Vec<ChainKey>,
    /// The places of messages that were refused, as later ones say.
    refused: Vec<Seq>,
    /// The counters that the server told our own device it refused.
    told: Vec<u64>,
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

    fn begins_here(&self, _: &ChainKey) -> bool {
        false
    }

    fn told_refused(&self, _: &ChainKey, n: u64) -> bool {
        self.told.contains(&n)
    }

    fn refuse(&mut self, place: Place) {
        self.refused.push(place.seq);
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
        void: 0,
        hash: hash.into(),
    }
}

fn key(message: &Believed) -> ChainKey {
    ChainKey {
        conversation: "@erik".parse().unwrap(),
        from: "erik".parse().unwrap(),
        device: message.device.clone(),
        chain: message.chain.clone(),
    }
}

/// The messages follow each other in the conversation, from this `seq` on.
fn followed(memory: &mut Memory, messages: &[Believed], first: Seq) -> Vec<Followed> {
    let places = (first..).map(|seq| Place { seq, id: MessageId::from_bytes([1; 16]) });
    messages
        .iter()
        .zip(places)
        .map(|(message, place)| follow(&key(message), message, place, memory))
        .collect()
}

fn verdicts(memory: &mut Memory, messages: &[Believed]) -> Vec<Verdict> {
    followed(memory, messages, 1).into_iter().map(|followed| followed.verdict).collect()
}

#[test]
fn a_chain_that_runs_on_is_good() {
    let mut memory = Memory { from_beginning: true, ..Memory::default() };
    let chain = [message("c", 0, "", "a"), message("c", 1, "a", "b"), message("c", 2, "b", "d")];
    assert_eq!(verdicts(&mut memory, &chain), [Verdict::Good, Verdict::Good, Verdict::Good]);
}

#[test]
fn missing_messages_are_counted_and_the_next_one_is_good_again() {
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
fn unread_messages_are_not_missing_and_a_replay_after_them_is_found() {
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

/// The messages that an honest device seals when the server stores some of its messages and refuses the others.
fn sealed(stored: &[bool]) -> Vec<Believed> {
    let (mut prev, mut void) = (String::new(), 0);
    let sealed = stored.iter().enumerate().map(|(n, stored)| {
        let hash = format!("hash {n}");
        let message = Believed { void, ..message("c", n as u64, &prev, &hash) };
        (prev, void) = if *stored { (hash, 0) } else { (std::mem::take(&mut prev), void + 1) };
        message
    });
    sealed.collect()
}

/// The reader's final view of these messages, which follow those in `memory`: `good`, `bad`, or the number of messages
/// missing before it, and true if it was refused.
fn seen_after(memory: &mut Memory, messages: &[Believed], first: Seq) -> Vec<(String, bool)> {
    let followed = followed(memory, messages, first);
    let words = |verdict: &Verdict| match verdict {
        Verdict::Bad { .. } => "bad".to_owned(),
        Verdict::Gap { missing } => missing.to_string(),
        Verdict::Late => "late".to_owned(),
        _ => "good".to_owned(),
    };
    let later = |seq| memory.refused.contains(&seq);
    followed.iter().zip(first..).map(|(f, seq)| (words(&f.verdict), f.refused || later(seq))).collect()
}

/// The same for these messages out of `sealed`, for somebody who reads from the beginning.
fn seen(sealed: &[Believed], delivered: &[usize]) -> Vec<(String, bool)> {
    let mut memory = Memory { from_beginning: true, ..Memory::default() };
    let delivered: Vec<Believed> = delivered.iter().map(|index| sealed[*index].clone()).collect();
    seen_after(&mut memory, &delivered, 1)
}

fn words(expected: &[(&str, bool)]) -> Vec<(String, bool)> {
    expected.iter().map(|(word, refused)| ((*word).to_owned(), *refused)).collect()
}

#[test]
fn refused_messages_are_marked_in_any_order_and_never_missed() {
    let sealed = sealed(&[true, false, false, true, false, true]);
    let (good, refused, bad) = (("good", false), ("good", true), ("bad", false));
    for (delivered, expected) in [
        ([0, 3, 5].as_slice(), [good, good, good].as_slice()),
        (&[0, 1, 2, 3, 4, 5], &[good, refused, refused, good, refused, good]),
        (&[0, 1, 3, 5, 2, 4], &[good, refused, good, good, refused, refused]),
        (&[0, 3, 2, 1], &[good, good, refused, refused]),
        (&[0, 2, 1, 3], &[good, refused, refused, good]),
        (&[0, 3, 1, 1], &[good, good, refused, bad]),
        (&[0, 1, 1, 3, 1], &[good, refused, bad, good, bad]),
        (&[0, 5], &[good, ("3", false)]),
        (&[0, 4, 5], &[good, ("3", true), ("3", false)]),
        (&[3], &[("1", false)]),
        (&[1, 2, 3], &[("1", true), ("1", true), ("1", false)]),
        // A message that nothing follows yet is not known to be refused.
        (&[0, 1], &[good, good]),
    ] {
        assert_eq!(seen(&sealed, delivered), words(expected), "{delivered:?}");
    }
}

#[test]
fn a_chain_whose_first_messages_were_refused_begins_all_the_same() {
    let sealed = sealed(&[false, false, true]);
    let (good, refused) = (("good", false), ("good", true));
    assert_eq!(seen(&sealed, &[2]), words(&[good]));
    assert_eq!(seen(&sealed, &[0, 1, 2]), words(&[refused, refused, good]));
    assert_eq!(seen(&sealed, &[2, 1, 0]), words(&[good, refused, refused]));
}

#[test]
fn a_reader_who_begins_in_the_middle_believes_the_first_message_about_those_before_it() {
    let sealed = sealed(&[true, false, false, true, false, true]);
    let mut memory = Memory::default();
    let read = seen_after(&mut memory, &sealed[1..], 1);
    let (good, refused) = (("good", false), ("good", true));
    assert_eq!(read, words(&[refused, refused, good, refused, good]));
}

#[test]
fn a_message_that_is_replayed_or_altered_calls_nothing_refused() {
    let sealed = sealed(&[true, false, false, true]);
    let mut memory = Memory { from_beginning: true, ..Memory::default() };
    seen_after(&mut memory, &sealed[..2], 1);
    let altered = Believed { prev: "other".into(), ..sealed[3].clone() };
    assert_eq!(seen_after(&mut memory, &[altered], 3), words(&[("bad", false)]));
    assert!(memory.refused.is_empty());
    assert_eq!(seen_after(&mut memory, &sealed[3..], 4), words(&[("good", false)]));
    assert_eq!(memory.refused, [2]);
}

#[test]
fn a_sender_who_calls_more_than_its_last_message_refused_hides_nothing() {
    let honest = sealed(&[true, true, true, true]);
    let mut memory = Memory { from_beginning: true, ..Memory::default() };
    seen_after(&mut memory, &honest, 1);
    let liar = Believed { void: 3, ..message("c", 4, "hash 0", "hash 4") };
    // Only two are remembered; the rest is not known any more.
    assert_eq!(seen_after(&mut memory, &[liar], 5), words(&[("1", false)]));
    assert_eq!(memory.refused, [4, 3]);
    // And what was taken comes no second time.
    assert_eq!(seen_after(&mut memory, &honest[1..2], 6), words(&[("bad", false)]));
}

#[test]
fn our_own_refused_message_is_marked_at_once() {
    let sealed = sealed(&[true, false, true]);
    let mut memory = Memory { from_beginning: true, told: vec![1], ..Memory::default() };
    let (good, refused) = (("good", false), ("good", true));
    assert_eq!(seen_after(&mut memory, &sealed[..2], 1), words(&[good, refused]));
    assert_eq!(seen_after(&mut memory, &sealed[1..], 3), words(&[("bad", false), good]));
}

#[test]
fn an_older_page_is_joined_with_what_the_newer_part_calls_refused() {
    let sealed = sealed(&[true, false, false, true, false, true]);
    // The start of the newer part, the messages of the older page, the number missing between, and the refused ones.
    for (begins, older, missing, refused) in [
        (3, [0].as_slice(), 0, [].as_slice()),
        (3, &[0, 1], 0, &[2]),
        (3, &[0, 1, 2], 0, &[2, 3]),
        (3, &[0, 2], 0, &[2]),
        (2, &[0, 1], 0, &[2]),
        (2, &[0], 0, &[]),
        (5, &[0, 3, 4], 0, &[3]),
        (5, &[0], 3, &[]),
        (4, &[0, 1], 2, &[]),
        (3, &[2], 0, &[1]),
        (3, &[0, 3], 1, &[]),
    ] {
        let mut newer = Memory::default();
        seen_after(&mut newer, &sealed[begins..], 10);
        let mut page = Memory { from_beginning: older[0] == 0, ..Memory::default() };
        let messages: Vec<Believed> = older.iter().map(|index| sealed[*index].clone()).collect();
        seen_after(&mut page, &messages, 1);
        let key = key(&sealed[0]);
        let (whole, places, found) = Chain::join(page.seen(&key).unwrap(), newer.seen(&key).unwrap());
        assert_eq!(found, missing, "{begins} {older:?}");
        let mut marked: Vec<Seq> = places.iter().map(|place| place.seq).chain(page.refused).collect();
        marked.sort_unstable();
        assert_eq!(marked, refused, "{begins} {older:?}");
        assert_eq!((whole.first_n, whole.last_n), (sealed[older[0]].n, 5));
    }
}

#[test]
fn only_messages_that_an_older_page_had_are_replays_later() {
    let sealed = sealed(&[true, false, false, true]);
    let (mut newer, mut page) = (Memory::default(), Memory { from_beginning: true, ..Memory::default() });
    seen_after(&mut newer, &sealed[3..], 10);
    seen_after(&mut page, &sealed[..2], 1);
    let key = key(&sealed[0]);
    let (whole, ..) = Chain::join(page.seen(&key).unwrap(), newer.seen(&key).unwrap());
    newer.remember(key, whole);
    let later = seen_after(&mut newer, &[sealed[1].clone(), sealed[2].clone(), sealed[2].clone()], 20);
    assert_eq!(later, words(&[("bad", false), ("good", true), ("bad", false)]));
}

#[test]
fn what_comes_late_is_good_once_and_changes_nothing_of_what_follows() {
    let sealed = sealed(&[true; 6]);
    let (good, late, bad) = (("good", false), ("late", false), ("bad", false));
    for (delivered, expected) in [
        ([4, 0, 1, 2, 3, 5].as_slice(), [("4", false), late, late, late, late, good].as_slice()),
        (&[0, 3, 2, 2, 1, 3, 4], &[good, ("2", false), late, bad, late, bad, good]),
    ] {
        assert_eq!(seen(&sealed, delivered), words(expected), "{delivered:?}");
    }
}

#[test]
fn what_a_late_message_calls_refused_is_marked_when_it_comes() {
    let sealed = sealed(&[true, false, true, true]);
    let expected = words(&[("good", false), ("2", false), ("late", false), ("good", true), ("bad", false)]);
    assert_eq!(seen(&sealed, &[0, 3, 2, 1, 1]), expected);
}

#[test]
fn what_was_taken_in_an_earlier_generation_comes_late_in_a_new_one_once() {
    let sealed = sealed(&[true, false, true, true]);
    let mut memory = Memory { from_beginning: true, ..Memory::default() };
    seen_after(&mut memory, &sealed[..3], 1);
    let key = key(&sealed[0]);
    let begun = memory.seen(&key).unwrap().in_new_generation();
    memory.remember(key, begun);
    let again = [0, 2, 0, 1, 3, 2].map(|index| sealed[index].clone());
    let (late, bad) = (("late", false), ("bad", false));
    let expected = [late, late, bad, ("good", true), ("good", false), bad];
    assert_eq!(seen_after(&mut memory, &again, 10), words(&expected));
}

#[test]
fn a_chain_that_an_older_version_kept_knows_of_none_that_are_missing() {
    let kept = r#"{"first_n":0,"first_prev":"","last_n":3,"last_hash":"hash 3"}"#;
    let sealed = sealed(&[true; 4]);
    let mut memory = Memory { from_beginning: true, ..Memory::default() };
    memory.remember(key(&sealed[0]), serde_json::from_str(kept).unwrap());
    assert_eq!(seen_after(&mut memory, &sealed[1..2], 5), words(&[("bad", false)]));
}

#[test]
fn a_chain_that_an_older_version_kept_goes_on() {
    let kept = r#"{"first_n":0,"first_prev":"","last_n":3,"last_hash":"hash 3"}"#;
    let chain: Chain = serde_json::from_str(kept).unwrap();
    assert_eq!(serde_json::to_string(&chain).unwrap(), kept);
    let sealed = sealed(&[true, true, true, true, false, true]);
    let mut memory = Memory { from_beginning: true, ..Memory::default() };
    memory.remember(key(&sealed[0]), chain);
    let (good, refused) = (("good", false), ("good", true));
    assert_eq!(seen_after(&mut memory, &sealed[4..], 5), words(&[refused, good]));
}

#[test]
fn a_hostile_sender_cannot_make_a_chain_large() {
    let mut memory = Memory { from_beginning: true, ..Memory::default() };
    for round in 0..2_000_u64 {
        let n = 9_000_000_000_000_000 + round * 4;
        let message = Believed { void: 2, ..message("c", n, &"h".repeat(43), &"h".repeat(43)) };
        seen_after(&mut memory, &[message], round);
    }
    let size = serde_json::to_string(memory.chains.values().next().unwrap()).unwrap().len();
    assert!(size < 20_000, "{size}");
}
