//! Statements of revocations: a good one, and each way to break the form.

use parlour_envelope::AwsLc;
use rcgen::{KeyPair, SigningKey as _};
use serde_json::Value;

use super::*;
use crate::certificate::tests::authority::{Authority, MOMENT, log_key, log_params};

struct Scene {
    authority: Authority,
    key: KeyPair,
    certificate: LogCertificate,
}

impl Scene {
    fn new() -> Self {
        let (authority, key) = (Authority::new(), log_key());
        let certificate = LogCertificate::from_der(&authority.issue(&log_params(), &key)).unwrap();
        Self { authority, key, certificate }
    }

    fn sign(&self, input: &str) -> String {
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(self.key.sign(input.as_bytes()).unwrap()))
    }

    fn statement(&self, number: u64, leaf: &Leaf) -> String {
        self.sign(&revocation_signing_input(number, leaf, &self.certificate))
    }

    fn verify(&self, jws: &str) -> Result<SignedRevocation, RevocationError> {
        SignedRevocation::verify(jws, &self.authority.root(), MOMENT)
    }

    /// A statement whose header has the given text instead of its own.
    fn with_header(&self, change: impl FnOnce(String) -> String) -> String {
        let input = revocation_signing_input(7, &revocation(), &self.certificate);
        let (header, payload) = input.split_once('.').unwrap();
        let header = String::from_utf8(URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        self.sign(&format!("{}.{payload}", URL_SAFE_NO_PAD.encode(change(header))))
    }
}

fn revocation() -> Leaf {
    Leaf {
        kind: LeafKind::Revocation {
            name: "sam".parse().unwrap(),
            device: "0123456789abcdef".parse().unwrap(),
        },
        time: Timestamp::from_millis(MOMENT * 1_000),
        certificates: Vec::new(),
    }
}

#[test]
fn a_statement_is_verified_and_says_what_was_revoked() {
    let scene = Scene::new();
    let statement = scene.statement(7, &revocation());
    let signed = scene.verify(&statement).unwrap();
    assert_eq!((signed.number, signed.name.as_str()), (7, "sam"));
    assert_eq!((signed.device.as_str(), signed.time), ("0123456789abcdef", revocation().time));
    assert_eq!(signed.statement, statement);
    assert!(statement.len() < 2_000, "{} bytes", statement.len());
}

#[test]
fn the_header_has_its_members_in_canonical_order() {
    let scene = Scene::new();
    scene.with_header(|header| {
        let x5c = STANDARD.encode(scene.certificate.der());
        let golden =
            format!(r#"{{"alg":"EdDSA","number":7,"typ":"parlour-revocation+jws","x5c":["{x5c}"]}}"#);
        assert_eq!(header, golden);
        header
    });
}

#[test]
fn other_headers_are_refused_though_the_log_signed_them() {
    let scene = Scene::new();
    assert!(scene.verify(&scene.with_header(|header| header)).is_ok());
    let certificate = STANDARD.encode(scene.certificate.der());
    for (from, to) in [
        ("{", "{ "),
        ("EdDSA", "none"),
        ("EdDSA", "Ed25519"),
        ("revocation+jws", "enrol+jwt"),
        (r#""number":7,"#, ""),
        (r#""number":7"#, r#""number":7.0"#),
        (r#""number":7"#, r#""number":"7""#),
        (r#""number":7"#, r#""kid":"x","number":7"#),
        (r#""number":7"#, r#""crit":["b64"],"number":7"#),
        (r#""number":7,"typ":"parlour-revocation+jws""#, r#""typ":"parlour-revocation+jws","number":7"#),
        (r#""]}"#, r#"","AAAA"]}"#),
        (r#""]}"#, r#"=="]}"#),
        (certificate.as_str(), ""),
    ] {
        let altered = scene.with_header(|header| header.replacen(from, to, 1));
        let error = scene.verify(&altered).unwrap_err();
        let of_header = matches!(error, RevocationError::Header | RevocationError::Certificate(_));
        assert!(of_header, "{from} -> {to}: {error}");
    }
    for number in ["0", "9007199254740992"] {
        let altered = scene.with_header(|header| header.replacen('7', number, 1));
        assert_eq!(scene.verify(&altered), Err(RevocationError::Number), "{number}");
    }
}

#[test]
fn no_byte_can_be_changed() {
    let scene = Scene::new();
    let good = scene.statement(7, &revocation());
    for place in 0..good.len() {
        for other in ["A", "b", "-", "."] {
            let mut bad = good.clone();
            bad.replace_range(place..=place, other);
            assert!(bad == good || scene.verify(&bad).is_err(), "byte {place} became {other}");
        }
    }
    for other in [format!("{good}="), format!("{good}."), format!(".{good}"), String::new()] {
        assert!(scene.verify(&other).is_err(), "{other}");
    }
    let long = "A".repeat(STATEMENT_BYTES + 1);
    assert_eq!(scene.verify(&long), Err(RevocationError::TooLong));
}

#[test]
fn another_key_another_root_and_another_time_are_refused() {
    let (scene, other) = (Scene::new(), Scene::new());
    let good = scene.statement(7, &revocation());
    assert!(matches!(other.verify(&good), Err(RevocationError::Certificate(CertificateError::Signature))));
    // Another key under the same certificate.
    let forged = other.sign(&revocation_signing_input(7, &revocation(), &scene.certificate));
    assert_eq!(scene.verify(&forged), Err(RevocationError::Signature));
    let early = SignedRevocation::verify(&good, &scene.authority.root(), MOMENT - 301);
    assert_eq!(early, Err(RevocationError::Certificate(CertificateError::NotYetValid)));
}

#[test]
fn only_the_leaf_of_a_revocation_is_taken() {
    let scene = Scene::new();
    let mut named = revocation();
    named.certificates.push([7; 32]);
    assert_eq!(scene.verify(&scene.statement(7, &named)), Err(RevocationError::Kind));
    let key = KeyPair::generate().unwrap();
    let device_key = rcgen::PublicKeyData::subject_public_key_info(&key);
    let renewal = Leaf {
        kind: LeafKind::Renewal {
            name: "sam".parse().unwrap(),
            device: crate::device_id(&device_key),
            device_key,
            request: "a.b.c".to_owned(),
        },
        ..revocation()
    };
    assert_eq!(scene.verify(&scene.statement(7, &renewal)), Err(RevocationError::Kind));
    let input = revocation_signing_input(7, &revocation(), &scene.certificate);
    let (header, _) = input.split_once('.').unwrap();
    let spaced = format!("{header}.{}", URL_SAFE_NO_PAD.encode([b" ", &*revocation().encode()].concat()));
    assert_eq!(scene.verify(&scene.sign(&spaced)), Err(RevocationError::Leaf(LeafError::NotCanonical)));
}

/// The vector that other JOSE libraries are checked against too, see `tests/vectors/README.md`.
#[test]
fn the_golden_statement_is_verified() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/revocation.json");
    let case: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let text = |name: &str| case[name].as_str().unwrap();
    let root = RootCertificate::from_der(&STANDARD.decode(text("root")).unwrap(), &AwsLc).unwrap();
    let signed = SignedRevocation::verify(text("jws"), &root, case["now"].as_i64().unwrap()).unwrap();
    assert_eq!(signed.number, case["number"].as_u64().unwrap());
    assert_eq!((signed.name.as_str(), signed.device.as_str()), (text("name"), text("device")));
    let leaf = Leaf {
        kind: LeafKind::Revocation { name: signed.name, device: signed.device },
        time: signed.time,
        certificates: Vec::new(),
    };
    assert_eq!(leaf.encode(), text("leaf").as_bytes());
    // Our own code writes the same statement, up to the signature.
    let certificate = LogCertificate::from_der(&STANDARD.decode(text("log_certificate")).unwrap()).unwrap();
    let input = revocation_signing_input(signed.number, &leaf, &certificate);
    assert_eq!(input, text("jws").rsplit_once('.').unwrap().0);
}

/// A vector with the log's private key. Ed25519 draws no random numbers, so our own code can write the whole statement,
/// byte for byte.
#[test]
fn the_statement_of_a_known_key_is_written_byte_for_byte() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/revocation-with-key.json");
    let case: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let text = |name: &str| case[name].as_str().unwrap();
    let root = RootCertificate::from_der(&STANDARD.decode(text("root")).unwrap(), &AwsLc).unwrap();
    let certificate = LogCertificate::from_der(&STANDARD.decode(text("log_certificate")).unwrap()).unwrap();
    let leaf = Leaf::decode(text("leaf").as_bytes()).unwrap();
    let key = KeyPair::from_pem(text("log_key")).unwrap();
    let input = revocation_signing_input(case["number"].as_u64().unwrap(), &leaf, &certificate);
    let statement = format!("{input}.{}", URL_SAFE_NO_PAD.encode(key.sign(input.as_bytes()).unwrap()));
    assert_eq!(statement, text("jws"));
    let signed = SignedRevocation::verify(&statement, &root, case["now"].as_i64().unwrap()).unwrap();
    assert_eq!((signed.name.as_str(), signed.device.as_str()), (text("name"), text("device")));
}
