//! The authority as a library, under a clock that stands still.

use std::path::Path;

use parlour_crypto::{AccountKey, DeviceKey, EnrolmentRequest, RenewalRequest, SealKey};
use parlour_keylog::{DeviceCertificate, device_id};

use super::*;
use crate::commands::init::init;

const NOON: Timestamp = Timestamp::from_millis(1_572_609_600_000);

fn noon() -> Timestamp {
    NOON
}

fn opened(keys: &Path) -> Authority {
    init(&KeyFolder::new(keys), &noon).unwrap();
    Authority::open(keys, noon).unwrap()
}

#[test]
fn a_name_can_be_enrolled_renewed_and_revoked_without_a_process() {
    let keys = tempfile::tempdir().unwrap();
    let authority = opened(keys.path());
    let (device, seal) = (DeviceKey::generate().unwrap(), SealKey::generate().unwrap());
    let account = AccountKey::generate(&mut rand::rng()).unwrap();
    let request = EnrolmentRequest { name: "sam", device: &device, account: &account, seal: &seal };
    let request = request.build(&mut rand::rng()).unwrap();
    let issued = authority.enrol(&request).unwrap();
    assert_eq!(authority.enrol(&request), Ok(issued.clone()));
    let certificate = DeviceCertificate::from_der(&issued.device_certificate.0).unwrap();
    assert_eq!(certificate.not_before(), NOON.as_seconds() - 300);
    assert_eq!(certificate.not_after(), NOON.as_seconds() + 7 * 24 * 60 * 60);

    let id = device_id(&device.public_spki());
    let renewal = RenewalRequest { name: "sam", device: id.as_str(), key: &device };
    let renew = || authority.renew(&renewal.build(&mut rand::rng()).unwrap());
    assert_ne!(renew().unwrap().device_certificate, issued.device_certificate);
    let sam: UserName = "sam".parse().unwrap();
    let expected = Revocation { number: 1, name: sam.clone(), device: id.clone(), time: NOON };
    assert_eq!(authority.revoke(&sam, None).unwrap(), [Revoked::Now(expected.clone())]);
    assert_eq!(
        authority.revoke(&sam, Some(&id)).unwrap(),
        [Revoked::Before { device: id.clone(), time: NOON }]
    );
    assert_eq!(authority.revocations_after(0, 10), Ok(vec![expected]));
    assert_eq!(renew(), Err(TtpRefusal::Revoked));
}

#[test]
fn nothing_secret_is_in_the_debug_form() {
    let keys = tempfile::tempdir().unwrap();
    let authority = opened(keys.path());
    let shown = format!("{authority:?}");
    assert!(shown.contains("Parlour root") && !shown.contains("KeyPair"), "{shown}");
}
