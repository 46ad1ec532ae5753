//! A long history: its size is bounded where the server has the messages, its space is reused, and starts stay quick.

use std::time::{Duration, Instant};

use parlour_protocol::Timestamp;

use super::tests::{extent, id, shown};
use super::*;

fn public(seq: Seq) -> Shown {
    let lobby = Conversation::lobby();
    Shown { conversation: lobby.clone(), to: lobby, text: Some("x".repeat(2_000)), ..shown(seq) }
}

/// Keeps `count` more messages of the lobby.
fn flood(records: &mut Records, count: u64) {
    let lobby = Conversation::lobby();
    let extent = records.extent(&lobby).unwrap().unwrap_or_else(|| Extent::new(lobby, 1));
    let messages: Vec<Shown> = (extent.last + 1..=extent.last + count).map(public).collect();
    records.keep(&Extent { last: extent.last + count, ..extent }, &messages, &Learned::default()).unwrap();
}

#[test]
fn the_oldest_public_messages_go_and_their_space_is_used_again() {
    const BOUND: u64 = 1_024 * 1_024;
    let folder = tempfile::tempdir().unwrap();
    let mut records = Records::open(folder.path()).unwrap();
    records.bound_public(BOUND);
    records.keep(&extent(1, 50), &(1..=50).map(shown).collect::<Vec<_>>(), &Learned::default()).unwrap();
    let mut sizes = Vec::new();
    for _ in 0..40 {
        flood(&mut records, 100);
        records.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        sizes.push(std::fs::metadata(folder.path().join("local.db")).unwrap().len());
    }
    assert!(sizes.iter().all(|size| *size < 3 * BOUND), "{sizes:?}");
    assert_eq!(records.take_notices().len(), 1);
    assert_eq!(records.messages(&"@erik".parse().unwrap(), None, 100).unwrap().len(), 50);
    let lobby = records.extent(&Conversation::lobby()).unwrap().unwrap();
    assert_eq!(lobby.last, 4_000);
    let kept = records.messages(&lobby.name, None, 10_000).unwrap();
    assert_eq!(
        kept.iter().map(|shown| shown.seq).collect::<Vec<_>>(),
        (lobby.first..=4_000).collect::<Vec<_>>()
    );
    assert!((300..600).contains(&kept.len()), "{}", kept.len());
    drop(records);
    assert!(Records::open(folder.path()).unwrap().take_damages().is_empty());
}

#[test]
fn messages_that_are_set_aside_never_go_and_take_no_space_from_those_that_count() {
    const BOUND: u64 = 512 * 1_024;
    let lobby = Conversation::lobby();
    let folder = tempfile::tempdir().unwrap();
    let mut records = Records::open(folder.path()).unwrap();
    records.bound_public(BOUND);
    flood(&mut records, 150);
    // The server has 40 of the 150, gets 400 others, and then has 20, none of which are kept here any more.
    let parent = Some(Parent { generation: 0, last: 40 });
    for (parent, first, more) in [(parent, 1, 400), (None, 21, 800)] {
        let ended = records.extent(&lobby).unwrap().unwrap();
        let end = (Reason::SetBack, Timestamp::from_millis(5_000), first);
        records.begin_generation(&ended, end, parent, first).unwrap();
        flood(&mut records, more);
    }
    assert_eq!(records.take_notices().len(), 1);
    let aside = |records: &Records| -> Vec<(u64, Seq)> {
        let kept = records.messages(&lobby, None, 10_000).unwrap();
        kept.iter().filter(|shown| shown.set_aside).map(Shown::place).collect()
    };
    let kept_aside = aside(&records);
    let first: Vec<(u64, Seq)> = (41..=150).map(|seq| (0, seq)).collect();
    assert_eq!(kept_aside[..110], first);
    // Of the second, everything that was still kept when it was set aside.
    assert!(kept_aside.len() > 210 && kept_aside.ends_with(&[(1, 439), (1, 440)]), "{kept_aside:?}");
    let now = records.extent(&lobby).unwrap().unwrap();
    assert_eq!((now.last, now.generation), (820, 2));
    let counting = now.last + 1 - now.first;
    assert!((150..250).contains(&counting), "{counting}");
    assert!(
        records.messages(&lobby, None, 10_000).unwrap().len() as u64 == counting + kept_aside.len() as u64
    );
    let ended: Vec<Generation> = records.generations(&now).map(Result::unwrap).collect();
    assert_eq!(
        ended.iter().map(|ended| (ended.number, ended.last)).collect::<Vec<_>>(),
        [(1, 440), (0, 150)]
    );
    drop(records);
    let mut records = Records::open(folder.path()).unwrap();
    check(&mut records);
    assert!(records.take_damages().is_empty());
    assert_eq!(aside(&records), kept_aside);
}

/// Checks everything that has not been checked yet.
fn check(records: &mut Records) -> usize {
    let mut steps = 0;
    while records.is_unchecked() {
        records.check_further().unwrap();
        steps += 1;
    }
    steps
}

#[test]
fn a_large_file_is_checked_step_by_step_and_its_damage_is_reported() {
    for damage in [
        "UPDATE messages SET body = zeroblob(50) WHERE seq = 700",
        "DELETE FROM messages WHERE seq = 700",
        "DELETE FROM messages WHERE seq = 1",
        "UPDATE facts SET body = zeroblob(50) WHERE kind = 4",
        "UPDATE messages SET conversation = zeroblob(32) WHERE seq = 900",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut records = Records::open(folder.path()).unwrap();
        flood(&mut records, 2_000);
        records.set_pin(&"erik".parse().unwrap(), "kid").unwrap();
        drop(records);
        let mut records = Records::open(folder.path()).unwrap();
        assert!(records.is_unchecked());
        assert!(check(&mut records) > 10);
        assert!(records.take_damages().is_empty());
        assert_eq!(records.connection.execute(damage, []).unwrap(), 1);
        drop(records);
        let mut records = Records::open(folder.path()).unwrap();
        assert!(records.take_damages().is_empty(), "{damage}");
        check(&mut records);
        assert_eq!(records.take_damages().len(), 1, "{damage}");
        drop(records);
        let mut records = Records::open(folder.path()).unwrap();
        check(&mut records);
        assert!(records.take_damages().is_empty(), "told twice: {damage}");
    }
}

#[test]
fn messages_that_a_login_shows_are_checked_when_a_large_file_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = Records::open(folder.path()).unwrap();
    flood(&mut records, 2_000);
    records.connection.execute("UPDATE messages SET body = zeroblob(50) WHERE seq = 1950", []).unwrap();
    drop(records);
    assert_eq!(Records::open(folder.path()).unwrap().take_damages().len(), 1);
}

#[test]
fn each_waiting_message_has_its_own_note() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = Records::open(folder.path()).unwrap();
    let outgoing = |number| Outgoing {
        id: id(number),
        to: "@erik".parse().unwrap(),
        body: OutgoingBody::Text("canary".into()),
    };
    let facts = |records: &Records| -> Vec<u64> {
        let mut lengths =
            records.connection.prepare("SELECT length(body) FROM facts WHERE kind = 6").unwrap();
        lengths.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let positions: Vec<i64> = (1..=50).map(|n| records.push_outgoing(&outgoing(n)).unwrap()).collect();
    let noted = facts(&records);
    assert!(noted.len() == 50 && noted.iter().all(|length| *length < 64), "{noted:?}");
    records.sent(positions[7], &"@erik".parse().unwrap(), None).unwrap();
    assert_eq!(facts(&records).len(), 49);
    assert_eq!(records.outgoing().unwrap().len(), 49);
}

/// A measurement, to be run by hand with `--nocapture` in a release build.
#[test]
#[ignore = "a measurement"]
fn opening_with_much_history() {
    for count in [0, 1_000, 100_000] {
        let folder = tempfile::tempdir().unwrap();
        let mut records = Records::open(folder.path()).unwrap();
        for _ in 0..count / 1_000 {
            flood(&mut records, 1_000);
        }
        drop(records);
        let mut times: Vec<Duration> = (0..9)
            .map(|_| {
                let begun = Instant::now();
                drop(Records::open(folder.path()).unwrap());
                begun.elapsed()
            })
            .collect();
        times.sort();
        println!("{count} messages: {:?}", times[4]);
    }
}
