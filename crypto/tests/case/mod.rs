//! Compares one test vector with the library's results.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parlour_crypto::message::open;
use parlour_crypto::{AccountKey, DeviceKey, Opened, Role, SealKey, Vault};
use parlour_envelope::statement::jws_hash;
use parlour_envelope::{AwsLc, Content, VerifiedEnrolment, VerifiedRenewal};
use serde_json::Value;

/// Checks the case by its `kind`; panics if a value differs.
pub(crate) fn check(case: &Value) {
    match string(case, "/kind") {
        "message" => check_message(case),
        "refused" => check_refused(case),
        "login" => check_login(case),
        "enrolment" => check_enrolment(case),
        "renewal" => check_renewal(case),
        "vault" => check_vault(case),
        // The key log's own tests read it.
        "revocation" => {}
        kind => panic!("no such kind of vector: {kind}"),
    }
}

fn check_message(case: &Value) {
    let device = device(case, "/sender/device");
    let leaf = STANDARD.decode(string(case, "/sender/certificate")).unwrap();
    for (role, person) in [(Role::Recipient, "/recipient/account"), (Role::Sender, "/sender/account")] {
        let opened = open(string(case, "/jwe"), &account(case, person), role).unwrap();
        assert_eq!(*opened.jws, string(case, "/jws"));
        assert_eq!(opened.leaf_der, leaf);
        assert_eq!(jws_hash(&opened.jws), string(case, "/jws_hash"));
        check_claims(&opened, case);
    }
    let (signing_input, signature) = string(case, "/jws").rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap().try_into().unwrap();
    device.public().verify_fixed(signing_input.as_bytes(), &signature, &AwsLc).unwrap();
}

fn check_claims(opened: &Opened, case: &Value) {
    let claims = &opened.claims;
    let Content::Text(text) = &claims.content else { panic!("another kind of content than text") };
    let strings = [
        ("/claims/from", claims.from.as_str()),
        ("/claims/to", &claims.to),
        ("/claims/id", &claims.id),
        ("/claims/text", text),
        ("/claims/chain", &claims.chain),
        ("/claims/prev", &claims.prev),
        ("/claims/fk", &URL_SAFE_NO_PAD.encode(claims.franking_key.as_bytes())),
    ];
    for (place, value) in strings {
        assert_eq!(value, string(case, place), "{place}");
    }
    assert_eq!(case.pointer("/claims/time"), Some(&claims.time.into()));
    assert_eq!(case.pointer("/claims/n"), Some(&claims.n.into()));
    let void: Vec<u64> = (claims.n - claims.void..claims.n).collect();
    assert_eq!(case.pointer("/claims/void"), (!void.is_empty()).then(|| void.into()).as_ref());
    let (signing_input, _) = opened.jws.rsplit_once('.').unwrap();
    let commitment = URL_SAFE_NO_PAD.encode(claims.franking_key.commit(signing_input));
    assert_eq!(commitment, string(case, "/cmt"));
}

fn check_refused(case: &Value) {
    let (role, person) = match string(case, "/as") {
        "recipient" => (Role::Recipient, "/recipient/account"),
        "sender" => (Role::Sender, "/sender/account"),
        other => panic!("no such role: {other}"),
    };
    let error = open(string(case, "/jwe"), &account(case, person), role).expect_err("it must not open");
    let error = format!("{error:?}");
    assert_eq!(error.split('(').next(), Some(string(case, "/error")), "{error}");
}

fn check_login(case: &Value) {
    let user = string(case, "/user");
    let exporter = hex(string(case, "/exporter_hex"));
    let transcript = [b"parlour login v1\0", user.as_bytes(), b"\0", &exporter].concat();
    assert_eq!(transcript, hex(string(case, "/transcript_hex")));
    let signature = STANDARD.decode(string(case, "/signature_b64")).unwrap();
    device(case, "/device").public().verify_asn1(&transcript, &signature, &AwsLc).unwrap();
}

fn check_enrolment(case: &Value) {
    let verified = VerifiedEnrolment::read(string(case, "/compact"), &AwsLc).unwrap();
    assert_eq!(verified.name, string(case, "/expected/name"));
    assert_eq!(URL_SAFE_NO_PAD.encode(verified.nonce), string(case, "/expected/nonce"));
    assert_eq!(STANDARD.encode(&verified.device_spki), string(case, "/expected/device_spki"));
    assert_eq!(STANDARD.encode(&verified.account_spki), string(case, "/expected/account_spki"));
    assert_eq!(STANDARD.encode(&verified.seal_spki), string(case, "/expected/seal_spki"));
    assert_eq!(device(case, "/device").public_spki(), verified.device_spki);
    assert_eq!(account(case, "/account").public().to_spki_der(), verified.account_spki);
    let seal = SealKey::from_pkcs8_pem(string(case, "/seal/pem")).unwrap();
    assert_eq!(seal.public_spki(), verified.seal_spki);
}

fn check_renewal(case: &Value) {
    let verified = VerifiedRenewal::read(string(case, "/compact"), &AwsLc).unwrap();
    assert_eq!(verified.name, string(case, "/expected/name"));
    assert_eq!(verified.device, string(case, "/expected/device"));
    assert_eq!(URL_SAFE_NO_PAD.encode(verified.nonce), string(case, "/expected/nonce"));
    assert_eq!(STANDARD.encode(&verified.device_spki), string(case, "/expected/device_spki"));
    assert_eq!(device(case, "/device").public_spki(), verified.device_spki);
}

fn check_vault(case: &Value) {
    let vault = Vault::from_key(hex(string(case, "/key_hex")).try_into().unwrap()).unwrap();
    let sealed = STANDARD.decode(string(case, "/sealed_b64")).unwrap();
    let plain = vault.open(string(case, "/context").as_bytes(), &sealed).unwrap();
    assert_eq!(plain.as_slice(), string(case, "/plain").as_bytes());
    assert_eq!(vault.tag(string(case, "/label").as_bytes()).to_vec(), hex(string(case, "/tag_hex")));
}

fn account(case: &Value, place: &str) -> AccountKey {
    let key = AccountKey::from_pkcs8_pem(string(case, &format!("{place}/pem"))).unwrap();
    assert_eq!(key.public().kid(), string(case, &format!("{place}/kid")));
    key
}

fn device(case: &Value, place: &str) -> DeviceKey {
    DeviceKey::from_pkcs8_pem(string(case, &format!("{place}/pem"))).unwrap()
}

fn string<'a>(case: &'a Value, place: &str) -> &'a str {
    case.pointer(place).and_then(Value::as_str).unwrap_or_else(|| panic!("no string at {place}"))
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
