//! The two people of the test vectors, whose keys are public. With their keys the fuzzer gets past signatures and
//! encryption.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parlour_crypto::{AccountKey, DeviceKey};
use parlour_envelope::FrankingKey;
use serde_json::Value;

/// Their keys.
pub(super) struct People {
    /// The sender's device key.
    pub(super) device: DeviceKey,
    /// The account keys of recipient and sender.
    pub(super) accounts: [AccountKey; 2],
    /// The franking key of the message.
    pub(super) franking: FrankingKey,
}

/// Reads the keys once.
pub(super) fn people() -> &'static People {
    static PEOPLE: OnceLock<People> = OnceLock::new();
    PEOPLE.get_or_init(|| {
        let case = include_str!("../../vectors/message-first.json");
        read(case).unwrap_or_else(|| unreachable!("the vector holds two people"))
    })
}

fn read(case: &str) -> Option<People> {
    let case: Value = serde_json::from_str(case).ok()?;
    let text = |place: &str| case.pointer(place)?.as_str();
    let account = |place: &str| AccountKey::from_pkcs8_pem(text(place)?).ok();
    Some(People {
        device: DeviceKey::from_pkcs8_pem(text("/sender/device/pem")?).ok()?,
        accounts: [account("/recipient/account/pem")?, account("/sender/account/pem")?],
        franking: serde_json::from_value(case.pointer("/claims/fk")?.clone()).ok()?,
    })
}

impl People {
    /// If the input begins with a JSON object, signs it with the device key: the first line is the header and the
    /// rest the payload of a compact JWS. Any other input is returned unchanged, if it is text.
    pub(super) fn signed(&self, bytes: &[u8]) -> Option<String> {
        if !bytes.starts_with(b"{") {
            return str::from_utf8(bytes).ok().map(str::to_owned);
        }
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (header, payload) = bytes.split_at_checked(end)?;
        let [header, payload] =
            [header, payload.strip_prefix(b"\n")?].map(|part| URL_SAFE_NO_PAD.encode(part));
        let input = format!("{header}.{payload}");
        let signature = self.device.sign_fixed(input.as_bytes()).ok()?;
        Some(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
