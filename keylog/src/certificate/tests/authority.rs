//! A root for tests, and certificates of the profiles for it to sign.

use std::sync::OnceLock;

use parlour_envelope::AwsLc;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData, RsaKeySize, SanType, SerialNumber, SignatureAlgorithm,
};
use time::OffsetDateTime;

use crate::{RootCertificate, device_id};

/// The time at which the tests take place.
pub(crate) const MOMENT: i64 = 1_572_600_600;

pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pub(super) der: Vec<u8>,
    pub(super) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(super) fn with(change: impl FnOnce(&mut CertificateParams)) -> Self {
        Self::with_key(KeyPair::generate().unwrap(), change)
    }

    pub(super) fn with_key(key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = root_params("Parlour root");
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap();
        Self { der: certificate.der().to_vec(), pem: certificate.pem(), params, key }
    }

    pub(crate) fn root(&self) -> RootCertificate {
        RootCertificate::from_der(&self.der, &AwsLc).unwrap()
    }

    pub(crate) fn issue(&self, params: &CertificateParams, key: &impl PublicKeyData) -> Vec<u8> {
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(key, &issuer).unwrap().der().to_vec()
    }

    /// A certificate issued by the holder of a device certificate.
    pub(super) fn issue_by(
        &self,
        params: &CertificateParams,
        key: &KeyPair,
        issuer: &CertificateParams,
    ) -> Vec<u8> {
        let issuer = Issuer::from_params(issuer, &self.key);
        params.signed_by(key, &issuer).unwrap().der().to_vec()
    }
}

pub(super) fn moment(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

fn named(name: &str, after: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = moment(MOMENT - 300);
    params.not_after = moment(after);
    params.is_ca = IsCa::ExplicitNoCa;
    params
}

pub(super) fn root_params(name: &str) -> CertificateParams {
    let mut params = named(name, MOMENT + 630_720_000);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub(super) fn device_params(name: &str, key: &impl PublicKeyData) -> CertificateParams {
    let mut params = named(name, MOMENT + 604_800);
    let id = device_id(&key.subject_public_key_info());
    params.subject_alt_names = vec![uri(&format!("parlour:{name}/{id}"))];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.serial_number = Some(SerialNumber::from(vec![0x80, 0xa1]));
    params.use_authority_key_identifier_extension = true;
    params
}

pub(super) fn account_params(name: &str) -> CertificateParams {
    let mut params = named(name, MOMENT + 630_720_000);
    params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    params
}

pub(crate) fn log_params() -> CertificateParams {
    let mut params = named("parlour log", MOMENT + 630_720_000);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

pub(crate) fn log_key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap()
}

pub(super) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

pub(super) fn device_key() -> KeyPair {
    KeyPair::generate().unwrap()
}

/// One RSA-3072 key for all tests: making one takes a while.
pub(super) fn rsa_key() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(|| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_3072).unwrap())
}

/// One device certificate for tests that take it apart.
pub(super) fn sample() -> &'static [u8] {
    static DER: OnceLock<Vec<u8>> = OnceLock::new();
    DER.get_or_init(|| {
        let key = device_key();
        Authority::new().issue(&device_params("sam", &key), &key)
    })
}

/// A public key made of any bytes.
pub(super) struct RawRsa(Vec<u8>);

/// An RSA public key with a modulus of `bytes` bytes that begins with `top`, and this exponent.
pub(super) fn raw_rsa(bytes: usize, top: u8, exponent: &[u8]) -> RawRsa {
    let mut modulus = vec![0x55; bytes];
    modulus[0] = top;
    if top & 0x80 != 0 {
        modulus.insert(0, 0);
    }
    let members = [integer(&modulus), integer(exponent)].concat();
    RawRsa(element(0x30, &members))
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    element(0x02, bytes)
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    match u16::try_from(content.len()).unwrap() {
        length @ 0..=0x7f => der.push(length.to_le_bytes()[0]),
        length @ 0x80..=0xff => der.extend([0x81, length.to_le_bytes()[0]]),
        length => der.extend([[0x82].as_slice(), &length.to_be_bytes()].concat()),
    }
    der.extend(content);
    der
}

impl PublicKeyData for RawRsa {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}
