//! Applicants with their keys, and the requests that they sign.

use std::sync::{Mutex, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parlour_crypto::certificate_request::{account_request, device_request};
use parlour_crypto::{AccountKey, DeviceKey, EnrolmentRequest, RenewalRequest, SealKey};
use parlour_keylog::device_id;
use parlour_protocol::DeviceId;
use serde_json::{Value, json};

pub(crate) struct Person {
    pub(crate) device: DeviceKey,
    pub(crate) seal: SealKey,
    pub(crate) account: &'static AccountKey,
}

/// The account key with this number. RSA keys take their time, so tests in which nobody else's key may be
/// there twice number theirs, and all share them.
pub(crate) fn account_key(number: usize) -> &'static AccountKey {
    static KEYS: OnceLock<Mutex<Vec<&'static AccountKey>>> = OnceLock::new();
    let mut keys = KEYS.get_or_init(Mutex::default).lock().unwrap();
    while keys.len() <= number {
        keys.push(Box::leak(Box::new(AccountKey::generate(&mut rand::rng()).unwrap())));
    }
    keys[number]
}

impl Person {
    pub(crate) fn new() -> Self {
        Self::numbered(0)
    }

    /// Somebody with the account key of this number, and a device of her own.
    pub(crate) fn numbered(number: usize) -> Self {
        Self {
            device: DeviceKey::generate().unwrap(),
            seal: SealKey::generate().unwrap(),
            account: account_key(number),
        }
    }

    pub(crate) fn device_id(&self) -> DeviceId {
        device_id(&self.device.public_spki())
    }

    pub(crate) fn enrolment(&self, name: &str) -> String {
        let request =
            EnrolmentRequest { name, device: &self.device, account: self.account, seal: &self.seal };
        request.build(&mut rand::rng()).unwrap()
    }

    pub(crate) fn renewal(&self, name: &str) -> String {
        self.renewal_of(name, self.device_id().as_str())
    }

    pub(crate) fn renewal_of(&self, name: &str, device: &str) -> String {
        RenewalRequest { name, device, key: &self.device }.build(&mut rand::rng()).unwrap()
    }

    /// An enrolment as Mallory would write it: all parts are valid except those that `change` changes.
    pub(crate) fn odd_enrolment(&self, name: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut payload = json!({
            "v": 1,
            "name": name,
            "nonce": encode(&[3; 32]),
            "device_request": encode(&device_request(name, &self.device).unwrap()),
            "account_request": encode(&account_request(name, self.account).unwrap()),
            "seal_key": encode(&self.seal.public_spki()),
        });
        change(&mut payload);
        self.sign("parlour-enrol+jwt", &payload)
    }

    fn sign(&self, typ: &str, payload: &Value) -> String {
        let point = self.device.public().point();
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]),
        });
        let header = json!({"alg": "ES256", "typ": typ, "jwk": jwk});
        let input =
            format!("{}.{}", encode(header.to_string().as_bytes()), encode(payload.to_string().as_bytes()));
        let signature = self.device.sign_fixed(input.as_bytes()).unwrap();
        format!("{input}.{}", encode(&signature))
    }
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The same JWS with its other valid signature: s replaced by n - s.
pub(crate) fn with_other_signature(compact: &str) -> String {
    // The order of P-256 (SEC 2, 2.4.2).
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (input, signature) = compact.rsplit_once('.').unwrap();
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = 0;
    for (s, n) in signature[32..].iter_mut().zip(ORDER).rev() {
        let difference = i16::from(n) - i16::from(*s) - borrow;
        borrow = i16::from(difference < 0);
        *s = difference.rem_euclid(256).try_into().unwrap();
    }
    format!("{input}.{}", encode(&signature))
}
