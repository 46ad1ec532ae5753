use super::*;

#[test]
fn a_sealed_message_survives_being_taken_apart() {
    let sealed = example();
    let again = SealedMessage::from_parts(&sealed.rest_json(), sealed.key1().json, sealed.key2().json);
    assert_eq!(again.unwrap(), sealed);
    assert_eq!(SealedMessage::from_json(sealed.as_json()).unwrap(), sealed);
    let kids = [sealed.key1(), sealed.key2()].map(|key| key.kid.to_owned());
    assert_eq!(kids, [1, 2].map(|byte| URL_SAFE_NO_PAD.encode([byte; 32])));
}

#[test]
fn another_layout_is_the_same_message() {
    let sealed = example();
    let value: serde_json::Value = serde_json::from_str(sealed.as_json()).unwrap();
    // Sorted by name, and with spaces.
    let other = serde_json::to_string_pretty(&value).unwrap();
    assert_ne!(other, sealed.as_json());
    assert_eq!(SealedMessage::from_json(&other).unwrap(), sealed);
    let escaped = sealed.as_json().replacen(r#""protected":"e"#, r#""protected":"\u0065"#, 1);
    assert_ne!(escaped, sealed.as_json());
    assert_eq!(SealedMessage::from_json(&escaped).unwrap(), sealed);
}

#[test]
fn another_form_is_refused() {
    let json = example().as_json().to_owned();
    for (from, to) in [
        (r#""tag""#, r#""aad":"AA","tag""#),
        (r#""tag""#, r#""unprotected":{},"tag""#),
        (r#""iv""#, r#""Iv""#),
        (r#"{"header""#, r#"{"x":1,"header""#),
        (r#""header":{"kid":"#, r#""header":["#),
    ] {
        let changed = json.replacen(from, to, 1);
        assert_eq!(SealedMessage::from_json(&changed).err(), Some(SealedError::Form), "{to}");
    }
    let one = json.replacen(&format!("{},", example().key1().json), "", 1);
    assert_eq!(SealedMessage::from_json(&one).err(), Some(SealedError::Form));
    assert_eq!(SealedMessage::from_json("hello").err(), Some(SealedError::Form));
    let array = format!(r#"["x",[{},{}],"i","c","t"]"#, example().key1().json, example().key2().json);
    assert_eq!(SealedMessage::from_json(&array).err(), Some(SealedError::Form));
}

#[test]
fn other_algorithms_and_lengths_are_refused() {
    let sealed = example();
    let own = sealed.as_json().split('"').nth(3).unwrap();
    for header in [
        r#"{"alg":"dir","enc":"A256GCM","cty":"JWS","id":"018bcfe5-6800-7707-8707-070707070707","cmt":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
        r#"{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWS","id":"7","cmt":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
        r#"{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWS","id":"018bcfe5-6800-7707-8707-070707070707","cmt":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","zip":"DEF"}"#,
    ] {
        let protected = URL_SAFE_NO_PAD.encode(header);
        let read = SealedMessage::from_json(&sealed.as_json().replacen(own, &protected, 1));
        assert_eq!(read.err(), Some(SealedError::Header), "{header}");
    }
    for (member, value) in [
        ("iv", "AAAA"),
        // Spare bits that are not zero, padding, the other alphabet.
        ("tag", "BQUFBQUFBQUFBQUFBQUFBR"),
        ("tag", "BQUFBQUFBQUFBQUFBQUFBQ=="),
        ("tag", "BQUFBQUFBQUFBQUFBQUF+Q"),
    ] {
        let mut changed: serde_json::Value = serde_json::from_str(sealed.as_json()).unwrap();
        changed[member] = value.into();
        let changed = changed.to_string();
        assert_eq!(SealedMessage::from_json(&changed).err(), Some(SealedError::Encoding), "{value}");
    }
}
