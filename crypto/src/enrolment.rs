//! Enrolment: the one request by which a new user asks the TTP for her certificates.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::account_key::AccountKey;
use crate::base64url;
use crate::certificate_request::{
    RequestError, account_request, device_request, verify_account_request, verify_device_request,
};
use crate::device_key::DeviceKey;
use crate::p256::{P256KeyError, P256PublicKey};
use crate::private_key::KeyFailure;
use crate::seal_key::SealKey;
use crate::signed_request::{self, SignedRequestError, VERSION};

const TYP: &str = "parlour-enrol+jwt";

/// The request for a name: a compact JWS by the device key over name, nonce, both PKCS#10 requests
/// and the public seal key.
#[derive(Debug, Clone, Copy)]
pub struct EnrolmentRequest<'a> {
    /// The name asked for; not checked here.
    pub name: &'a str,
    /// The device key, which signs the whole.
    pub device: &'a DeviceKey,
    /// The account key.
    pub account: &'a AccountKey,
    /// The seal key, of which the public half is sent.
    pub seal: &'a SealKey,
}

/// What a request says whose signatures and keys are all in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEnrolment {
    /// The name asked for, as written: the caller parses it.
    pub name: String,
    /// 32 random bytes that make the request one of its kind.
    pub nonce: [u8; 32],
    /// The device key, a DER `SubjectPublicKeyInfo` on P-256; it signed the request.
    pub device_spki: Vec<u8>,
    /// The account key, a DER `SubjectPublicKeyInfo` of RSA-3072; possession is proven.
    pub account_spki: Vec<u8>,
    /// The seal key, a DER `SubjectPublicKeyInfo` on P-256; vouched for by the device key.
    pub seal_spki: Vec<u8>,
}

/// Why an enrolment was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnrolmentError {
    /// The envelope is not in order.
    #[error(transparent)]
    Envelope(#[from] SignedRequestError),
    /// A later version of the request than this code knows.
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    v: u32,
    name: String,
    nonce: String,
    device_request: String,
    account_request: String,
    seal_key: String,
}

impl EnrolmentRequest<'_> {
    /// Builds and signs the request, with a new nonce. Keep the result and send it again
    /// unchanged after a crash: the same request gets the same answer.
    pub fn build(&self, rng: &mut impl CryptoRng) -> Result<String, KeyFailure> {
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let payload = Payload {
            v: VERSION,
            name: self.name.to_owned(),
            nonce: base64url::encode(nonce),
            device_request: base64url::encode(device_request(self.name, self.device)?),
            account_request: base64url::encode(account_request(self.name, self.account)?),
            seal_key: base64url::encode(self.seal.public_spki()),
        };
        signed_request::sign(self.device, TYP, &payload)
    }

    /// Checks everything that can be checked without knowing who is asking: header, signatures,
    /// proofs of possession, and that each key is of its kind. Whether the name is well formed
    /// and free is for the caller to see.
    pub fn verify(compact: &str) -> Result<VerifiedEnrolment, EnrolmentError> {
        let (signer, payload): (_, Payload) = signed_request::open(compact, TYP)?;
        if payload.v != VERSION {
            return Err(EnrolmentError::Version);
        }
        let nonce = base64url::decode_array(&payload.nonce).ok_or(EnrolmentError::Member("nonce"))?;
        let device = member(&payload.device_request, "device_request")?;
        let account = member(&payload.account_request, "account_request")?;
        let seal = member(&payload.seal_key, "seal_key")?;

        let device_spki = verify_device_request(&device).map_err(EnrolmentError::DeviceRequest)?;
        let account_spki = verify_account_request(&account).map_err(EnrolmentError::AccountRequest)?;
        let seal_key = P256PublicKey::from_spki_der(&seal).map_err(EnrolmentError::SealKey)?;
        if signer.to_spki_der() != device_spki {
            return Err(EnrolmentError::KeyMismatch);
        }
        if signer == seal_key {
            return Err(EnrolmentError::RepeatedKey);
        }
        Ok(VerifiedEnrolment { name: payload.name, nonce, device_spki, account_spki, seal_spki: seal })
    }
}

fn member(text: &str, name: &'static str) -> Result<Vec<u8>, EnrolmentError> {
    base64url::decode(text).ok_or(EnrolmentError::Member(name))
}

#[cfg(test)]
mod tests;
