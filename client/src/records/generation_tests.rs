//! Kept messages stay, even if the server has others.

use parlour_keylog::SignedRevocation;
use parlour_protocol::{MessageId, Timestamp};

use super::tests::{extent, id, shown};
use super::*;

const NOW: Timestamp = Timestamp::from_millis(5_000);

fn erik() -> Conversation {
    "@erik".parse().unwrap()
}

/// Other messages with these `seq`: their ids differ.
fn others(seqs: impl Iterator<Item = Seq>) -> Vec<Shown> {
    seqs.map(|seq| Shown { id: id(seq + 1_000), ..shown(seq) }).collect()
}

fn ids(seqs: impl Iterator<Item = Seq>) -> Vec<(Seq, MessageId)> {
    seqs.map(|seq| (seq, id(seq))).collect()
}

/// Everything that is kept: generation, `seq`, and true if it is set aside.
fn all(records: &Records) -> Vec<(u64, Seq, bool)> {
    let all = records.messages(&erik(), None, 1_000).unwrap();
    all.iter().map(|shown| (shown.generation, shown.seq, shown.set_aside)).collect()
}

fn present(records: &Records) -> Extent {
    records.extent(&erik()).unwrap().unwrap()
}

/// Ten messages, of which a server that was set back has four; it has two new ones since.
fn set_back(folder: &Path) -> Records {
    let mut records = Records::open(folder).unwrap();
    let messages: Vec<Shown> = (1..=10).map(shown).collect();
    records.keep(&extent(1, 10), &messages, &Learned::default()).unwrap();
    let ended = present(&records);
    let parent = records.find_kept(&ended, ids(1..=4).into_iter()).unwrap();
    assert_eq!(parent, Some(Parent { generation: 0, last: 4 }));
    let begun = records.begin_generation(&ended, (Reason::SetBack, NOW, 4), parent, 1).unwrap();
    assert_eq!((begun.first, begun.last, begun.generation, begun.begins), (1, 4, 1, 5));
    records.keep(&Extent { last: 6, ..begun }, &others(5..=6), &Learned::default()).unwrap();
    records
}

#[test]
fn messages_that_a_set_back_server_does_not_have_are_set_aside_and_stay() {
    let folder = tempfile::tempdir().unwrap();
    drop(set_back(folder.path()));
    let mut records = Records::open(folder.path()).unwrap();
    assert!(records.take_damages().is_empty());
    let mut expected: Vec<(u64, Seq, bool)> = (1..=10).map(|seq| (0, seq, seq > 4)).collect();
    expected.extend([(1, 5, false), (1, 6, false)]);
    assert_eq!(all(&records), expected);
    let page = records.messages(&erik(), Some((1, 5)), 2).unwrap();
    assert_eq!(page.iter().map(Shown::place).collect::<Vec<_>>(), [(0, 9), (0, 10)]);
    // A `seq` alone finds the message that counts.
    assert_eq!(records.message(&erik(), 5).unwrap().unwrap().id, id(1_005));
    assert_eq!(records.message(&erik(), 4).unwrap().unwrap().id, id(4));
    assert_eq!(records.message(&erik(), 7).unwrap(), None);
}

#[test]
fn messages_set_aside_count_again_when_the_server_has_them_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = set_back(folder.path());
    let ended = present(&records);
    let page = ids(5..=12);
    let parent = records.find_kept(&ended, page.into_iter()).unwrap();
    assert_eq!(parent, Some(Parent { generation: 0, last: 10 }));
    let begun = records.begin_generation(&ended, (Reason::OtherMessage, NOW, 12), parent, 5).unwrap();
    assert_eq!((begun.first, begun.last, begun.begins), (1, 10, 11));
    let newer: Vec<Shown> = (11..=12).map(shown).collect();
    records.keep(&Extent { last: 12, ..begun }, &newer, &Learned::default()).unwrap();
    let aside: Vec<(u64, Seq)> = all(&records)
        .into_iter()
        .filter(|(.., aside)| *aside)
        .map(|(generation, seq, _)| (generation, seq))
        .collect();
    assert_eq!(aside, [(1, 5), (1, 6)]);
    assert_eq!(all(&records).len(), 14);
}

#[test]
fn a_gap_leaves_what_was_kept_where_it_is_and_is_closed_from_above() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = Records::open(folder.path()).unwrap();
    let messages: Vec<Shown> = (1..=5).map(shown).collect();
    records.keep(&extent(1, 5), &messages, &Learned::default()).unwrap();
    let ended = present(&records);
    let begun = records.begin_generation(&ended, (Reason::Gap, NOW, 20), None, 16).unwrap();
    assert_eq!((begun.first, begun.last), (16, 15));
    let newest: Vec<Shown> = (16..=20).map(shown).collect();
    records.keep(&Extent { last: 20, ..begun }, &newest, &Learned::default()).unwrap();
    assert_eq!(present(&records).first, 16);
    assert!(all(&records).iter().all(|(.., aside)| !aside), "{:?}", all(&records));
    // Two pages backwards; the second reaches the kept messages.
    let older: Vec<Shown> = (9..=15).map(shown).collect();
    let now = records.keep_older(&present(&records), &older, &Learned::default(), None).unwrap();
    assert_eq!(now.first, 9);
    let parent = records.find_kept(&now, ids(4..=8).into_iter()).unwrap();
    assert_eq!(parent, Some(Parent { generation: 0, last: 5 }));
    let older: Vec<Shown> = (6..=8).map(shown).collect();
    let now = records.keep_older(&now, &older, &Learned::default(), parent).unwrap();
    assert_eq!((now.first, now.last), (1, 20));
    assert_eq!(
        all(&records).iter().map(|(_, seq, _)| *seq).collect::<Vec<_>>(),
        (1..=20).collect::<Vec<_>>()
    );
    drop(records);
    assert!(Records::open(folder.path()).unwrap().take_damages().is_empty());
}

#[test]
fn a_message_that_is_judged_again_is_returned_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = set_back(folder.path());
    let signed = SignedRevocation {
        number: 1,
        name: "erik".parse().unwrap(),
        device: "0123456789abcdef".parse().unwrap(),
        time: Timestamp::from_millis(-1_000_000),
        statement: String::new(),
    };
    let judged = records.add_revocation(&"sam".parse().unwrap(), &signed).unwrap().unwrap();
    let places = |messages: &[Shown]| -> Vec<(u64, Seq, bool)> {
        messages.iter().map(|shown| (shown.generation, shown.seq, shown.set_aside)).collect()
    };
    assert_eq!(places(&judged), all(&records));
    assert!(judged.iter().all(|shown| shown.text.is_none()));
}

#[test]
fn damage_removes_messages_that_the_server_has_and_leaves_those_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = Records::open(folder.path()).unwrap();
    records.keep(&extent(1, 3), &(1..=3).map(shown).collect::<Vec<_>>(), &Learned::default()).unwrap();
    let ended = present(&records);
    let begun = records.begin_generation(&ended, (Reason::SetBack, NOW, 2), None, 1).unwrap();
    records.keep(&Extent { last: 2, ..begun }, &others(1..=2), &Learned::default()).unwrap();
    let damage = "UPDATE messages SET body = zeroblob(60) WHERE generation = 1 AND seq = 1";
    records.connection.execute(damage, []).unwrap();
    drop(records);
    let mut records = Records::open(folder.path()).unwrap();
    assert_eq!(records.take_damages().len(), 1);
    assert_eq!(all(&records), [(0, 1, true), (0, 2, true), (0, 3, true)]);
    let now = present(&records);
    assert_eq!((now.generation, now.last), (2, 0));
    // Messages that are fetched again are kept beside them.
    records.keep(&Extent { last: 2, ..now }, &others(1..=2), &Learned::default()).unwrap();
    drop(records);
    let mut records = Records::open(folder.path()).unwrap();
    assert!(records.take_damages().is_empty());
    assert_eq!(all(&records).len(), 5);
}

#[test]
fn generations_that_follow_each_other_in_a_circle_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = set_back(folder.path());
    let extent = present(&records);
    let circle = Some(Parent { generation: 1, last: 4 });
    records.keep_older(&Extent { first: 3, ..extent }, &[shown(2)], &Learned::default(), circle).unwrap();
    let ended = records.generations(&present(&records)).next().unwrap().unwrap();
    assert_eq!((ended.number, ended.parent), (0, circle));
    assert_eq!(all(&records).len(), 12);
}

#[test]
fn messages_set_aside_twice_count_again_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = Records::open(folder.path()).unwrap();
    let first: Vec<Shown> = (1..=30).map(shown).collect();
    records.keep(&extent(1, 30), &first, &Learned::default()).unwrap();
    for (newest, pages) in [(31, [1..=17, 18..=31]), (32, [1..=17, 18..=32])] {
        let begun = records.begin_generation(&present(&records), (Reason::SetBack, NOW, 0), None, 1).unwrap();
        assert_eq!((begun.first, begun.last), (1, 0));
        assert!(all(&records).iter().all(|(.., aside)| *aside));
        for page in pages {
            let parent = records.find_kept(&present(&records), ids(page).into_iter()).unwrap().unwrap();
            let adopted = records.adopt(&present(&records), parent).unwrap();
            assert_eq!(adopted.first, 1, "{parent:?} {adopted:?}");
        }
        let now = present(&records);
        records.keep(&Extent { last: newest, ..now }, &[shown(newest)], &Learned::default()).unwrap();
        assert!(all(&records).iter().all(|(.., aside)| !aside), "{:?}", all(&records));
        assert_eq!((present(&records).first, all(&records).len() as u64), (1, newest));
    }
}
