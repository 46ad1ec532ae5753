//! Sealed messages: their outside as the server reads it, and their contents as a client opens them.

use std::sync::OnceLock;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::AeadInOut as _;
use aes_gcm::aes::cipher::KeyInit as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parlour_crypto::message::OpenError;
use parlour_crypto::{Role, message};
use parlour_envelope::Content;
use parlour_envelope::statement::jws_hash;
use parlour_protocol::SealedMessage;
use parlour_protocol::limits::VOID_COUNTERS;
use serde_json::{Value, json};

use super::is_one_line;
use super::people::{People, people};

/// The id of every envelope made here.
const ID: &str = "0197741c-9a80-7000-8000-000000000001";

/// The key and the nonce for all encryption here, which need not be secret.
const KEY: [u8; 32] = [7; 32];
const NONCE: [u8; 12] = [7; 12];

/// JSON of a JWE. An envelope that the server accepts has one layout, can be split and joined, and is an envelope
/// for each client too, with the same id.
pub fn sealed(bytes: &[u8]) {
    let Ok(json) = str::from_utf8(bytes) else { return };
    let taken = SealedMessage::from_json(json);
    if let Ok(sealed) = &taken {
        let layout = sealed.as_json();
        assert!(layout.len() <= json.len() && is_one_line(layout.as_bytes()));
        assert_eq!(SealedMessage::from_json(layout).as_ref(), Ok(sealed));
        let parts = SealedMessage::from_parts(&sealed.rest_json(), sealed.key1().json, sealed.key2().json);
        assert_eq!(parts.as_ref(), Ok(sealed));
    }
    for (account, role) in people().accounts.iter().zip([Role::Recipient, Role::Sender]) {
        match message::open(json, account, role) {
            // The server may refuse its form, because a reader ignores the other reader's entry.
            Ok(opened) => {
                assert!(taken.as_ref().map_or(true, |sealed| sealed.id.to_string() == opened.claims.id));
            }
            Err(OpenError::Malformed(_)) => assert!(taken.is_err()),
            Err(_) => {}
        }
    }
}

/// Messages sealed by a hostile sender who has real keys: either a given JWS, or a header and claims on separate
/// lines, signed by the device's key. The text is encrypted correctly and opened with a real account key. An
/// opened message is the sealed one, and the same for recipient and sender.
pub fn envelope(bytes: &[u8]) {
    let people = people();
    let Some(jws) = people.signed(bytes) else { return };
    let Some(jwe) = seal(people, &jws) else { return };
    let [recipient, sender] = &people.accounts;
    let Ok(opened) = message::open(&jwe, recipient, Role::Recipient) else { return };
    let claims = &opened.claims;
    assert_eq!(*opened.jws, jws);
    assert_eq!(claims.id, ID);
    assert!(claims.time >= 0 && claims.void <= claims.n.min(VOID_COUNTERS));
    assert!((claims.n == claims.void) == claims.prev.is_empty());
    // A text signed by our key has its certificate, or another one for the same key.
    if bytes.starts_with(b"{") {
        let key = people.device.public_spki();
        assert!(opened.leaf_der.windows(key.len()).any(|window| window == key.as_slice()));
    }
    let Ok(own) = message::open(&jwe, sender, Role::Sender) else {
        unreachable!("the sender cannot read what the recipient can")
    };
    assert_eq!((&own.jws, &own.leaf_der), (&opened.jws, &opened.leaf_der));
    assert_eq!(jws_hash(&own.jws), jws_hash(&jws));
    assert!(match (&own.claims.content, &claims.content) {
        (Content::Text(one), Content::Text(other)) => one == other,
        (Content::Unknown, Content::Unknown) => true,
        _ => false,
    });
}

/// Encrypts a text for both people, with a commitment under the vector's key.
fn seal(people: &People, jws: &str) -> Option<String> {
    let (input, _) = jws.rsplit_once('.')?;
    let cmt = URL_SAFE_NO_PAD.encode(people.franking.commit(input));
    let header = json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWS", "id": ID, "cmt": cmt});
    let protected = URL_SAFE_NO_PAD.encode(header.to_string());
    let mut text = jws.as_bytes().to_vec();
    let tag = Aes256Gcm::new(&KEY.into())
        .encrypt_inout_detached(&NONCE.into(), protected.as_bytes(), text.as_mut_slice().into())
        .ok()?;
    let envelope = json!({
        "protected": protected,
        "recipients": recipients(people),
        "iv": URL_SAFE_NO_PAD.encode(NONCE),
        "ciphertext": URL_SAFE_NO_PAD.encode(text),
        "tag": URL_SAFE_NO_PAD.encode(tag),
    });
    Some(envelope.to_string())
}

/// The content key, wrapped to both people once.
fn recipients(people: &People) -> &'static Value {
    static RECIPIENTS: OnceLock<Value> = OnceLock::new();
    RECIPIENTS.get_or_init(|| {
        let wrap = |account: &parlour_crypto::AccountKey| {
            let public = account.public();
            let wrapped = public.wrap_cek(&KEY).unwrap_or_default();
            json!({"header": {"kid": public.kid()}, "encrypted_key": URL_SAFE_NO_PAD.encode(wrapped)})
        };
        people.accounts.iter().map(wrap).collect()
    })
}
