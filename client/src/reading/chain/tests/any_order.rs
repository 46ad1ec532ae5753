//! Whatever the order in which a server delivers, nothing of an honest sender is hidden.

use proptest::prelude::*;

use super::*;

proptest! {
    /// A server delivers an honest device's messages in any order.
    #[test]
    fn refused_messages_hide_no_missing_ones(
        stored in prop::collection::vec(any::<bool>(), 1..12),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
        is_honest in any::<bool>(),
    ) {
        let sealed = sealed(&stored);
        let delivered: Vec<usize> = if is_honest {
            (0..stored.len()).filter(|index| stored[*index]).collect()
        } else {
            picks.iter().map(|pick| pick.index(stored.len())).collect()
        };
        let seen = seen(&sealed, &delivered);
        for (at, (index, (verdict, refused))) in delivered.iter().zip(&seen).enumerate() {
            let before = &delivered[..at];
            let is_newest = before.iter().all(|earlier| earlier < index);
            // Its text is shown once, in whatever order it comes.
            prop_assert_eq!(verdict == "bad", before.contains(index));
            prop_assert!(!refused || !stored[*index]);
            if is_honest {
                prop_assert_eq!(verdict, "good");
            }
            // Every stored one that is missing is counted.
            if is_newest && verdict != "bad" {
                let newest = before.iter().max();
                let missing = (newest.map_or(0, |newest| newest + 1)..*index).filter(|n| stored[*n]).count();
                prop_assert!(verdict.parse().unwrap_or(0) >= missing);
            }
            // A message that is known to be refused is marked: the next message that was taken says so.
            let says_so = |other: &usize| {
                let voids = sealed[*other].n - sealed[*other].void..sealed[*other].n;
                voids.contains(&(*index as u64))
            };
            let taken = |at: usize| delivered[..at].iter().all(|earlier| *earlier < delivered[at]);
            let is_said = (0..delivered.len()).any(|at| taken(at) && says_so(&delivered[at]));
            let was_said = before.iter().any(says_so);
            if (is_said || was_said) && verdict != "bad" {
                prop_assert!(*refused);
            }
        }
    }

    /// A reader begins with the newer part, reads the older one, and then goes on.
    #[test]
    fn nothing_is_hidden_where_an_older_page_is_read_later(
        older in prop::collection::vec(0..10_usize, 1..8),
        newer in prop::collection::vec(0..10_usize, 1..8),
        live in prop::collection::vec(0..12_usize, 0..20),
    ) {
        let sealed = sealed(&[true; 12]);
        let messages = |picks: &[usize]| picks.iter().map(|index| sealed[*index].clone()).collect::<Vec<_>>();
        let (mut kept, mut page) = (Memory::default(), Memory { from_beginning: true, ..Memory::default() });
        let mut read = seen_after(&mut kept, &messages(&newer), 50);
        seen_after(&mut page, &messages(&older), 1);
        let key = key(&sealed[0]);
        let (whole, ..) = Chain::join(page.seen(&key).unwrap(), kept.seen(&key).unwrap());
        kept.remember(key, whole);
        read.append(&mut seen_after(&mut kept, &messages(&live), 100));
        let delivered = [newer.as_slice(), &live].concat();
        for (at, (index, (verdict, _))) in delivered.iter().zip(&read).enumerate() {
            let was_older = at >= newer.len() && older.contains(index);
            prop_assert_eq!(verdict == "bad", was_older || delivered[..at].contains(index));
        }
    }
}
