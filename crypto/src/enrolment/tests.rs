//! Every way in which an enrolment or a renewal can be wrong.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::jws;
use crate::renewal::RenewalRequest;
use crate::test_people::{Person, erik, sam};
use parlour_envelope::account_public_key::AccountKeyError;
use parlour_envelope::certificate_request::RequestError;
use parlour_envelope::enrolment::EnrolmentError;
use parlour_envelope::jws::JwsError;
use parlour_envelope::p256::P256KeyError;
use parlour_envelope::renewal::RenewalError;
use parlour_envelope::signed_request::{MAX_COMPACT, SignedRequestError};
use parlour_envelope::{AwsLc, VerifiedEnrolment, VerifiedRenewal};

fn read_enrolment(compact: &str) -> Result<VerifiedEnrolment, EnrolmentError> {
    VerifiedEnrolment::read(compact, &AwsLc)
}

fn read_renewal(compact: &str) -> Result<VerifiedRenewal, RenewalError> {
    VerifiedRenewal::read(compact, &AwsLc)
}

fn request() -> EnrolmentRequest<'static> {
    let Person { device, seal, account, .. } = sam();
    EnrolmentRequest { name: "sam", device, account, seal }
}

/// A valid payload, for tests to spoil.
fn payload() -> Value {
    let Person { device, seal, account, .. } = sam();
    json!({
        "v": 1,
        "name": "sam",
        "nonce": base64url::encode([3; 32]),
        "device_request": base64url::encode(device_request("sam", device).unwrap()),
        "account_request": base64url::encode(account_request("sam", account).unwrap()),
        "seal_key": base64url::encode(seal.public_spki()),
    })
}

fn header() -> Value {
    let jwk = serde_json::to_value(sam().device.public().to_jwk()).unwrap();
    json!({"alg": "ES256", "typ": TYP, "jwk": jwk})
}

/// Any header and payload, signed by sam's device.
fn verify(header: &Value, payload: &Value) -> Result<VerifiedEnrolment, EnrolmentError> {
    let compact = jws::sign(&sam().device, header, payload.to_string().as_bytes()).unwrap();
    read_enrolment(&compact)
}

fn refused_with(member: &str, value: Value) -> EnrolmentError {
    let mut payload = payload();
    payload[member] = value;
    verify(&header(), &payload).expect_err(member)
}

#[test]
fn a_request_gives_back_name_and_keys() {
    let compact = request().build(&mut rand::rng()).unwrap();
    let verified = read_enrolment(&compact).unwrap();
    assert_eq!(verified.name, "sam");
    assert_eq!(verified.device_spki, sam().device.public_spki());
    assert_eq!(verified.account_spki, sam().account.public().to_spki_der());
    assert_eq!(verified.seal_spki, sam().seal.public_spki());
    let again = read_enrolment(&request().build(&mut rand::rng()).unwrap()).unwrap();
    assert_ne!(verified.nonce, again.nonce);
}

#[test]
fn a_hand_made_request_in_order_is_taken() {
    assert_eq!(verify(&header(), &payload()).map(|verified| verified.nonce), Ok([3; 32]));
}

#[test]
fn a_header_with_other_members_or_values_is_refused() {
    let x = header()["jwk"]["x"].clone();
    let changes = [
        ("/alg", json!("ES384")),
        ("/alg", json!("none")),
        ("/typ", json!("parlour-renew+jwt")),
        ("/typ", json!("JWT")),
        ("/jwk", json!(null)),
        ("/jwk/kty", json!("RSA")),
        ("/jwk/crv", json!("P-384")),
        ("/jwk/y", x),
        ("/jwk/x", json!("AAAA")),
    ];
    for (place, value) in changes {
        let mut header = header();
        *header.pointer_mut(place).unwrap() = value;
        let refused = EnrolmentError::Envelope(JwsError::Header.into());
        assert_eq!(verify(&header, &payload()), Err(refused), "{header}");
    }
    for (place, member) in [("", "crit"), ("", "kid"), ("", "x5c"), ("/jwk", "d"), ("/jwk", "alg")] {
        let mut header = header();
        header.pointer_mut(place).unwrap()[member] = json!([]);
        let refused = EnrolmentError::Envelope(JwsError::Header.into());
        assert_eq!(verify(&header, &payload()), Err(refused), "{header}");
    }
}

#[test]
fn a_request_signed_by_another_key_than_its_headers_is_refused() {
    let mut header = header();
    header["jwk"] = serde_json::to_value(erik().device.public().to_jwk()).unwrap();
    let refused = EnrolmentError::Envelope(JwsError::Signature.into());
    assert_eq!(verify(&header, &payload()), Err(refused));
}

#[test]
fn somebody_elses_certificate_request_is_refused() {
    let other = device_request("sam", &erik().device).unwrap();
    let refused = refused_with("device_request", base64url::encode(other).into());
    assert_eq!(refused, EnrolmentError::KeyMismatch);
}

#[test]
fn the_device_key_cannot_be_the_seal_key_too() {
    let refused = refused_with("seal_key", base64url::encode(sam().device.public_spki()).into());
    assert_eq!(refused, EnrolmentError::RepeatedKey);
}

#[test]
fn members_of_wrong_form_are_refused() {
    let text = |bytes: &[u8]| Value::from(base64url::encode(bytes));
    let malformed = EnrolmentError::Envelope(SignedRequestError::Payload);
    let changes = [
        ("v", json!(2), EnrolmentError::Version),
        ("v", json!("1"), malformed),
        ("name", json!(null), malformed),
        ("more", json!(1), malformed),
        ("nonce", text(&[3; 31]), EnrolmentError::Member("nonce")),
        ("device_request", json!("===="), EnrolmentError::Member("device_request")),
        ("device_request", text(b"x"), EnrolmentError::DeviceRequest(RequestError::Malformed)),
        ("account_request", text(b"x"), EnrolmentError::AccountRequest(RequestError::Malformed)),
        ("seal_key", text(b"x"), EnrolmentError::SealKey(P256KeyError::NotP256)),
        (
            "seal_key",
            text(sam().account.public().to_spki_der()),
            EnrolmentError::SealKey(P256KeyError::NotP256),
        ),
    ];
    for (member, value, error) in changes {
        assert_eq!(refused_with(member, value), error, "{member}");
    }
}

#[test]
fn an_account_key_of_another_size_is_refused() {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let small = rcgen::CertificateParams::default().serialize_request(&key).unwrap();
    let refused = refused_with("account_request", base64url::encode(small.der()).into());
    let error = RequestError::AccountKey(AccountKeyError::ModulusLength { bits: 2048 });
    assert_eq!(refused, EnrolmentError::AccountRequest(error));
}

#[test]
fn a_request_that_is_too_long_is_refused_unread() {
    let refused = read_enrolment(&"A".repeat(MAX_COMPACT + 1));
    assert_eq!(refused, Err(EnrolmentError::Envelope(SignedRequestError::TooLong)));
}

#[test]
fn an_enrolment_is_no_renewal_and_a_renewal_no_enrolment() {
    let enrolment = request().build(&mut rand::rng()).unwrap();
    let renewal = RenewalRequest { name: "sam", device: "d1", key: &sam().device };
    let renewal = renewal.build(&mut rand::rng()).unwrap();
    let header = SignedRequestError::Jws(JwsError::Header);
    assert_eq!(read_renewal(&enrolment), Err(RenewalError::Envelope(header)));
    assert_eq!(read_enrolment(&renewal), Err(EnrolmentError::Envelope(header)));
}

proptest! {
    #[test]
    fn no_character_can_be_changed(at in any::<prop::sample::Index>(), to in "[-_.A-Za-z0-9=]") {
        static COMPACT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
        let compact = COMPACT.get_or_init(|| request().build(&mut rand::rng()).unwrap());
        let at = at.index(compact.len());
        let mut altered = compact.clone();
        altered.replace_range(at..=at, &to);
        prop_assume!(altered != *compact);
        prop_assert!(read_enrolment(&altered).is_err());
    }
}
