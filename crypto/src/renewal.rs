//! Renewal: the request with which a device asks the TTP for a new certificate for its key.

use parlour_envelope::base64url;
use parlour_envelope::renewal::{RenewalPayload, TYP};
use parlour_envelope::signed_request::VERSION;
use rand_core::CryptoRng;

use crate::certificate_request::device_request;
use crate::device_key::DeviceKey;
use crate::private_key::KeyFailure;
use crate::signed_request;

/// The request for a new certificate: a compact JWS, signed by the device key, of name, device, nonce and a
/// PKCS#10 request for the same key.
#[derive(Debug, Clone, Copy)]
pub struct RenewalRequest<'a> {
    /// The user's name; not checked here.
    pub name: &'a str,
    /// The device's id, as in the certificate; not checked here.
    pub device: &'a str,
    /// The device key, which signs the request.
    pub key: &'a DeviceKey,
}

impl RenewalRequest<'_> {
    /// Builds and signs the request, with a new nonce.
    pub fn build(&self, rng: &mut impl CryptoRng) -> Result<String, KeyFailure> {
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let payload = RenewalPayload {
            v: VERSION,
            name: self.name.to_owned(),
            device: self.device.to_owned(),
            nonce: base64url::encode(nonce),
            device_request: base64url::encode(device_request(self.name, self.key)?),
        };
        signed_request::sign(self.key, TYP, &payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jws;
    use crate::test_people::{erik, sam};
    use parlour_envelope::renewal::RenewalError;
    use parlour_envelope::{AwsLc, VerifiedRenewal};
    use serde_json::json;

    #[test]
    fn a_request_gives_back_name_device_and_key() {
        let request = RenewalRequest { name: "sam", device: "d1", key: &sam().device };
        let verified = VerifiedRenewal::read(&request.build(&mut rand::rng()).unwrap(), &AwsLc).unwrap();
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
        assert_eq!(VerifiedRenewal::read(&compact, &AwsLc), Err(RenewalError::KeyMismatch));
    }
}
