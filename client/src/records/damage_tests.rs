//! Records whose file was changed: everything read from them is as it was kept, or the user is told of the loss.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parlour_protocol::{DeviceId, MessageId, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;

use super::*;
use crate::failure::Explain as _;
use crate::reading::chain::{Chain, Chains as _};
use crate::reading::shown::Verdict;

const CONVERSATIONS: [&str; 2] = ["@erik", "@anna"];

fn in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn id(number: u64) -> MessageId {
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    MessageId::from_bytes(bytes)
}

fn shown(conversation: &str, seq: Seq) -> Shown {
    Shown {
        conversation: conversation.parse().unwrap(),
        seq,
        id: id(seq),
        from: "erik".parse().unwrap(),
        to: "@sam".parse().unwrap(),
        time: Timestamp::from_millis(1_000),
        signed: None,
        text: Some(format!(
            "message {seq} of {conversation} {}",
            "and more ".repeat(seq.to_le_bytes()[0].into())
        )),
        verdict: Verdict::Good,
        backwards: false,
        generation: 0,
        set_aside: false,
        refused: false,
        signer: None,
    }
}

fn chain_key() -> ChainKey {
    let device: DeviceId = "0123456789abcdef".parse().unwrap();
    let conversation = "@erik".parse().unwrap();
    ChainKey { conversation, from: "erik".parse().unwrap(), device, chain: "c".to_owned() }
}

fn outgoing(number: u64) -> Outgoing {
    let text = format!("waiting {number}");
    Outgoing { id: id(number), to: "@erik".parse().unwrap(), body: OutgoingBody::Text(text) }
}

fn fill(folder: &Path) {
    let mut records = Records::open(folder).unwrap();
    for name in CONVERSATIONS {
        let extent = Extent { last: 40, read: 5, ..Extent::new(name.parse().unwrap(), 1) };
        let messages: Vec<Shown> = (1..=40).map(|seq| shown(name, seq)).collect();
        let chain = Chain { last_n: 9, last_hash: "h".to_owned(), ..Chain::default() };
        let learned = Learned { chains: vec![(chain_key(), chain)], refused: vec![] };
        records.keep(&extent, &messages, &learned).unwrap();
        records.set_pin(&name[1..].parse().unwrap(), &format!("kid of {name}")).unwrap();
    }
    for number in 1..=6 {
        records.push_outgoing(&outgoing(number)).unwrap();
    }
    records.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

/// Everything that the engine reads, and what the user is told.
#[derive(PartialEq, Debug)]
struct Read {
    pages: Vec<Option<Vec<Shown>>>,
    pins: Vec<Option<String>>,
    chain: bool,
    outgoing: Vec<Outgoing>,
}

fn read(records: &Records) -> Result<Read, RecordsError> {
    let mut read = Read { pages: vec![], pins: vec![], chain: false, outgoing: vec![] };
    for name in CONVERSATIONS.map(|name| name.parse::<Conversation>().unwrap()) {
        let page = match records.extent(&name)? {
            Some(_) => Some(records.messages(&name, None, 100)?),
            None => None,
        };
        read.pages.push(page);
    }
    for name in CONVERSATIONS {
        read.pins.push(records.pin(&name[1..].parse().unwrap())?);
    }
    if let Some(extent) = records.extent(&"@erik".parse().unwrap())? {
        read.chain = PageChains::newer(records, &extent).seen(&chain_key()).is_some();
    }
    read.outgoing = records.outgoing()?.into_iter().map(|(_, outgoing)| outgoing).collect();
    Ok(read)
}

/// The first thing in `now` that has changed without being reported.
fn wrong(good: &Read, now: &Read, told: &[String]) -> Option<String> {
    let changed = |what: &str| Some(format!("{what}: {told:?}"));
    // Missing messages are fetched again.
    if good.pages.iter().zip(&now.pages).any(|(good, now)| now.is_some() && good != now) {
        return changed("a message");
    }
    if good.pins.iter().zip(&now.pins).any(|(good, now)| now.is_some() && good != now) {
        return changed("a known key");
    }
    if good.outgoing != now.outgoing {
        let mut left = good.outgoing.iter();
        if !now.outgoing.iter().all(|outgoing| left.any(|good| good == outgoing)) {
            return changed("what waits to be sent");
        }
    }
    (good != now && told.is_empty()).then(|| format!("nothing was told: {now:?}"))
}

#[test]
fn a_bit_that_flips_anywhere_in_the_records_is_told_or_changes_nothing() {
    const FLIPS: u64 = 250;
    let folder = in_memory();
    fill(folder.path());
    let path = folder.path().join("local.db");
    let bytes = std::fs::read(&path).unwrap();
    let good = read(&Records::open(folder.path()).unwrap()).unwrap();
    assert_eq!((good.pages.len(), good.outgoing.len()), (2, 6));
    let (mut refused, mut mended, mut bad) = (0, 0, Vec::new());
    for seed in 0..FLIPS {
        let mut random = StdRng::seed_from_u64(seed);
        let mut flipped = bytes.clone();
        let place = random.random_range(0..flipped.len());
        flipped[place] ^= 1 << random.random_range(0..8);
        std::fs::write(&path, &flipped).unwrap();
        let mut records = match Records::open(folder.path()) {
            Ok(records) => records,
            Err(failure) => {
                assert!(!failure.to_string().is_empty());
                refused += 1;
                continue;
            }
        };
        let told = records.take_damages();
        mended += u64::from(!told.is_empty());
        match read(&records) {
            Ok(now) => bad.extend(wrong(&good, &now, &told).map(|wrong| (seed, place, wrong))),
            Err(failure) => bad.push((seed, place, failure.to_string())),
        }
        drop(records);
        // It is reported once, and the records are whole afterwards.
        let mut again = Records::open(folder.path()).unwrap();
        let again = again.take_damages();
        if !again.is_empty() {
            bad.push((seed, place, format!("told twice: {told:?}, {again:?}")));
        }
    }
    println!("of {FLIPS} flipped bits {refused} were refused and {mended} mended");
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(mended > FLIPS / 4, "{mended}");
}

#[test]
fn a_waiting_message_that_is_gone_is_reported_and_another_key_deletes_nothing() {
    let folder = in_memory();
    fill(folder.path());
    let records = Records::open(folder.path()).unwrap();
    records.connection.execute("DELETE FROM outbox WHERE position = 3", []).unwrap();
    drop(records);
    let mut records = Records::open(folder.path()).unwrap();
    let told = records.take_damages();
    assert!(told.len() == 1 && told[0].contains("1 messages that waited to be sent"), "{told:?}");
    assert_eq!(records.outgoing().unwrap().len(), 5);
    drop(records);

    let (key, path) = (folder.path().join("local.key"), folder.path().join("local.db"));
    let before = std::fs::read(&path).unwrap();
    let right = std::fs::read(&key).unwrap();
    std::fs::write(&key, URL_SAFE_NO_PAD.encode([3; 32])).unwrap();
    let refused = Records::open(folder.path()).err().unwrap();
    assert!(matches!(&refused, RecordsError::Damaged(reason) if reason.contains("local.key")), "{refused}");
    assert!(refused.explain().hint.is_some());
    assert!(std::fs::read(&path).unwrap() == before, "the file was changed");
    std::fs::write(&key, right).unwrap();
    assert_eq!(Records::open(folder.path()).unwrap().outgoing().unwrap().len(), 5);
}
