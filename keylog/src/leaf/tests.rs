//! Leaves and their canonical form.

use parlour_protocol::{Fingerprint, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::device_id;

fn p256(byte: u8) -> Vec<u8> {
    let prefix = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
        0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ];
    [prefix.as_slice(), &[byte; 64]].concat()
}

fn rsa() -> Vec<u8> {
    let prefix = [
        0x30, 0x82, 0x01, 0xa2, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
        0x05, 0x00, 0x03, 0x82, 0x01, 0x8f, 0x00, 0x30, 0x82, 0x01, 0x8a, 0x02, 0x82, 0x01, 0x81, 0x00,
    ];
    [prefix.as_slice(), &[0x81; 384], &[2, 3, 1, 0, 1]].concat()
}

fn enrolment(name: &str, key: u8) -> LeafKind {
    LeafKind::Enrolment {
        name: name.parse().unwrap(),
        device: device_id(&p256(key)),
        device_key: p256(key),
        seal_key: p256(key.wrapping_add(1)),
        account_key: rsa(),
        request: "a.b.c".into(),
    }
}

fn revocation() -> Leaf {
    Leaf {
        kind: LeafKind::Revocation {
            name: "sam".parse().unwrap(),
            device: "0123456789abcdef".parse().unwrap(),
        },
        time: Timestamp::from_millis(1_572_600_600_000),
        certificates: vec![],
    }
}

const REVOCATION: &str = r#"{"certificates":[],"device":"0123456789abcdef","kind":"revocation","name":"sam","time":1572600600000,"v":1}"#;

#[test]
fn a_leaf_has_its_golden_bytes() {
    assert_eq!(String::from_utf8(revocation().encode()).unwrap(), REVOCATION);
    let leaf =
        Leaf { kind: enrolment("sam", 7), time: Timestamp::from_millis(1), certificates: vec![[0; 32]] };
    let text = String::from_utf8(leaf.encode()).unwrap();
    let members: Vec<usize> = [
        "account_key",
        "certificates",
        "device",
        "device_key",
        "kind",
        "name",
        "request",
        "seal_key",
        "time",
        "v",
    ]
    .iter()
    .map(|member| text.find(&format!("\"{member}\":")).unwrap())
    .collect();
    assert!(members.is_sorted(), "{text}");
}

#[test]
fn the_hash_is_the_one_of_rfc_6962() {
    let hex = |hash: [u8; 32]| Fingerprint(hash).to_string();
    // RFC 6962's own test vector for the leaf without bytes.
    assert_eq!(hex(leaf_hash(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    assert_eq!(revocation().hash(), leaf_hash(REVOCATION.as_bytes()));
}

#[test]
fn only_the_canonical_spelling_is_read() {
    assert_eq!(Leaf::decode(REVOCATION.as_bytes()), Ok(revocation()));
    for (text, error) in [
        (REVOCATION.replace(",\"", ", \""), LeafError::NotCanonical),
        (format!("{REVOCATION} "), LeafError::NotCanonical),
        (REVOCATION.replace(",\"v\":1", "").replace("{\"", "{\"v\":1,\""), LeafError::NotCanonical),
        (REVOCATION.replace("sam", "\\u0073am"), LeafError::NotCanonical),
        (REVOCATION.replace("\"v\":1", "\"v\":2"), LeafError::Version),
        (REVOCATION.replace("\"v\":1", "\"v\":1,\"w\":1"), LeafError::Form),
        (REVOCATION.replace("\"v\":1", "\"v\":1,\"v\":1"), LeafError::Form),
        (REVOCATION.replace("revocation", "renewal"), LeafError::Members),
        (REVOCATION.replace("revocation", "party"), LeafError::Form),
        (REVOCATION.replace("[]", "[\"AQID\"]"), LeafError::Form),
        (REVOCATION.replace("sam", "Sam"), LeafError::Form),
        ("{}".into(), LeafError::Form),
        (" ".repeat(LEAF_BYTES + 1), LeafError::TooLong),
    ] {
        assert_eq!(Leaf::decode(text.as_bytes()), Err(error), "{text}");
    }
    let array = r#"[[],"0123456789abcdef","revocation","sam",1572600600000,1]"#;
    assert!(Leaf::decode(array.as_bytes()).is_err());
}

#[test]
fn keys_have_to_be_of_their_kind_and_the_devices_own() {
    let with = |change: fn(&mut LeafKind)| {
        let mut leaf =
            Leaf { kind: enrolment("sam", 7), time: Timestamp::from_millis(1), certificates: vec![] };
        change(&mut leaf.kind);
        Leaf::decode(&leaf.encode()).map(|_| ())
    };
    assert_eq!(with(|_| ()), Ok(()));
    for change in [
        (|kind| {
            if let LeafKind::Enrolment { device_key, .. } = kind {
                *device_key = rsa();
            }
        }) as fn(&mut LeafKind),
        |kind| {
            if let LeafKind::Enrolment { seal_key, .. } = kind {
                seal_key.push(0);
            }
        },
        |kind| {
            if let LeafKind::Enrolment { account_key, .. } = kind {
                *account_key = p256(1);
            }
        },
    ] {
        assert_eq!(with(change), Err(LeafError::Key));
    }
    assert_eq!(
        with(|kind| if let LeafKind::Enrolment { device, .. } = kind {
            *device = "0123456789abcdef".parse().unwrap();
        }),
        Err(LeafError::Device)
    );
}

fn leaves() -> impl Strategy<Value = Leaf> {
    let name = "[a-z0-9][a-z0-9_-]{0,31}";
    let kind = prop_oneof![
        (name, any::<u8>()).prop_map(|(name, key)| enrolment(&name, key)),
        (name, any::<u8>(), "[ -~]{0,80}").prop_map(|(name, key, request)| LeafKind::Renewal {
            name: name.parse().unwrap(),
            device: device_id(&p256(key)),
            device_key: p256(key),
            request,
        }),
        (name, "[0-9a-f]{16}").prop_map(|(name, device)| LeafKind::Revocation {
            name: name.parse().unwrap(),
            device: device.parse().unwrap(),
        }),
    ];
    let certificates = proptest::collection::vec(any::<[u8; 32]>(), 0..3);
    (kind, any::<i64>(), certificates).prop_map(|(kind, time, certificates)| Leaf {
        kind,
        time: Timestamp::from_millis(time),
        certificates,
    })
}

proptest! {
    #[test]
    fn every_leaf_is_read_as_it_was_written(leaf in leaves()) {
        let bytes = leaf.encode();
        prop_assert_eq!(Leaf::decode(&bytes), Ok(leaf.clone()));
        prop_assert_eq!(leaf.hash(), leaf_hash(&bytes));
    }

    #[test]
    fn two_leaves_have_two_hashes(a in leaves(), b in leaves()) {
        prop_assert_eq!(a == b, a.hash() == b.hash());
    }

    #[test]
    fn only_canonical_leaves_are_read_and_nothing_panics(leaf in leaves(), at in any::<usize>(), byte in any::<u8>()) {
        let mut bytes = leaf.encode();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(read) = Leaf::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }
}
