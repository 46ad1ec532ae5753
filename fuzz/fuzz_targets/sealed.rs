//! A sealed message: its outside as the server reads it, and as a client opens it.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use parlour_crypto::{AccountKey, Role, message};
use parlour_protocol::SealedMessage;

/// A public test key.
fn key() -> &'static AccountKey {
    static KEY: OnceLock<AccountKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let case = include_str!("../../tests/vectors/message-first.json");
        let begin = case.find("-----BEGIN PRIVATE KEY-----").expect("a key in the vector");
        let end = case[begin..].find("-----END PRIVATE KEY-----").expect("its end") + begin;
        let pem = format!("{}-----END PRIVATE KEY-----\n", &case[begin..end]).replace("\\n", "\n");
        AccountKey::from_pkcs8_pem(&pem).expect("an account key")
    })
}

fuzz_target!(|json: &str| {
    if let Ok(sealed) = SealedMessage::from_json(json) {
        assert_eq!(SealedMessage::from_json(sealed.as_json()), Ok(sealed));
    }
    let _ = message::open(json, key(), Role::Recipient);
    let _ = message::open(json, key(), Role::Sender);
});
