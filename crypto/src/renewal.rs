//! Renewal: the request by which a device asks the TTP for a new certificate for the key it has.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::base64url;
use crate::certificate_request::{RequestError, device_request, verify_device_request};
use crate::device_key::DeviceKey;
use crate::private_key::KeyFailure;
use crate::signed_request::{self, SignedRequestError, VERSION};

const TYP: &str = "parlour-renew+jwt";

/// The request for a new certificate: a compact JWS by the device key over name, device, nonce and
/// a PKCS#10 request for that same key.
#[derive(Debug, Clone, Copy)]
pub struct RenewalRequest<'a> {
    /// The user's name; not checked here.
    pub name: &'a str,
    /// The device's identifier, as it stands in the certificate; not checked here.
    pub device: &'a str,
    /// The device key, which signs the whole.
    pub key: &'a DeviceKey,
}

/// What a request says whose signatures are in order. That the key belongs to that device of that
/// user is for the caller to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRenewal {
    /// The user's name, as written: the caller parses it.
    pub name: String,
    /// The device's identifier, as written: the caller parses it.
    pub device: String,
    /// 32 random bytes that make the request one of its kind.
    pub nonce: [u8; 32],
    /// The device key, a DER `SubjectPublicKeyInfo` on P-256; it signed the request.
    pub device_spki: Vec<u8>,
}

/// Why a renewal was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RenewalError {
    /// The envelope is not in order.
    #[error(transparent)]
    Envelope(#[from] SignedRequestError),
    /// A later version of the request than this code knows.
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    v: u32,
    name: String,
    device: String,
    nonce: String,
    device_request: String,
}

impl RenewalRequest<'_> {
    /// Builds and signs the request, with a new nonce.
    pub fn build(&self, rng: &mut impl CryptoRng) -> Result<String, KeyFailure> {
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let payload = Payload {
            v: VERSION,
            name: self.name.to_owned(),
            device: self.device.to_owned(),
            nonce: base64url::encode(nonce),
            device_request: base64url::encode(device_request(self.name, self.key)?),
        };
        signed_request::sign(self.key, TYP, &payload)
    }

    /// Checks header, signature, proof of possession and that the key is on P-256.
    pub fn verify(compact: &str) -> Result<VerifiedRenewal, RenewalError> {
        let (signer, payload): (_, Payload) = signed_request::open(compact, TYP)?;
        if payload.v != VERSION {
            return Err(RenewalError::Version);
        }
        let nonce = base64url::decode_array(&payload.nonce).ok_or(RenewalError::Member("nonce"))?;
        let request =
            base64url::decode(&payload.device_request).ok_or(RenewalError::Member("device_request"))?;
        let device_spki = verify_device_request(&request).map_err(RenewalError::DeviceRequest)?;
        if signer.to_spki_der() != device_spki {
            return Err(RenewalError::KeyMismatch);
        }
        Ok(VerifiedRenewal { name: payload.name, device: payload.device, nonce, device_spki })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jws;
    use crate::test_people::{erik, sam};
    use serde_json::json;

    #[test]
    fn a_request_gives_back_name_device_and_key() {
        let request = RenewalRequest { name: "sam", device: "d1", key: &sam().device };
        let verified = RenewalRequest::verify(&request.build(&mut rand::rng()).unwrap()).unwrap();
        assert_eq!((verified.name.as_str(), verified.device.as_str()), ("sam", "d1"));
        assert_eq!(verified.device_spki, sam().device.public_spki());
    }

    #[test]
    fn a_certificate_request_for_another_key_is_refused() {
        let header = json!({"alg": "ES256", "typ": TYP, "jwk": serde_json::to_value(sam().device.public().to_jwk()).unwrap()});
        let other = device_request("sam", &erik().device).unwrap();
        let payload = json!({
            "v": 1, "name": "sam", "device": "d1", "nonce": base64url::encode([3; 32]),
            "device_request": base64url::encode(other),
        });
        let compact = jws::sign(&sam().device, &header, payload.to_string().as_bytes()).unwrap();
        assert_eq!(RenewalRequest::verify(&compact), Err(RenewalError::KeyMismatch));
    }
}
