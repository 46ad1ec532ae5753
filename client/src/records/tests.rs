use parlour_protocol::limits::VOID_COUNTERS;
use parlour_protocol::{MessageId, Timestamp};

use super::*;
use crate::reading::chain::{Chain, Place};
use crate::reading::shown::Verdict;

pub(super) fn id(number: u64) -> MessageId {
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    MessageId::from_bytes(bytes)
}

pub(super) fn shown(seq: Seq) -> Shown {
    Shown {
        conversation: "@erik".parse().unwrap(),
        seq,
        id: id(seq),
        from: "erik".parse().unwrap(),
        to: "@sam".parse().unwrap(),
        time: Timestamp::from_millis(1_000),
        signed: None,
        text: Some(format!("canary {seq}")),
        verdict: Verdict::Good,
        backwards: false,
        generation: 0,
        set_aside: false,
        refused: false,
        signer: None,
    }
}

pub(super) fn extent(first: Seq, last: Seq) -> Extent {
    Extent { last, ..Extent::new("@erik".parse().unwrap(), first) }
}

#[test]
fn records_are_complete_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let erik: Conversation = "@erik".parse().unwrap();
    let mut records = Records::open(folder.path()).unwrap();
    let messages: Vec<Shown> = (1..=5).map(shown).collect();
    records.keep(&extent(1, 5), &messages, &Learned::default()).unwrap();
    records.mark_read(&erik, 3).unwrap();
    records.set_pin(&"erik".parse().unwrap(), "kid").unwrap();
    drop(records);

    let records = Records::open(folder.path()).unwrap();
    let extents = records.extents().unwrap();
    assert_eq!(extents.iter().map(|e| (e.first, e.last, e.read)).collect::<Vec<_>>(), [(1, 5, 3)]);
    assert_eq!(records.messages(&erik, None, 2).unwrap(), messages[3..]);
    assert_eq!(records.messages(&erik, Some((0, 3)), 100).unwrap(), messages[..2]);
    assert_eq!(records.pin(&"erik".parse().unwrap()).unwrap().as_deref(), Some("kid"));
}

#[test]
fn the_outbox_keeps_its_order_and_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = Records::open(folder.path()).unwrap();
    let outgoing = |byte| Outgoing {
        id: MessageId::from_bytes([byte; 16]),
        to: "@erik".parse().unwrap(),
        body: OutgoingBody::Text("canary".into()),
    };
    let first = records.push_outgoing(&outgoing(1)).unwrap();
    records.push_outgoing(&outgoing(2)).unwrap();
    let sealed = Outgoing {
        body: OutgoingBody::Sealed {
            text: "canary".into(),
            jwe: "{}".into(),
            hash: "h".into(),
            chain: "c".into(),
            n: 4,
        },
        ..outgoing(1)
    };
    records.update_outgoing(first, &sealed).unwrap();
    let kept: Vec<Outgoing> = records.outgoing().unwrap().into_iter().map(|(_, o)| o).collect();
    assert_eq!(kept, [sealed, outgoing(2)]);
    records.give_up_outgoing(first, None).unwrap();
    assert_eq!(records.outgoing().unwrap().len(), 1);
}

#[test]
fn the_file_gives_nothing_away_and_notices_changes() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = Records::open(folder.path()).unwrap();
    records.keep(&extent(1, 2), &[shown(1), shown(2)], &Learned::default()).unwrap();
    records.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let bytes = std::fs::read(folder.path().join("local.db")).unwrap();
    for canary in [b"canary".as_slice(), b"erik", b"sam"] {
        assert!(!bytes.windows(canary.len()).any(|window| window == canary));
    }
    // A row that is moved to another place does not open.
    let one: Vec<u8> =
        records.connection.query_row("SELECT body FROM messages WHERE seq = 1", [], |r| r.get(0)).unwrap();
    records.connection.execute("UPDATE messages SET body = ?1 WHERE seq = 2", [one]).unwrap();
    assert!(records.messages(&"@erik".parse().unwrap(), None, 10).is_err());
}

fn burnt(chain: &str, n: u64) -> Burnt {
    let key = ChainKey {
        conversation: "@erik".parse().unwrap(),
        from: "sam".parse().unwrap(),
        device: "0123456789abcdef".parse().unwrap(),
        chain: chain.to_owned(),
    };
    Burnt { key, n, hash: format!("hash {n}") }
}

fn sealed(chain: &str, n: u64) -> Outgoing {
    let (text, jwe, hash) = ("canary".to_owned(), "{}".to_owned(), format!("hash {n}"));
    let body = OutgoingBody::Sealed { text, jwe, hash, chain: chain.to_owned(), n };
    Outgoing { id: id(n), to: "@erik".parse().unwrap(), body }
}

#[test]
fn a_refused_message_leaves_the_outbox_and_burns_its_counter_in_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let erik: Conversation = "@erik".parse().unwrap();
    let own = |n, prev: &str, void| OwnChain { chain: "c".to_owned(), n, prev: prev.to_owned(), void };
    let mut records = Records::open(folder.path()).unwrap();
    let first = records.push_outgoing(&sealed("c", 0)).unwrap();
    records.sent(first, &erik, Some(&own(1, "hash 0", 0))).unwrap();
    for (n, void) in [(1, 1), (2, 2)] {
        let position = records.push_outgoing(&sealed("c", n)).unwrap();
        // If the counter cannot be used up, the message stays.
        let fault =
            "CREATE TEMP TRIGGER fault BEFORE INSERT ON main.facts BEGIN SELECT RAISE(ABORT, 'fault'); END";
        records.connection.execute_batch(fault).unwrap();
        assert!(records.give_up_outgoing(position, Some(&burnt("c", n))).is_err());
        records.connection.execute_batch("DROP TRIGGER fault").unwrap();
        assert_eq!(records.own_chain(&erik).unwrap(), Some(own(n, "hash 0", void - 1)));
        assert_eq!(records.outgoing().unwrap().len(), 1);
        records.give_up_outgoing(position, Some(&burnt("c", n))).unwrap();
        assert_eq!(records.own_chain(&erik).unwrap(), Some(own(n + 1, "hash 0", void)));
        drop(records);
        records = Records::open(folder.path()).unwrap();
        assert_eq!(records.own_chain(&erik).unwrap(), Some(own(n + 1, "hash 0", void)));
        assert!(records.outgoing().unwrap().is_empty());
    }
    assert_eq!(records.own_chain(&erik).unwrap().unwrap().refused(), 1..3);
    // The next stored message lists them, and they need not be listed again.
    let position = records.push_outgoing(&sealed("c", 3)).unwrap();
    records.sent(position, &erik, Some(&own(4, "hash 3", 0))).unwrap();
    assert!(records.own_chain(&erik).unwrap().unwrap().refused().is_empty());
}

#[test]
fn a_chain_with_too_many_refused_messages_ends_and_its_successor_can_be_refused_too() {
    let folder = tempfile::tempdir().unwrap();
    let erik: Conversation = "@erik".parse().unwrap();
    let mut records = Records::open(folder.path()).unwrap();
    for n in 0..=VOID_COUNTERS {
        assert!(records.own_chain(&erik).unwrap().is_none_or(|own| own.can_go_on()), "{n}");
        records.write(|records| records.burn(&burnt("c", n))).unwrap();
    }
    let own = records.own_chain(&erik).unwrap().unwrap();
    assert!(!own.can_go_on() && own.refused() == (0..VOID_COUNTERS + 1));
    records.write(|records| records.burn(&burnt("d", 0))).unwrap();
    let own = records.own_chain(&erik).unwrap().unwrap();
    assert!(own.can_go_on() && (own.chain.as_str(), own.refused()) == ("d", 0..1));
}

#[test]
fn a_message_that_was_delivered_and_then_refused_is_marked_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let erik: Conversation = "@erik".parse().unwrap();
    let mut records = Records::open(folder.path()).unwrap();
    let position = records.push_outgoing(&sealed("c", 0)).unwrap();
    let place = Place { seq: 2, id: id(2) };
    let chain = Chain { last_hash: "hash 0".to_owned(), last_place: Some(place), ..Chain::default() };
    let learned = Learned { chains: vec![(burnt("c", 0).key, chain)], refused: vec![] };
    records.keep(&extent(1, 2), &[shown(1), shown(2)], &learned).unwrap();
    let marked = records.give_up_outgoing(position, Some(&burnt("c", 0))).unwrap();
    assert_eq!(marked, [Shown { refused: true, ..shown(2) }]);
    // A later message says the same, which is nothing new.
    let learned = Learned { chains: vec![], refused: vec![place, Place { seq: 1, id: id(9) }] };
    let next = Extent { last: 3, ..records.extent(&erik).unwrap().unwrap() };
    assert!(records.keep(&next, &[shown(3)], &learned).unwrap().is_empty());
    assert_eq!(records.messages(&erik, None, 9).unwrap()[1..], [marked[0].clone(), shown(3)]);
    assert_eq!(records.extent(&erik).unwrap().unwrap().refused, 1);
}

#[test]
fn our_own_chain_as_an_older_version_kept_it_has_no_refused_counters() {
    let own: OwnChain = serde_json::from_str(r#"{"chain":"c","n":7,"prev":"h"}"#).unwrap();
    assert!(own.can_go_on() && own.refused().is_empty());
}
