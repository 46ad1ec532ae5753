//! Requests for certificates to the TTP.

use parlour_envelope::certificate_request::{MAX_REQUEST, verify_account_request, verify_device_request};
use parlour_envelope::{AccountPublicKey, AwsLc, P256PublicKey, VerifiedEnrolment, VerifiedRenewal};

use super::people::people;

/// A request to the TTP, a compact JWS: either the input itself, or a header and a payload on separate lines,
/// signed with a key of ours so that the fuzzer gets past the signature. A valid request has keys of the right
/// types, is of one kind only, and is the same when it is read again.
pub fn request(bytes: &[u8]) {
    let Some(compact) = people().signed(bytes) else { return };
    let (enrolment, renewal) =
        (VerifiedEnrolment::read(&compact, &AwsLc), VerifiedRenewal::read(&compact, &AwsLc));
    assert!(enrolment.is_err() || renewal.is_err());
    if let Ok(enrolment) = enrolment {
        assert!(P256PublicKey::from_spki_der(&enrolment.device_spki, &AwsLc).is_ok());
        assert!(P256PublicKey::from_spki_der(&enrolment.seal_spki, &AwsLc).is_ok());
        assert!(AccountPublicKey::from_spki_der(&enrolment.account_spki).is_ok());
        assert_ne!(enrolment.device_spki, enrolment.seal_spki);
        check_spelling(&compact);
        assert_eq!(VerifiedEnrolment::read(&compact, &AwsLc), Ok(enrolment));
    }
    if let Ok(renewal) = renewal {
        assert!(P256PublicKey::from_spki_der(&renewal.device_spki, &AwsLc).is_ok());
        check_spelling(&compact);
        assert_eq!(VerifiedRenewal::read(&compact, &AwsLc), Ok(renewal));
    }
}

/// An accepted JWS has three parts of base64url and nothing around them.
fn check_spelling(compact: &str) {
    assert!(compact.len() <= parlour_envelope::signed_request::MAX_COMPACT);
    assert_eq!(compact.matches('.').count(), 2);
    assert!(compact.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
}

/// A certificate request in DER. A valid one returns a key that it contains, of the expected type.
pub fn pkcs10(bytes: &[u8]) {
    let (device, account) = (verify_device_request(bytes, &AwsLc), verify_account_request(bytes, &AwsLc));
    assert!(device.is_err() || account.is_err());
    if let Ok(spki) = device.as_ref().or(account.as_ref()) {
        assert!(bytes.len() <= MAX_REQUEST);
        assert!(bytes.windows(spki.len()).any(|window| window == spki.as_slice()));
        assert_eq!(P256PublicKey::from_spki_der(spki, &AwsLc).is_ok(), device.is_ok());
        assert_eq!(AccountPublicKey::from_spki_der(spki).is_ok(), account.is_ok());
    }
}
