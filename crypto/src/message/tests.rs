//! Sealing and opening, and every way in which a message can be wrong.

use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::test_people::{Person, erik, sam};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parlour_envelope::base64url;
use parlour_envelope::claims::{MAX_COUNTER, MAX_TIME};
use parlour_envelope::p256::P256KeyError;
use parlour_envelope::statement::jws_hash;
use parlour_protocol::limits::{SEALED_BYTES, TEXT_BYTES, VOID_COUNTERS};

const CHAIN: &str = "AAECAwQFBgcICQoLDA0ODw";
const ID: &str = "0190a5e0-7d4c-7c3e-8f00-000000000001";

fn draft(text: &str) -> Draft<'static> {
    let content = Content::Text(text.to_owned());
    let time = 1_720_000_000_123;
    Draft { from: "sam", to: "erik", id: ID, time, content, chain: CHAIN, n: 0, prev: "", void: 0 }
}

fn seal_by_sam(draft: Draft<'_>) -> Result<Sealed, SealError> {
    let own = sam().account.public();
    seal(&mut rand::rng(), &sam().device, &sam().leaf, draft, erik().account.public(), own)
}

fn open_by_erik(jwe: &str) -> Result<Opened, OpenError> {
    open(jwe, &erik().account, Role::Recipient)
}

/// Valid claims as JSON, for tests to spoil.
fn claims() -> Value {
    let fk = base64url::encode([9; 32]);
    json!({
        "from": "sam", "to": "erik", "id": ID, "time": 1_720_000_000_123_i64, "text": "hello",
        "chain": CHAIN, "n": 0, "prev": "", "fk": fk
    })
}

/// A dishonest sender's message: any claims, any header, any commitment, and everything else valid.
struct Forged {
    signer: &'static Person,
    header: Value,
    claims: Value,
    commitment: Option<[u8; 32]>,
}

impl Forged {
    fn new() -> Self {
        let header = json!({"alg": "ES256", "x5c": [STANDARD.encode(&sam().leaf)]});
        Self { signer: sam(), header, claims: claims(), commitment: None }
    }

    fn open(&self) -> Result<Opened, OpenError> {
        let jws = jws::sign(&self.signer.device, &self.header, self.claims.to_string().as_bytes()).unwrap();
        let (input, _) = jws.rsplit_once('.').unwrap();
        let fk: FrankingKey = serde_json::from_value(json!(base64url::encode([9; 32]))).unwrap();
        let commitment = self.commitment.unwrap_or_else(|| fk.commit(input));
        open_by_erik(&envelope(&commitment, jws.as_bytes()))
    }

    fn refused(&self) -> OpenError {
        self.open().expect_err("a forged message must not open")
    }
}

fn envelope(commitment: &[u8; 32], content: &[u8]) -> String {
    let readers = [erik().account.public(), sam().account.public()];
    jwe::encrypt(&mut rand::rng(), ID.parse().unwrap(), commitment, content, readers)
        .unwrap()
        .as_json()
        .to_owned()
}

#[test]
fn recipient_and_sender_open_the_same_message() {
    let sealed = seal_by_sam(draft("hej ⏎ å\n\"quoted\"")).unwrap();
    for (key, role) in [(&erik().account, Role::Recipient), (&sam().account, Role::Sender)] {
        let opened = open(&sealed.jwe, key, role).unwrap();
        assert_eq!(opened.claims.content, Content::Text("hej ⏎ å\n\"quoted\"".into()));
        assert_eq!((opened.claims.from.as_str(), opened.claims.to.as_str()), ("sam", "erik"));
        assert_eq!((opened.claims.id.as_str(), opened.claims.time), (ID, 1_720_000_000_123));
        assert_eq!((opened.claims.chain.as_str(), opened.claims.n), (CHAIN, 0));
        assert_eq!(opened.leaf_der, sam().leaf);
        assert_eq!(opened.jws, sealed.jws);
    }
}

#[test]
fn a_message_to_oneself_opens_in_both_places() {
    let own = sam().account.public();
    let sealed = seal(&mut rand::rng(), &sam().device, &sam().leaf, draft("note"), own, own).unwrap();
    for role in [Role::Recipient, Role::Sender] {
        assert!(open(&sealed.jwe, &sam().account, role).is_ok());
    }
}

#[test]
fn the_next_message_names_the_one_before_by_its_hash() {
    let first = seal_by_sam(draft("one")).unwrap();
    let prev = jws_hash(&first.jws);
    let next = seal_by_sam(Draft { n: 1, prev: &prev, ..draft("two") }).unwrap();
    let opened = open_by_erik(&next.jwe).unwrap();
    assert_eq!(opened.claims.prev, jws_hash(&open_by_erik(&first.jwe).unwrap().jws));
}

#[test]
fn the_longest_text_fits_into_a_message_beside_the_longest_void() {
    let (text, prev) = ("\"".repeat(TEXT_BYTES), jws_hash(""));
    let n = 10_000_000;
    let sealed = seal_by_sam(Draft { n, prev: &prev, void: VOID_COUNTERS, ..draft(&text) }).unwrap();
    assert!(sealed.jwe.len() <= SEALED_BYTES, "{}", sealed.jwe.len());
    assert_eq!(open_by_erik(&sealed.jwe).unwrap().claims.void, VOID_COUNTERS);
}

#[test]
fn a_draft_that_nobody_would_take_is_not_sealed() {
    let hash = jws_hash("");
    let bad = [
        (Draft { time: -1, ..draft("") }, ClaimsError::Time),
        (Draft { time: MAX_TIME + 1, ..draft("") }, ClaimsError::Time),
        (Draft { id: "1", ..draft("") }, ClaimsError::Id),
        (Draft { chain: "AAAA", ..draft("") }, ClaimsError::Chain),
        (Draft { n: 1, ..draft("") }, ClaimsError::Chain),
        (Draft { prev: &hash, ..draft("") }, ClaimsError::Chain),
        (Draft { n: 1 << 53, prev: &hash, ..draft("") }, ClaimsError::Chain),
        (Draft { void: 1, ..draft("") }, ClaimsError::Chain),
        (Draft { n: 2, void: 1, ..draft("") }, ClaimsError::Chain),
        (Draft { n: 1, void: 1, prev: &hash, ..draft("") }, ClaimsError::Chain),
        (Draft { n: 2_000, void: 1_001, prev: &hash, ..draft("") }, ClaimsError::Chain),
    ];
    for (draft, error) in bad {
        assert_eq!(seal_by_sam(draft).err(), Some(SealError::Claims(error)));
    }
}

#[test]
fn another_devices_certificate_is_not_sealed_in() {
    let own = sam().account.public();
    let sealed = seal(&mut rand::rng(), &sam().device, &erik().leaf, draft(""), own, own);
    assert_eq!(sealed.err(), Some(SealError::CertificateMismatch));
}

#[test]
fn a_third_persons_key_does_not_open() {
    let sealed = seal_by_sam(draft("hello")).unwrap();
    let other = AccountKey::generate(&mut rand::rng()).unwrap();
    for role in [Role::Recipient, Role::Sender] {
        assert_eq!(open(&sealed.jwe, &other, role).err(), Some(OpenError::NotForThisKey));
    }
}

#[test]
fn a_message_signed_by_another_key_than_the_certificates_is_refused() {
    assert!(Forged::new().open().is_ok());
    let forged = Forged { signer: erik(), ..Forged::new() };
    assert_eq!(forged.refused(), OpenError::BadSignature);
}

#[test]
fn a_commitment_to_another_text_is_refused() {
    let forged = Forged { commitment: Some([0; 32]), ..Forged::new() };
    assert_eq!(forged.refused(), OpenError::CommitmentMismatch);
    let mut forged = Forged::new();
    forged.claims["fk"] = base64url::encode([8; 32]).into();
    assert_eq!(forged.refused(), OpenError::CommitmentMismatch);
}

#[test]
fn another_identifier_inside_than_outside_is_refused() {
    let mut forged = Forged::new();
    forged.claims["id"] = "0190a5e0-7d4c-7c3e-8f00-000000000002".into();
    assert_eq!(forged.refused(), OpenError::IdMismatch);
}

#[test]
fn a_header_that_is_not_exactly_algorithm_and_leaf_is_refused() {
    let leaf = STANDARD.encode(&sam().leaf);
    for header in [
        json!({"alg": "ES256"}),
        json!({"alg": "none", "x5c": [leaf]}),
        json!({"alg": "ES256", "x5c": []}),
        json!({"alg": "ES256", "x5c": [leaf, leaf]}),
        json!({"alg": "ES256", "x5c": leaf}),
        json!({"alg": "ES256", "x5c": [leaf], "crit": []}),
        json!({"alg": "ES256", "x5c": [leaf], "typ": "parlour-enrol+jwt"}),
        json!({"alg": "ES256", "x5c": [base64url::encode(&sam().leaf) + "-"]}),
    ] {
        let forged = Forged { header, ..Forged::new() };
        assert_eq!(forged.refused(), OpenError::Malformed(Malformed::Jws(JwsError::Header)));
    }
}

#[test]
fn a_certificate_that_is_none_or_not_on_p256_is_refused() {
    let rsa = rcgen::KeyPair::from_pem(&sam().account.to_pkcs8_pem().unwrap()).unwrap();
    let rsa = rcgen::CertificateParams::default().self_signed(&rsa).unwrap();
    let longer = [sam().leaf.as_slice(), &[0]].concat();
    let not_p256 = LeafError::Key(P256KeyError::NotP256);
    let leaves =
        [(rsa.der().as_ref(), not_p256), (&longer, LeafError::Malformed), (b"", LeafError::Malformed)];
    for (leaf, error) in leaves {
        let header = json!({"alg": "ES256", "x5c": [STANDARD.encode(leaf)]});
        let forged = Forged { header, ..Forged::new() };
        assert_eq!(forged.refused(), OpenError::Malformed(Malformed::Leaf(error)));
    }
}

#[test]
fn claims_of_wrong_form_are_refused() {
    use ClaimsError::{Chain, Malformed as Wrong, Time};
    let changes = [
        ("from", json!(null), Wrong),
        ("time", json!("2024-07-03T10:00:00Z"), Wrong),
        ("time", json!(1.5), Wrong),
        ("time", json!(-1), Time),
        ("text", json!(7), Wrong),
        ("chain", json!("AAECAwQFBgcICQoLDA0ODx"), Chain),
        ("chain", json!("short"), Chain),
        ("n", json!(-1), Wrong),
        ("n", json!(1), Chain),
        ("n", json!(1_u64 << 53), Chain),
        ("prev", json!(jws_hash("")), Chain),
        ("fk", json!(base64url::encode([9; 33])), Wrong),
        ("fk", json!(base64url::encode([9; 16])), Wrong),
    ];
    for (member, value, error) in changes {
        let mut forged = Forged::new();
        forged.claims[member] = value;
        assert_eq!(forged.refused(), OpenError::Malformed(Malformed::Claims(error)), "{member}");
    }
}

#[test]
fn claims_of_a_later_version_open_as_far_as_they_are_known() {
    let mut forged = Forged::new();
    forged.claims["reply_to"] = json!({"id": ID});
    assert_eq!(forged.open().unwrap().claims.content, Content::Text("hello".into()));
    forged.claims.as_object_mut().unwrap().remove("text");
    forged.claims["file"] = json!({"name": "x"});
    assert_eq!(forged.open().unwrap().claims.content, Content::Unknown);
}

#[test]
fn a_sealed_text_without_a_signature_is_refused() {
    for content in [b"hello".as_slice(), b"", b"\xff.\xff.\xff", b"e30.e30."] {
        let refused = open_by_erik(&envelope(&[0; 32], content)).err();
        assert_eq!(refused, Some(OpenError::Malformed(Malformed::Jws(JwsError::Malformed))));
    }
}

#[test]
fn debug_shows_no_text() {
    let sealed = seal_by_sam(draft("canary")).unwrap();
    let opened = open_by_erik(&sealed.jwe).unwrap();
    let shown = format!("{:?}{:?}{:?}{:?}", draft("canary"), sealed, opened, opened.claims.franking_key);
    assert!(!shown.contains("canary"));
    assert!(!shown.contains(sealed.jws.as_str()));
    assert!(format!("{:?}", opened.claims.content).contains("6 bytes"));
}

/// One message for all property tests, which would be slow if each case sealed its own.
fn sample() -> &'static str {
    static SAMPLE: OnceLock<String> = OnceLock::new();
    SAMPLE.get_or_init(|| seal_by_sam(draft("hello")).unwrap().jwe)
}

/// The part of the sample that only the other reader uses and that no signature covers; only that reader can
/// notice an alteration there.
fn other_entry(role: Role) -> std::ops::Range<usize> {
    let starts: Vec<usize> = sample().match_indices(r#"{"header""#).map(|(at, _)| at).collect();
    let end = sample().find("],").unwrap();
    match role {
        Role::Recipient => starts[1]..end,
        Role::Sender => starts[0]..starts[1] - 1,
    }
}

proptest! {
    #[test]
    fn a_sealed_message_opens(text in ".{0,300}", n in 1..=MAX_COUNTER, void in 0..=VOID_COUNTERS) {
        let void = void.min(n);
        let prev = if void == n { String::new() } else { jws_hash(&text) };
        let sealed = seal_by_sam(Draft { n, prev: &prev, void, ..draft(&text) }).unwrap();
        let opened = open_by_erik(&sealed.jwe).unwrap();
        prop_assert_eq!(opened.claims.content, Content::Text(text));
        prop_assert_eq!((opened.claims.n, opened.claims.void), (n, void));
    }

    #[test]
    fn no_byte_of_a_sealed_message_can_be_changed(at in any::<prop::sample::Index>(), bit in 0..7_u8) {
        let mut bytes = sample().as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let altered = String::from_utf8(bytes).unwrap();
        for (key, role) in [(&erik().account, Role::Recipient), (&sam().account, Role::Sender)] {
            let refused = open(&altered, key, role).is_err();
            prop_assert!(refused || other_entry(role).contains(&at), "{role:?} {at} {bit}");
        }
    }

    #[test]
    fn any_text_at_all_is_only_refused(text in ".{0,300}") {
        prop_assert!(open_by_erik(&text).is_err());
    }
}
