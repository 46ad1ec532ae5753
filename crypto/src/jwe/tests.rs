//! The form that an envelope must have, and the readers who can open it.

use serde_json::{Value, json};

use parlour_protocol::SealedError;

use super::*;
use crate::test_people::{erik, sam};

const ID: &str = "0190a5e0-7d4c-7c3e-8f00-000000000001";
const ALG: &str = "RSA-OAEP-256";
const ENC: &str = "A256GCM";
const CTY: &str = "JWS";

fn id() -> MessageId {
    ID.parse().unwrap()
}

/// An envelope from sam to erik.
fn sealed() -> Value {
    let readers = [erik().account.public(), sam().account.public()];
    let sealed = encrypt(&mut rand::rng(), id(), &[7; 32], b"hello", readers).unwrap();
    assert!(!sealed.as_json().contains(['\n', ' ']));
    serde_json::from_str(sealed.as_json()).unwrap()
}

fn parse(envelope: &Value) -> Result<SealedMessage, SealedError> {
    SealedMessage::from_json(&envelope.to_string())
}

fn open(envelope: &Value, key: &AccountKey, role: Role) -> Result<Vec<u8>, DecryptError> {
    decrypt(&parse(envelope).unwrap(), key, role).map(|text| text.to_vec())
}

/// The envelope with another protected header. It is not sealed again, since the test only reads it.
fn with_header(header: &str) -> Value {
    let mut envelope = sealed();
    envelope["protected"] = base64url::encode(header).into();
    envelope
}

#[test]
fn both_readers_open_it_each_in_her_own_place_only() {
    let envelope = sealed();
    assert_eq!(open(&envelope, &erik().account, Role::Recipient), Ok(b"hello".to_vec()));
    assert_eq!(open(&envelope, &sam().account, Role::Sender), Ok(b"hello".to_vec()));
    assert_eq!(open(&envelope, &erik().account, Role::Sender), Err(DecryptError::NotForThisKey));
    assert_eq!(open(&envelope, &sam().account, Role::Recipient), Err(DecryptError::NotForThisKey));
}

#[test]
fn a_user_who_writes_to_herself_opens_both_places() {
    let own = sam().account.public();
    let sealed = encrypt(&mut rand::rng(), id(), &[7; 32], b"hello", [own, own]).unwrap();
    for role in [Role::Recipient, Role::Sender] {
        let opened = decrypt(&sealed, &sam().account, role).unwrap();
        assert_eq!(opened.as_slice(), b"hello");
    }
}

#[test]
fn swapped_recipients_are_not_for_the_key_at_that_place() {
    let mut envelope = sealed();
    envelope["recipients"].as_array_mut().unwrap().swap(0, 1);
    assert_eq!(open(&envelope, &erik().account, Role::Recipient), Err(DecryptError::NotForThisKey));
    assert_eq!(open(&envelope, &sam().account, Role::Sender), Err(DecryptError::NotForThisKey));
}

#[test]
fn a_key_that_wraps_another_content_key_does_not_open() {
    let mut envelope = sealed();
    let other = erik().account.public().wrap_cek(&[1; 32]).unwrap();
    envelope["recipients"][0]["encrypted_key"] = base64url::encode(other).into();
    assert_eq!(open(&envelope, &erik().account, Role::Recipient), Err(DecryptError::Altered));
    assert_eq!(open(&envelope, &sam().account, Role::Sender), Ok(b"hello".to_vec()));
}

#[test]
fn every_way_of_failing_to_decrypt_is_the_same_error() {
    let other_recipient = sam().account.public().wrap_cek(&[1; 32]).unwrap();
    let changes = [
        ("/recipients/0/encrypted_key", base64url::encode([0; 384])),
        ("/recipients/0/encrypted_key", base64url::encode([0xff; 384])),
        ("/recipients/0/encrypted_key", base64url::encode(other_recipient)),
        ("/iv", base64url::encode([0; 12])),
        ("/ciphertext", base64url::encode(b"hallo")),
        ("/ciphertext", String::new()),
        ("/tag", base64url::encode([0; 16])),
    ];
    for (member, value) in changes {
        let mut envelope = sealed();
        *envelope.pointer_mut(member).unwrap() = value.into();
        assert_eq!(open(&envelope, &erik().account, Role::Recipient), Err(DecryptError::Altered), "{member}");
    }
}

#[test]
fn another_protected_header_of_good_form_does_not_decrypt() {
    let cmt = base64url::encode([8; 32]);
    let header = json!({"alg": ALG, "enc": ENC, "cty": CTY, "id": ID, "cmt": cmt});
    let envelope = with_header(&header.to_string());
    assert_eq!(open(&envelope, &erik().account, Role::Recipient), Err(DecryptError::Altered));
}

#[test]
fn members_stand_in_any_order_and_with_any_spaces() {
    let cmt = base64url::encode([7; 32]);
    let header = format!(
        r#" {{ "cmt" : "{cmt}", "id": "{ID}", "cty": "JWS", "enc": "A256GCM", "alg": "RSA-OAEP-256" }} "#
    );
    let envelope = with_header(&header);
    let pretty = serde_json::to_string_pretty(&envelope).unwrap();
    assert_eq!(SealedMessage::from_json(&pretty).unwrap().id, id());
    assert_eq!(SealedMessage::from_json(&pretty).unwrap().commitment(), [7; 32]);
}

#[test]
fn a_protected_header_with_other_members_or_values_is_refused() {
    let cmt = base64url::encode([7; 32]);
    let good = json!({"alg": ALG, "enc": ENC, "cty": CTY, "id": ID, "cmt": cmt});
    let changes = [
        ("alg", json!("RSA-OAEP")),
        ("alg", json!("RSA1_5")),
        ("alg", json!("dir")),
        ("alg", json!("rsa-oaep-256")),
        ("enc", json!("A128GCM")),
        ("enc", json!("A256CBC-HS512")),
        ("cty", json!("JWT")),
        ("id", json!(1)),
        ("id", json!("id 1")),
        ("cmt", json!(base64url::encode([7; 31]))),
        ("cmt", json!(format!("{cmt}="))),
        ("zip", json!("DEF")),
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("kid", json!("x")),
        ("typ", json!("JWE")),
    ];
    assert!(parse(&with_header(&good.to_string())).is_ok());
    for (member, value) in changes {
        let mut header = good.clone();
        header[member] = value;
        let refused = parse(&with_header(&header.to_string())).err();
        assert_eq!(refused, Some(SealedError::Header), "{header}");
    }
    for member in ["alg", "enc", "cty", "id", "cmt"] {
        let mut header = good.clone();
        header.as_object_mut().unwrap().remove(member);
        let refused = parse(&with_header(&header.to_string())).err();
        assert_eq!(refused, Some(SealedError::Header), "without {member}");
    }
    let doubled = good.to_string().replacen('{', r#"{"id":"id 2","#, 1);
    assert_eq!(parse(&with_header(&doubled)).err(), Some(SealedError::Header));
}

#[test]
fn an_envelope_with_other_members_or_lengths_is_refused() {
    let changes: [(&str, Value); 14] = [
        ("aad", json!("AAAA")),
        ("unprotected", json!({})),
        ("header", json!({})),
        ("encrypted_key", json!("AAAA")),
        ("anything", json!(null)),
        ("iv", json!(base64url::encode([0; 16]))),
        ("tag", json!(base64url::encode([0; 15]))),
        ("tag", json!(base64url::encode([0; 12]))),
        ("tag", json!("AAAAAAAAAAAAAAAAAAAAAB")),
        ("ciphertext", json!("AAA=")),
        ("ciphertext", json!("AA+A")),
        ("recipients", json!([])),
        ("recipients", json!({})),
        ("protected", json!("")),
    ];
    for (member, value) in changes {
        let mut envelope = sealed();
        envelope[member] = value;
        assert!(parse(&envelope).is_err(), "{member}");
    }
    for member in ["protected", "recipients", "iv", "ciphertext", "tag"] {
        let mut envelope = sealed();
        envelope.as_object_mut().unwrap().remove(member);
        assert_eq!(parse(&envelope).err(), Some(SealedError::Form), "without {member}");
    }
    for other in ["", "[]", "null", "eyJ.a.b.c.d"] {
        assert_eq!(SealedMessage::from_json(other).err(), Some(SealedError::Form), "{other}");
    }
}

#[test]
fn recipients_are_exactly_two_with_exactly_kid_and_key() {
    let entry = sealed()["recipients"][0].clone();
    for recipients in [vec![entry.clone()], vec![entry.clone(); 3]] {
        let mut envelope = sealed();
        envelope["recipients"] = recipients.into();
        assert_eq!(parse(&envelope).err(), Some(SealedError::Form));
    }
    let changes: [(&str, Value); 6] = [
        ("/header", json!({"kid": "x", "alg": "RSA-OAEP-256"})),
        ("/header", json!({})),
        ("/header", json!(["x"])),
        ("/header/kid", json!(1)),
        ("", json!([{"kid": "x"}, "AAAA"])),
        ("", json!({"header": {"kid": "x"}, "encrypted_key": "AAAA", "x": 1})),
    ];
    for (place, value) in changes {
        for index in 0..2 {
            let mut envelope = sealed();
            *envelope["recipients"][index].pointer_mut(place).unwrap() = value.clone();
            assert_eq!(parse(&envelope).err(), Some(SealedError::Form), "{place} {value}");
        }
    }
}
