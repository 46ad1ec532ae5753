//! Signed revocations, which prove to everybody that the TTP revoked a device.
//!
//! A statement is a compact JWS (RFC 7515, section 7.1) with `EdDSA` (RFC 8037). Its payload is the
//! canonical bytes of the revocation's leaf in the key log, and its header carries the number of the
//! revocation and the certificate of the log's key. Like the leaf, a statement is read in one spelling only.

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parlour_protocol::{DeviceId, Timestamp, UserName};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::certificate::{CertificateError, LogCertificate, RootCertificate};
use crate::leaf::{Leaf, LeafError, LeafKind};

/// The longest statement that is read, in bytes. Ours take about 1,200.
pub const STATEMENT_BYTES: usize = 16_384;

const ALGORITHM: &str = "EdDSA";

const TYPE: &str = "parlour-revocation+jws";

/// The greatest number that every JSON reader holds exactly (RFC 7493, 2.2).
const GREATEST_NUMBER: u64 = (1 << 53) - 1;

/// A revocation that was proved by its statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedRevocation {
    /// Its number: 1 for the TTP's first, without gaps.
    pub number: u64,
    /// The owner of the revoked device.
    pub name: UserName,
    /// The device's id.
    pub device: DeviceId,
    /// The time of the revocation, by the TTP's clock.
    pub time: Timestamp,
    /// The statement itself, a compact JWS, to be kept and shown to others.
    pub statement: String,
}

/// Why a text proves no revocation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RevocationError {
    /// Longer than [`STATEMENT_BYTES`].
    #[error("the revocation's statement is too long")]
    TooLong,
    /// Not three parts in canonical base64url.
    #[error("the revocation's statement is not a compact JWS")]
    Malformed,
    /// The header does not have exactly the members of a revocation's in their canonical form.
    #[error("the header of the revocation's statement does not follow its form")]
    Header,
    /// The number is 0, or greater than every JSON reader holds exactly.
    #[error("the revocation's number is out of range")]
    Number,
    /// The payload is not a leaf.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// The payload is the leaf of another act, or names certificates.
    #[error("the leaf is not that of a revocation")]
    Kind,
    /// The certificate is not the log's, or does not lead to the root.
    #[error("the log's certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// The signature is not the log's.
    #[error("the revocation's signature is not the log's")]
    Signature,
}

/// The protected header, its members in the order of RFC 8785: by name.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    number: u64,
    typ: String,
    x5c: [String; 1],
}

impl SignedRevocation {
    /// Verifies a statement against the pinned `root` at `now`, in Unix seconds, with the root's verifier.
    pub fn verify(jws: &str, root: &RootCertificate, now: i64) -> Result<Self, RevocationError> {
        if jws.len() > STATEMENT_BYTES {
            return Err(RevocationError::TooLong);
        }
        // An extra dot stays in one of the parts, where base64url refuses it.
        let (input, signature) = jws.rsplit_once('.').ok_or(RevocationError::Malformed)?;
        let (header, payload) = input.split_once('.').ok_or(RevocationError::Malformed)?;
        let (number, certificate) = read_header(&part(header)?)?;
        let leaf = Leaf::decode(&part(payload)?)?;
        let signature = part(signature)?.try_into().map_err(|_| RevocationError::Signature)?;
        certificate.verify(root, now)?;
        root.verifier()
            .ed25519(certificate.public_key(), input.as_bytes(), &signature)
            .map_err(|_| RevocationError::Signature)?;
        let LeafKind::Revocation { name, device } = leaf.kind else { return Err(RevocationError::Kind) };
        if !leaf.certificates.is_empty() {
            return Err(RevocationError::Kind);
        }
        Ok(Self { number, name, device, time: leaf.time, statement: jws.to_owned() })
    }
}

/// The text that the log's key signs to state a revocation: the header and the payload of the JWS. To complete the
/// statement, append a dot and the signature in base64url.
pub fn revocation_signing_input(number: u64, leaf: &Leaf, certificate: &LogCertificate) -> String {
    let header = encode_header(&Header {
        alg: ALGORITHM.to_owned(),
        number,
        typ: TYPE.to_owned(),
        x5c: [STANDARD.encode(certificate.der())],
    });
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(leaf.encode()))
}

fn part(text: &str) -> Result<Vec<u8>, RevocationError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| RevocationError::Malformed)
}

fn encode_header(header: &Header) -> Vec<u8> {
    // Serialization fails only for keys that are not text and for values that cannot be serialized; a header has
    // neither.
    serde_json::to_vec(header).unwrap_or_default()
}

fn read_header(bytes: &[u8]) -> Result<(u64, LogCertificate), RevocationError> {
    let header: Header = serde_json::from_slice(bytes).map_err(|_| RevocationError::Header)?;
    if encode_header(&header) != bytes || header.alg != ALGORITHM || header.typ != TYPE {
        return Err(RevocationError::Header);
    }
    if !(1..=GREATEST_NUMBER).contains(&header.number) {
        return Err(RevocationError::Number);
    }
    let [certificate] = &header.x5c;
    // Decoding accepts only one spelling, so there is one header for one certificate.
    let der = STANDARD.decode(certificate).map_err(|_| RevocationError::Header)?;
    Ok((header.number, LogCertificate::from_der(&der)?))
}
