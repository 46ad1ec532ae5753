//! Enrolment: the single request with which a new user asks the TTP for her certificates.

use parlour_envelope::base64url;
use parlour_envelope::enrolment::{EnrolmentPayload, TYP};
use parlour_envelope::signed_request::VERSION;
use rand_core::CryptoRng;

use crate::account_key::AccountKey;
use crate::certificate_request::{account_request, device_request};
use crate::device_key::DeviceKey;
use crate::private_key::KeyFailure;
use crate::seal_key::SealKey;
use crate::signed_request;

/// The request for a name: a compact JWS, signed by the device key, of name, nonce, both PKCS#10 requests and the
/// public seal key.
#[derive(Debug, Clone, Copy)]
pub struct EnrolmentRequest<'a> {
    /// The name asked for; not checked here.
    pub name: &'a str,
    /// The device key, which signs the request.
    pub device: &'a DeviceKey,
    /// The account key.
    pub account: &'a AccountKey,
    /// The seal key, whose public half is sent.
    pub seal: &'a SealKey,
}

impl EnrolmentRequest<'_> {
    /// Builds and signs the request, with a new nonce. Keep the result and send it again
    /// unchanged after a crash: the same request gets the same answer.
    pub fn build(&self, rng: &mut impl CryptoRng) -> Result<String, KeyFailure> {
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let payload = EnrolmentPayload {
            v: VERSION,
            name: self.name.to_owned(),
            nonce: base64url::encode(nonce),
            device_request: base64url::encode(device_request(self.name, self.device)?),
            account_request: base64url::encode(account_request(self.name, self.account)?),
            seal_key: base64url::encode(self.seal.public_spki()),
        };
        signed_request::sign(self.device, TYP, &payload)
    }
}

#[cfg(test)]
mod tests;
