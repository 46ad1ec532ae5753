//! Renewal: the request with which a device asks the TTP for a new certificate for its key.

use serde::{Deserialize, Serialize};

use crate::base64url;
use crate::certificate_request::{RequestError, verify_device_request};
use crate::signed_request::{self, SignedRequestError, VERSION};
use crate::verifier::Verifier;

/// The type of request, in its header.
pub const TYP: &str = "parlour-renew+jwt";

/// A request whose signatures are valid. The caller must check that the key belongs to that device of that user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRenewal {
    /// The user's name, as written: the caller parses it.
    pub name: String,
    /// The device's id, as written: the caller parses it.
    pub device: String,
    /// 32 random bytes that make the request unique.
    pub nonce: [u8; 32],
    /// The device key, a DER `SubjectPublicKeyInfo` on P-256; it signed the request.
    pub device_spki: Vec<u8>,
}

/// The reasons why a renewal is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RenewalError {
    /// The envelope is not valid.
    #[error(transparent)]
    Envelope(#[from] SignedRequestError),
    /// The request has a later version than this code knows.
    #[error("the renewal has a version that is not known")]
    Version,
    /// A member is not canonical base64url, or has a wrong length.
    #[error("the renewal's member `{0}` is malformed")]
    Member(&'static str),
    /// The certificate request is refused.
    #[error("device request: {0}")]
    DeviceRequest(#[source] RequestError),
    /// The key that signed is not the one in the certificate request.
    #[error("the renewal is signed by another key than it asks a certificate for")]
    KeyMismatch,
}

/// The signed members. Binary ones are base64url.
#[allow(missing_docs)] // they are named as in `VerifiedRenewal`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewalPayload {
    pub v: u32,
    pub name: String,
    pub device: String,
    pub nonce: String,
    pub device_request: String,
}

impl VerifiedRenewal {
    /// Checks header, signature, proof of possession and that the key is on P-256.
    pub fn read(compact: &str, verifier: &dyn Verifier) -> Result<Self, RenewalError> {
        let (signer, payload): (_, RenewalPayload) = signed_request::open(compact, TYP, verifier)?;
        if payload.v != VERSION {
            return Err(RenewalError::Version);
        }
        let nonce = base64url::decode_array(&payload.nonce).ok_or(RenewalError::Member("nonce"))?;
        let request =
            base64url::decode(&payload.device_request).ok_or(RenewalError::Member("device_request"))?;
        let device_spki = verify_device_request(&request, verifier).map_err(RenewalError::DeviceRequest)?;
        if signer.to_spki_der() != device_spki {
            return Err(RenewalError::KeyMismatch);
        }
        Ok(Self { name: payload.name, device: payload.device, nonce, device_spki })
    }
}
