//! What asks the TTP for certificates: signed requests, and PKCS#10.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parlour_crypto::{EnrolmentRequest, RenewalRequest, certificate_request};
use parlour_protocol::authority::AuthorityRequest;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = EnrolmentRequest::verify(text);
        let _ = RenewalRequest::verify(text);
        let _ = AuthorityRequest::from_json(text);
    }
    let _ = certificate_request::verify_device_request(bytes);
    let _ = certificate_request::verify_account_request(bytes);
});
