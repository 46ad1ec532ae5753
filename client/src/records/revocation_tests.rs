//! Kept revocations: their effect on messages, and the handling of damaged rows.

use parlour_keylog::SignedRevocation;
use parlour_protocol::limits::CLOCK_TOLERANCE_MS;
use parlour_protocol::{DeviceId, Timestamp};

use super::tests::{extent, shown};
use super::*;
use crate::reading::shown::{REVOKED, Signer};

/// The time of the revocation, in Unix milliseconds.
const REVOCATION: i64 = 1_000_000_000;

fn device(letter: char) -> DeviceId {
    letter.to_string().repeat(16).parse().unwrap()
}

fn revocation(number: u64, letter: char) -> SignedRevocation {
    SignedRevocation {
        number,
        name: "erik".parse().unwrap(),
        device: device(letter),
        time: Timestamp::from_millis(REVOCATION),
        statement: format!("statement {number} {letter}"),
    }
}

/// A message that erik's device signed at `time`.
fn signed(seq: Seq, letter: char, time: i64) -> Shown {
    let time = Timestamp::from_millis(time);
    Shown { time, signer: Some(Signer { device: device(letter), time }), ..shown(seq) }
}

/// A message as older versions kept it: without its signer. `signed` is set if it was far from the server's time.
fn unsigned(seq: Seq, time: i64, signed: Option<i64>) -> Shown {
    let signed = signed.map(Timestamp::from_millis);
    Shown { time: Timestamp::from_millis(time), signed, ..shown(seq) }
}

fn me() -> UserName {
    "sam".parse().unwrap()
}

fn add(records: &mut Records, signed: &SignedRevocation) -> Option<Vec<Seq>> {
    let judged = records.add_revocation(&me(), signed).unwrap();
    judged.map(|judged| judged.iter().map(|shown| shown.seq).collect())
}

/// The messages that are no longer believed and have no text.
fn withdrawn(records: &Records) -> Vec<Seq> {
    let messages = records.messages(&"@erik".parse().unwrap(), None, 100).unwrap();
    let bad = messages.iter().filter(|shown| !shown.verdict.is_believed());
    bad.inspect(|shown| assert!(shown.text.is_none() && shown.verdict.remark().unwrap() == REVOKED))
        .map(|shown| shown.seq)
        .collect()
}

#[test]
fn only_messages_signed_after_their_devices_revocation_are_judged_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = Records::open(folder.path()).unwrap();
    let messages =
        [signed(1, 'a', REVOCATION - 1), signed(2, 'a', REVOCATION), signed(3, 'b', REVOCATION + 1)];
    records.keep(&extent(1, 3), &messages, &Learned::default()).unwrap();
    assert_eq!(add(&mut records, &revocation(1, 'a')), Some(vec![2]));
    assert_eq!(add(&mut records, &revocation(1, 'a')), None);
    drop(records);
    assert_eq!(withdrawn(&Records::open(folder.path()).unwrap()), [2]);
}

#[test]
fn a_message_that_was_kept_without_its_signer_is_taken_for_the_revoked_devices() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = Records::open(folder.path()).unwrap();
    // The server's time may be that much later than the signed one.
    let within = REVOCATION + CLOCK_TOLERANCE_MS;
    let messages = [
        unsigned(1, within - 1, None),
        unsigned(2, within, None),
        unsigned(3, within + 1_000, Some(REVOCATION - 1)),
        unsigned(4, REVOCATION - 1_000, Some(REVOCATION)),
    ];
    records.keep(&extent(1, 4), &messages, &Learned::default()).unwrap();
    assert_eq!(add(&mut records, &revocation(1, 'a')), Some(vec![2, 4]));
    assert_eq!(withdrawn(&records), [2, 4]);
}

#[test]
fn a_damaged_revocation_is_reported_and_fetched_again_and_its_verdicts_stay() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = Records::open(folder.path()).unwrap();
    records.keep(&extent(1, 1), &[signed(1, 'a', REVOCATION)], &Learned::default()).unwrap();
    let all = [revocation(1, 'a'), revocation(2, 'b'), revocation(3, 'c')];
    for signed in &all {
        assert!(add(&mut records, signed).is_some());
    }
    assert_eq!(records.revocations_known().unwrap(), 3);
    let tag = records.tag(Kind::Revocation, &format!("2 erik {} {REVOCATION}", device('b')));
    let damage = "UPDATE facts SET body = zeroblob(80) WHERE tag = ?1";
    assert_eq!(records.connection.execute(damage, [tag]).unwrap(), 1);
    drop(records);
    let mut records = Records::open(folder.path()).unwrap();
    let told = records.take_damages();
    assert!(told.len() == 1 && told[0].contains("revocations are fetched again"), "{told:?}");
    // It is fetched again from there on.
    assert_eq!((records.revocations_known().unwrap(), records.revocations().unwrap().len()), (1, 2));
    assert_eq!(withdrawn(&records), [1]);
    assert_eq!(all.map(|signed| add(&mut records, &signed).is_some()), [false, true, false]);
    assert_eq!(records.revocations_known().unwrap(), 3);
    drop(records);
    assert_eq!(Records::open(folder.path()).unwrap().take_damages(), [""; 0]);
}

#[test]
fn two_statements_under_one_number_both_hold() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = Records::open(folder.path()).unwrap();
    let messages = [signed(1, 'a', REVOCATION), signed(2, 'b', REVOCATION), signed(3, 'c', REVOCATION)];
    records.keep(&extent(1, 3), &messages, &Learned::default()).unwrap();
    for letter in ['a', 'b'] {
        assert!(add(&mut records, &revocation(1, letter)).is_some());
    }
    assert!(add(&mut records, &revocation(2, 'd')).is_some());
    drop(records);
    let records = Records::open(folder.path()).unwrap();
    assert_eq!(withdrawn(&records), [1, 2]);
    let numbers: Vec<u64> = records.revocations().unwrap().iter().map(|known| known.number).collect();
    assert_eq!((numbers.len(), records.revocations_known().unwrap()), (3, 2));
}
