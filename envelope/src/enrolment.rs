//! Enrolment: the single request with which a new user asks the TTP for her certificates.

use serde::{Deserialize, Serialize};

use crate::base64url;
use crate::certificate_request::{RequestError, verify_account_request, verify_device_request};
use crate::p256::{P256KeyError, P256PublicKey};
use crate::signed_request::{self, SignedRequestError, VERSION};
use crate::verifier::Verifier;

/// The type of request, in its header.
pub const TYP: &str = "parlour-enrol+jwt";

/// A request whose signatures and keys are all valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEnrolment {
    /// The name asked for, as written: the caller parses it.
    pub name: String,
    /// 32 random bytes that make the request unique.
    pub nonce: [u8; 32],
    /// The device key, a DER `SubjectPublicKeyInfo` on P-256; it signed the request.
    pub device_spki: Vec<u8>,
    /// The account key, a DER `SubjectPublicKeyInfo` of RSA-3072; possession is proven.
    pub account_spki: Vec<u8>,
    /// The seal key, a DER `SubjectPublicKeyInfo` on P-256; the device key vouches for it.
    pub seal_spki: Vec<u8>,
}

/// The reasons why an enrolment is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnrolmentError {
    /// The envelope is not valid.
    #[error(transparent)]
    Envelope(#[from] SignedRequestError),
    /// The request has a later version than this code knows.
    #[error("the enrolment has a version that is not known")]
    Version,
    /// A member is not canonical base64url, or has a wrong length.
    #[error("the enrolment's member `{0}` is malformed")]
    Member(&'static str),
    /// The device key's certificate request is refused.
    #[error("device request: {0}")]
    DeviceRequest(#[source] RequestError),
    /// The account key's certificate request is refused.
    #[error("account request: {0}")]
    AccountRequest(#[source] RequestError),
    /// The seal key is not acceptable.
    #[error("seal key: {0}")]
    SealKey(#[source] P256KeyError),
    /// The key that signed is not the one in the device key's certificate request.
    #[error("the enrolment is signed by another key than it asks a certificate for")]
    KeyMismatch,
    /// Device key and seal key are the same; one key serves one purpose.
    #[error("the device key and the seal key are the same")]
    RepeatedKey,
}

/// The signed members. Binary ones are base64url.
#[allow(missing_docs)] // they are named as in `VerifiedEnrolment`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentPayload {
    pub v: u32,
    pub name: String,
    pub nonce: String,
    pub device_request: String,
    pub account_request: String,
    pub seal_key: String,
}

impl VerifiedEnrolment {
    /// Makes every check that does not need the user's identity: header, signatures, proofs of possession, and
    /// that each key is of its kind. The caller must check that the name is well formed and free.
    pub fn read(compact: &str, verifier: &dyn Verifier) -> Result<Self, EnrolmentError> {
        let (signer, payload): (_, EnrolmentPayload) = signed_request::open(compact, TYP, verifier)?;
        if payload.v != VERSION {
            return Err(EnrolmentError::Version);
        }
        let nonce = base64url::decode_array(&payload.nonce).ok_or(EnrolmentError::Member("nonce"))?;
        let device = member(&payload.device_request, "device_request")?;
        let account = member(&payload.account_request, "account_request")?;
        let seal = member(&payload.seal_key, "seal_key")?;

        let device_spki = verify_device_request(&device, verifier).map_err(EnrolmentError::DeviceRequest)?;
        let account_spki =
            verify_account_request(&account, verifier).map_err(EnrolmentError::AccountRequest)?;
        let seal_key = P256PublicKey::from_spki_der(&seal, verifier).map_err(EnrolmentError::SealKey)?;
        if signer.to_spki_der() != device_spki {
            return Err(EnrolmentError::KeyMismatch);
        }
        if signer == seal_key {
            return Err(EnrolmentError::RepeatedKey);
        }
        Ok(Self { name: payload.name, nonce, device_spki, account_spki, seal_spki: seal })
    }
}

fn member(text: &str, name: &'static str) -> Result<Vec<u8>, EnrolmentError> {
    base64url::decode(text).ok_or(EnrolmentError::Member(name))
}
