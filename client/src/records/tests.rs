use parlour_protocol::{MessageId, Timestamp};

use super::*;
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
        signer: None,
    }
}

pub(super) fn extent(first: Seq, last: Seq) -> Extent {
    Extent { last, ..Extent::new("@erik".parse().unwrap(), first) }
}

#[test]
fn what_is_kept_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let erik: Conversation = "@erik".parse().unwrap();
    let mut records = Records::open(folder.path()).unwrap();
    let messages: Vec<Shown> = (1..=5).map(shown).collect();
    records.keep(&extent(1, 5), &messages, &[]).unwrap();
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
    records.remove_outgoing(first).unwrap();
    assert_eq!(records.outgoing().unwrap().len(), 1);
}

#[test]
fn the_file_gives_nothing_away_and_notices_changes() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = Records::open(folder.path()).unwrap();
    records.keep(&extent(1, 2), &[shown(1), shown(2)], &[]).unwrap();
    records.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let bytes = std::fs::read(folder.path().join("local.db")).unwrap();
    for canary in [b"canary".as_slice(), b"erik", b"sam"] {
        assert!(!bytes.windows(canary.len()).any(|window| window == canary));
    }
    // A row that is moved to another place does not open there.
    let one: Vec<u8> =
        records.connection.query_row("SELECT body FROM messages WHERE seq = 1", [], |r| r.get(0)).unwrap();
    records.connection.execute("UPDATE messages SET body = ?1 WHERE seq = 2", [one]).unwrap();
    assert!(records.messages(&"@erik".parse().unwrap(), None, 10).is_err());
}
