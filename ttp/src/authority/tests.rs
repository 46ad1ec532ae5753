//! The authority as a library, under a clock that stands still.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::SeqCst;

use parlour_crypto::{AccountKey, DeviceKey, EnrolmentRequest, RenewalRequest, SealKey};
use parlour_keylog::{DeviceCertificate, LogCertificate, SignedRevocation, device_id};

use super::*;
use crate::commands::init::init;
use crate::ledger::inspect;

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
    // Nothing is stored for a certificate that has most of its time.
    assert_eq!(renew().unwrap().device_certificate, issued.device_certificate);
    assert_eq!(authority.ledger().leaves().unwrap().len(), 1);
    let sam: UserName = "sam".parse().unwrap();
    let revoked = authority.revoke(&sam, None).unwrap();
    let [Revoked::Now(expected)] = revoked.as_slice() else { panic!("{revoked:?}") };
    let statement = expected.statement.as_ref().unwrap();
    let signed = SignedRevocation::verify(statement, authority.root(), NOON.as_seconds()).unwrap();
    assert_eq!((signed.number, &signed.name, &signed.device, signed.time), (1, &sam, &id, NOON));
    assert_eq!(
        authority.revoke(&sam, Some(&id)).unwrap(),
        [Revoked::Before { device: id.clone(), time: NOON }]
    );
    assert_eq!(authority.revocations_after(0, 10), Ok(vec![expected.clone()]));
    assert_eq!(renew(), Err(TtpRefusal::Revoked));
}

#[test]
fn nothing_secret_is_in_the_debug_form() {
    let keys = tempfile::tempdir().unwrap();
    let authority = opened(keys.path());
    let shown = format!("{authority:?}");
    assert!(shown.contains("Parlour root") && !shown.contains("KeyPair"), "{shown}");
}

/// Somebody's keys.
struct Keys {
    device: DeviceKey,
    seal: SealKey,
    account: AccountKey,
}

impl Keys {
    fn new() -> Self {
        Self {
            device: DeviceKey::generate().unwrap(),
            seal: SealKey::generate().unwrap(),
            account: AccountKey::generate(&mut rand::rng()).unwrap(),
        }
    }

    fn enrolment(&self, name: &str) -> String {
        let Self { device, seal, account } = self;
        EnrolmentRequest { name, device, account, seal }.build(&mut rand::rng()).unwrap()
    }

    fn renewal(&self, name: &str) -> String {
        let id = device_id(&self.device.public_spki());
        let request = RenewalRequest { name, device: id.as_str(), key: &self.device };
        request.build(&mut rand::rng()).unwrap()
    }
}

const DAY: i64 = 24 * 60 * 60 * 1_000;

#[test]
fn frequent_renewals_store_little() {
    let keys = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(NOON.as_millis()));
    init(&KeyFolder::new(keys.path()), &noon).unwrap();
    let clock = Arc::clone(&now);
    let authority = Authority::open(keys.path(), move || Timestamp::from_millis(clock.load(SeqCst))).unwrap();
    let sam = Keys::new();
    let enrolment = sam.enrolment("sam");
    let first = authority.enrol(&enrolment).unwrap();
    let mut fresh = vec![first.device_certificate.clone()];
    for _ in 0..60 {
        now.fetch_add(DAY, SeqCst);
        for _ in 0..5 {
            let certificate = authority.renew(&sam.renewal("sam")).unwrap().device_certificate;
            if fresh.last() != Some(&certificate) {
                fresh.push(certificate);
            }
        }
    }
    // One each four days, although it asked five times a day.
    assert_eq!(fresh.len(), 16);
    assert_eq!(authority.ledger().leaves().unwrap().len(), 16);
    assert_eq!(authority.enrol(&enrolment), Ok(first));
    let inspection =
        inspect(&KeyFolder::new(keys.path()).authority().database(), Some(authority.root())).unwrap();
    assert_eq!(inspection.damage(), None);
    // The enrolment's answer, and those of the last week's renewals.
    assert_eq!(inspection.inventory.counts.get("answers"), Some(&3));
}

#[test]
fn names_that_look_like_one_that_exists_are_refused() {
    let keys = tempfile::tempdir().unwrap();
    let authority = opened(keys.path());
    let (lea, mallory) = (Keys::new(), Keys::new());
    authority.enrol(&lea.enrolment("lea-mo")).unwrap();
    for name in ["1ea-mo", "lea-m0", "lea-rno", "lea_mo", "1ea_rn0"] {
        assert_eq!(authority.enrol(&mallory.enrolment(name)), Err(TtpRefusal::NameTaken), "{name}");
    }
    assert_eq!(authority.enrol(&mallory.enrolment("lea-mo")), Err(TtpRefusal::NameTaken));
    authority.enrol(&mallory.enrolment("iea-mo")).unwrap();
}

#[test]
fn a_key_that_any_account_has_in_any_role_is_refused() {
    let keys = tempfile::tempdir().unwrap();
    let authority = opened(keys.path());
    let (sam, mallory) = (Keys::new(), Keys::new());
    authority.enrol(&sam.enrolment("sam")).unwrap();
    let device = |key: &SealKey| DeviceKey::from_pkcs8_pem(&key.to_pkcs8_pem().unwrap()).unwrap();
    let seal = |key: &DeviceKey| SealKey::from_pkcs8_pem(&key.to_pkcs8_pem().unwrap()).unwrap();
    let enrol = |device: &DeviceKey, seal: &SealKey| {
        let request = EnrolmentRequest { name: "mallory", device, account: &mallory.account, seal };
        authority.enrol(&request.build(&mut rand::rng()).unwrap())
    };
    let refused = Err(TtpRefusal::BadRequest);
    assert_eq!(enrol(&mallory.device, &sam.seal), refused, "sam's seal key as a seal key");
    assert_eq!(enrol(&mallory.device, &seal(&sam.device)), refused, "sam's device key as a seal key");
    assert_eq!(enrol(&device(&sam.seal), &mallory.seal), refused, "sam's seal key as a device key");
    assert_eq!(enrol(&mallory.device, &seal(&mallory.device)), refused, "one key in two roles");
    enrol(&mallory.device, &mallory.seal).unwrap();
}

#[test]
fn the_log_certificate_exists_from_the_start_and_its_file_is_written_again_if_lost() {
    let keys = tempfile::tempdir().unwrap();
    let authority = opened(keys.path());
    let folder = KeyFolder::new(keys.path()).authority();
    let text = keyfiles::read(&folder.log_certificate()).unwrap();
    let chain = crate::pem::read_chain(&text).unwrap();
    let certificate = LogCertificate::from_der(&chain[0]).unwrap();
    certificate.verify(authority.root(), NOON.as_seconds()).unwrap();
    assert_eq!(certificate.not_before(), authority.root().not_before());
    assert_eq!(certificate.not_after(), authority.root().not_after());
    std::fs::remove_file(folder.log_certificate()).unwrap();
    drop(authority);
    Authority::open(keys.path(), noon).unwrap();
    assert_eq!(keyfiles::read(&folder.log_certificate()).unwrap(), text);
}
