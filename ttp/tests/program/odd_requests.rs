//! Requests as Mallory would write them: everything in them but her keys is ignored.

use parlour_keylog::DeviceCertificate;
use parlour_protocol::ttp::TtpRefusal;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData, SanType, SignatureAlgorithm, SigningKey,
};
use rsa::traits::PublicKeyParts as _;
use rsa::{BoxedUint, Pkcs1v15Sign, RsaPrivateKey};
use sha2::{Digest as _, Sha256};

use crate::people::{Person, encode};
use crate::world::World;

/// A request that asks for everything.
fn greedy_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "erik");
    params.distinguished_name.push(DnType::OrganizationName, "Parlour");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::Any];
    params.subject_alt_names = vec![
        SanType::DnsName("localhost".try_into().unwrap()),
        SanType::URI("parlour:erik/0123456789abcdef".try_into().unwrap()),
    ];
    params
}

#[test]
fn a_request_for_an_authority_gives_a_plain_device_certificate() {
    let world = World::new();
    let mallory = Person::new();
    let key = KeyPair::from_pem(&mallory.device.to_pkcs8_pem().unwrap()).unwrap();
    let greedy = greedy_params().serialize_request(&key).unwrap();
    let request =
        mallory.odd_enrolment("mallory", |payload| payload["device_request"] = encode(greedy.der()).into());
    let issued = world.serve().enrol(&request).unwrap();
    // Reading it is the check: the profile has no room for anything else.
    let certificate = DeviceCertificate::from_der(&issued.device_certificate.0).unwrap();
    assert_eq!((certificate.user().as_str(), certificate.device()), ("mallory", &mallory.device_id()));
    assert_eq!(certificate.verify(&world.root(), certificate.not_before()), Ok(()));
}

/// An RSA key of any size and exponent that signs its own request.
struct OddRsa {
    key: RsaPrivateKey,
    der: Vec<u8>,
}

impl OddRsa {
    fn new(bits: usize, exponent: u64) -> Self {
        let key = RsaPrivateKey::new_with_exp(&mut rand::rng(), bits, BoxedUint::from(exponent)).unwrap();
        let der = rsa::pkcs1::EncodeRsaPublicKey::to_pkcs1_der(key.as_public_key()).unwrap();
        Self { der: der.as_bytes().to_vec(), key }
    }
}

impl PublicKeyData for OddRsa {
    fn der_bytes(&self) -> &[u8] {
        &self.der
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl SigningKey for OddRsa {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let hash = Sha256::digest(message);
        Ok(self.key.sign(Pkcs1v15Sign::new::<Sha256>(), &hash).unwrap())
    }
}

#[test]
fn account_keys_of_other_sizes_and_exponents_are_refused() {
    let world = World::new();
    let serving = world.serve();
    for (bits, exponent, taken) in
        [(2048, 65_537, false), (4096, 65_537, false), (3072, 3, false), (3072, 65_537, true)]
    {
        let person = Person::new();
        let key = OddRsa::new(bits, exponent);
        assert_eq!(usize::try_from(key.key.n().bits()).unwrap(), bits);
        let csr = CertificateParams::default().serialize_request(&key).unwrap();
        let request =
            person.odd_enrolment("sam", |payload| payload["account_request"] = encode(csr.der()).into());
        let answer = serving.enrol(&request);
        if taken {
            assert!(answer.is_ok(), "{answer:?}");
        } else {
            assert_eq!(answer, Err(TtpRefusal::BadRequest), "{bits} bits, exponent {exponent}");
        }
    }
}

#[test]
fn names_outside_the_grammar_are_refused() {
    let world = World::new();
    let (serving, person) = (world.serve(), Person::new());
    for name in ["", "Sam", "sam ", "../sam", "sam\n", "s\u{430}m", "-sam", &"x".repeat(33)] {
        let request = person.odd_enrolment("sam", |payload| payload["name"] = name.into());
        assert_eq!(serving.enrol(&request), Err(TtpRefusal::BadRequest), "{name:?}");
    }
}

#[test]
fn changed_requests_are_refused() {
    let world = World::new();
    let (serving, person) = (world.serve(), Person::new());
    let good = person.enrolment("sam");
    let middle = good.len() / 2;
    let touched = format!(
        "{}{}{}",
        &good[..middle],
        if good.as_bytes()[middle] == b'A' { 'B' } else { 'A' },
        &good[middle + 1..]
    );
    for request in ["", "a.b.c", &good[1..], &touched, &format!("{good}A"), &"a".repeat(20_000)] {
        assert_eq!(serving.enrol(request), Err(TtpRefusal::BadRequest));
    }
    let stolen = person.odd_enrolment("sam", |payload| {
        let other = Person::new();
        payload["device_request"] =
            encode(&parlour_crypto::certificate_request::device_request("sam", &other.device).unwrap())
                .into();
    });
    assert_eq!(serving.enrol(&stolen), Err(TtpRefusal::BadRequest));
    serving.enrol(&good).unwrap();
}
