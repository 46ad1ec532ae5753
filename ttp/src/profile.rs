//! The profiles of the certificates. Every field is chosen here: only the public key is taken from a request.

use parlour_keylog::{Host, RootCertificate, device_id};
use parlour_protocol::{Timestamp, UserName};
use rand::Rng as _;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use thiserror::Error;
use time::OffsetDateTime;

/// The time before its issue at which a certificate begins, in seconds. It is valid at once even for those whose
/// clocks are behind ours.
pub(crate) const SKEW: i64 = 5 * 60;

const DAY: i64 = 24 * 60 * 60;

/// The validity of a device certificate, in seconds.
pub(crate) const DEVICE_LIFE: i64 = 7 * DAY;

/// The validity of a server certificate, in seconds.
const SERVER_LIFE: i64 = 365 * DAY;

/// The validity of the root, in seconds: 20 years of 365.25 days.
const ROOT_LIFE: i64 = 7_305 * DAY;

/// The longest common name (RFC 5280, `ub-common-name`), in characters.
const COMMON_NAME_CHARACTERS: usize = 64;

/// The reasons why a certificate cannot be made.
#[derive(Debug, Error)]
pub enum ProfileError {
    /// The time cannot be written in a certificate.
    #[error("the clock shows a time that a certificate cannot hold")]
    Time,
    /// The library refused.
    #[error("the certificate could not be made: {0}")]
    Making(#[from] rcgen::Error),
}

/// The root's key, and its name as an issuer.
pub type RootIssuer = Issuer<'static, KeyPair>;

/// A self-signed root: CA:TRUE with a path length of 0, valid for 20 years.
pub fn root(key: &KeyPair, now: Timestamp) -> Result<Vec<u8>, ProfileError> {
    let mut params = params("Parlour root", now, now.as_seconds().saturating_add(ROOT_LIFE))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = false;
    Ok(params.self_signed(key)?.der().to_vec())
}

/// A device certificate: the key authenticates this user as a TLS client, valid for 7 days.
pub fn device(
    issuer: &RootIssuer,
    name: &UserName,
    spki: &[u8],
    now: Timestamp,
) -> Result<Vec<u8>, ProfileError> {
    let mut params = params(name.as_str(), now, now.as_seconds().saturating_add(DEVICE_LIFE))?;
    let uri = format!("parlour:{name}/{}", device_id(spki));
    params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    sign(issuer, &params, spki)
}

/// An account certificate: messages to this user are sealed to the key, valid as long as the root.
pub fn account(
    issuer: &RootIssuer,
    root: &RootCertificate,
    name: &UserName,
    spki: &[u8],
    now: Timestamp,
) -> Result<Vec<u8>, ProfileError> {
    let mut params = params(name.as_str(), now, root.not_after())?;
    params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    sign(issuer, &params, spki)
}

/// The key log's certificate: the Ed25519 key signs the log's statements, valid as long as the root.
pub fn log(
    issuer: &RootIssuer,
    root: &RootCertificate,
    spki: &[u8],
    now: Timestamp,
) -> Result<Vec<u8>, ProfileError> {
    let mut params = params("parlour log", now, root.not_after())?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    sign(issuer, &params, spki)
}

/// A server certificate: the key is that of a server on these hosts, valid for 365 days.
pub fn server(
    issuer: &RootIssuer,
    hosts: &[Host],
    spki: &[u8],
    now: Timestamp,
) -> Result<Vec<u8>, ProfileError> {
    let first = hosts.first().map(ToString::to_string).unwrap_or_default();
    let common_name = if first.len() <= COMMON_NAME_CHARACTERS { &first } else { "Parlour server" };
    let mut params = params(common_name, now, now.as_seconds().saturating_add(SERVER_LIFE))?;
    params.subject_alt_names = hosts.iter().map(alternative_name).collect::<Result<_, _>>()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    sign(issuer, &params, spki)
}

/// The fields that all certificates share.
fn params(common_name: &str, now: Timestamp, not_after: i64) -> Result<CertificateParams, ProfileError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = moment(now.as_seconds().saturating_sub(SKEW))?;
    params.not_after = moment(not_after)?;
    params.serial_number = Some(serial());
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn sign(issuer: &RootIssuer, params: &CertificateParams, spki: &[u8]) -> Result<Vec<u8>, ProfileError> {
    let key = SubjectPublicKeyInfo::from_der(spki)?;
    Ok(params.signed_by(&key, issuer)?.der().to_vec())
}

fn alternative_name(host: &Host) -> Result<SanType, rcgen::Error> {
    match host.ip() {
        Some(address) => Ok(SanType::IpAddress(address)),
        None => Ok(SanType::DnsName(host.to_string().try_into()?)),
    }
}

/// 128 random bits.
fn serial() -> SerialNumber {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    SerialNumber::from(bytes.to_vec())
}

fn moment(seconds: i64) -> Result<OffsetDateTime, ProfileError> {
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| ProfileError::Time)
}
