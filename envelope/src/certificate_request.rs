//! Certificate requests (PKCS#10, RFC 2986): they prove possession of a key and nothing else.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

use crate::account_public_key::{AccountKeyError, AccountPublicKey};
use crate::p256::{P256KeyError, P256PublicKey};
use crate::verifier::Verifier;

/// The longest request that is read, in bytes of DER. An RSA-3072 request takes about 900.
pub const MAX_REQUEST: usize = 4096;

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 3;

/// The DER `AlgorithmIdentifier` of ecdsa-with-SHA256 (RFC 5758 section 3.2).
const ECDSA_WITH_SHA256: [u8; 12] = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// The DER `AlgorithmIdentifier` of sha256WithRSAEncryption (RFC 4055 section 5).
const RSA_WITH_SHA256: [u8; 15] = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0];
/// The offset of the object identifier's contents in these.
const OID_AT: usize = 4;

/// The reasons why a certificate request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Longer than [`MAX_REQUEST`].
    #[error("the certificate request is too long")]
    TooLong,
    /// Not one DER-encoded PKCS#10 request.
    #[error("not a certificate request")]
    Malformed,
    /// Signed with another algorithm than this kind of key uses.
    #[error("the certificate request is signed with an algorithm that is not accepted")]
    SignatureAlgorithm,
    /// The key in a device's request is refused.
    #[error("the device key in the certificate request is refused: {0}")]
    DeviceKey(#[source] P256KeyError),
    /// The key in an account's request is refused.
    #[error("the account key in the certificate request is refused: {0}")]
    AccountKey(#[source] AccountKeyError),
    /// The self-signature is wrong, so it does not prove that the sender holds the key.
    #[error("the certificate request's own signature does not fit")]
    Signature,
}

/// Checks a device's request and returns its key as a DER `SubjectPublicKeyInfo`.
///
/// Only the key is read. Subject, attributes and requested extensions are the sender's wishes (CA:TRUE, another
/// user's name), which the issuer must not follow.
pub fn verify_device_request(der: &[u8], verifier: &dyn Verifier) -> Result<Vec<u8>, RequestError> {
    let request = parse(der)?;
    let info = &request.certification_request_info;
    let key =
        P256PublicKey::from_spki_der(info.subject_pki.raw, verifier).map_err(RequestError::DeviceKey)?;
    check_frame(&request, &ECDSA_WITH_SHA256)?;
    key.verify_asn1(info.raw, &request.signature_value.data, verifier)
        .map_err(|_| RequestError::Signature)?;
    Ok(key.to_spki_der())
}

/// Checks an account's request and returns its key as a DER `SubjectPublicKeyInfo`. Nothing else is read, as in
/// [`verify_device_request`].
pub fn verify_account_request(der: &[u8], verifier: &dyn Verifier) -> Result<Vec<u8>, RequestError> {
    let request = parse(der)?;
    let info = &request.certification_request_info;
    let key = AccountPublicKey::from_spki_der(info.subject_pki.raw).map_err(RequestError::AccountKey)?;
    check_frame(&request, &RSA_WITH_SHA256)?;
    verifier
        .rsa_pkcs1(key.to_pkcs1_der(), info.raw, &request.signature_value.data)
        .map_err(|_| RequestError::Signature)?;
    Ok(key.to_spki_der().to_vec())
}

fn parse(der: &[u8]) -> Result<X509CertificationRequest<'_>, RequestError> {
    if der.len() > MAX_REQUEST {
        return Err(RequestError::TooLong);
    }
    match X509CertificationRequest::from_der(der) {
        Ok(([], request)) => Ok(request),
        Ok(_) | Err(_) => Err(RequestError::Malformed),
    }
}

/// Checks that the parts not covered by the signature (its algorithm, the outer tags and lengths) are canonical
/// DER, because x509-parser is lenient there.
fn check_frame(request: &X509CertificationRequest<'_>, algorithm: &[u8]) -> Result<(), RequestError> {
    let oid = request.signature_algorithm.algorithm.as_bytes();
    if algorithm.get(OID_AT..OID_AT + oid.len()) != Some(oid) {
        return Err(RequestError::SignatureAlgorithm);
    }
    let no_unused_bits = 0;
    let signature = [&[no_unused_bits], request.signature_value.data.as_ref()].concat();
    let info = request.certification_request_info.raw;
    let body = [info, algorithm, &der_value(BIT_STRING, &signature)].concat();
    if request.as_raw() == der_value(SEQUENCE, &body) { Ok(()) } else { Err(RequestError::Malformed) }
}

/// One DER value: tag, length (X.690 section 8.1.3), contents.
fn der_value(tag: u8, contents: &[u8]) -> Vec<u8> {
    let [.., high, low] = contents.len().to_be_bytes();
    let header = match contents.len() {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        // Two bytes are enough for everything that parse() accepts: MAX_REQUEST is far below 64 KiB.
        _ => vec![tag, 0x82, high, low],
    };
    [header.as_slice(), contents].concat()
}
