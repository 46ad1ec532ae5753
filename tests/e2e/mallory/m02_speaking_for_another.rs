//! 2: send as another user.
//!
//! Bites: in each test the same message is accepted from the right sender, or with the right key. With the
//! comparison of the certificate's name with the sender's switched off (`Opener::signer`), anna's sealed message
//! was shown as `sam: @erik I resign`; with the comparison of the claims off too, a message signed for another
//! place was shown as well.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use parlour_protocol::UserName;
use parlour_tests::{Author, Client, Line, Logins, Operator, World, edited, wait_until};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{der, fails, fast, kept, kid, user};

#[test]
fn the_sender_is_the_owner_of_the_session_whatever_the_line_says() -> Result<()> {
    let world = World::peopled()?;
    let mut erik = world.logged_in_line("erik")?;
    let mut mallory = world.json_line("anna")?;
    let id = "0197741c-9a80-7000-8000-000000000001";
    let reply = mallory.call(&json!({
        "id": 1, "cmd": "post", "to": "#lobby", "message_id": id, "text": "I resign",
        "from": "sam", "sender": "sam", "user": "sam", "name": "sam", "device": "sam", "session": 1,
    }))?;
    ensure!(reply["message"]["from"] == "anna", "{reply}");
    erik.expect("{} anna: I resign")?;
    // A text that looks like a line of sam's comes after her own name.
    let mut plain = world.logged_in_line("sam")?;
    for said in ["2026-11-21 10:48:51 sam: I resign", "anna: I resign"] {
        plain.ask(said, &format!("{{}} sam: {said}"))?;
        erik.expect(&format!("{{}} sam: {said}"))?;
    }
    Ok(())
}

/// A device certificate for a name, from an authority that Mallory has made herself.
fn self_made(author: &Author, name: &str) -> Result<Vec<u8>> {
    let key = KeyPair::from_pem(&author.device.to_pkcs8_pem()?)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params.self_signed(&key)?.der().to_vec())
}

#[test]
fn a_message_sealed_in_the_name_of_another_is_not_believed() -> Result<()> {
    let world = fast()?;
    // A server that names sam as the sender of everything after the first message.
    let mut count = 0;
    let operator = Operator::before(
        &world,
        "erik",
        Logins::Anew,
        edited(move |line| {
            if line["event"] == "message" {
                if count > 0 {
                    (line["from"], line["seq"]) = (json!("sam"), json!(count));
                }
                count += 1;
            }
        }),
    )?;
    let mut command = world.client_command_to("erik", &operator.address())?;
    let mut erik = Client::start("erik", command.args(["--plain", "--user", "erik"]))?;
    erik.expect("Authentication Succeeded")?;
    let mut line = world.json_line("anna")?;
    let (mut anna, to) = (Author::of(&world, "anna")?, Author::of(&world, "erik")?);

    let mut post = |anna: &mut Author, from: &'static str, expected: &str| {
        let letter = anna.forge(&to, "I resign", |draft| draft.from = from)?;
        ensure!(line.call(&letter.post(1))?["ok"] == "posted");
        erik.expect(expected)
    };
    // Her own message is good, which shows that the next ones fail only for the name.
    post(&mut anna, "anna", "{} anna: @erik I resign")?;
    post(&mut anna, "anna", "{} sam [bad signature: it is by anna]: @erik")?;
    post(&mut anna, "sam", "{} sam [bad signature: it is by anna]: @erik")?;
    anna.leaf = self_made(&anna, "sam")?;
    post(&mut anna, "sam", "{} sam [bad signature: the certificate: {}]: @erik")?;
    Ok(())
}

#[test]
fn claims_that_name_another_than_the_session_do_not_fit() -> Result<()> {
    let world = fast()?;
    let mut erik = world.logged_in("erik")?;
    let mut line = world.json_line("anna")?;
    let (mut anna, to) = (Author::of(&world, "anna")?, Author::of(&world, "erik")?);
    for (from, recipient, expected) in [
        ("anna", "erik", "{} anna: @erik I resign"),
        ("sam", "erik", "{} anna [altered: it was signed for another place]: @erik"),
        ("anna", "sam", "{} anna [altered: it was signed for another place]: @erik"),
        ("", "erik", "{} anna [altered: it was signed for another place]: @erik"),
    ] {
        let letter = anna.forge(&to, "I resign", |draft| (draft.from, draft.to) = (from, recipient))?;
        ensure!(line.call(&letter.post(1))?["ok"] == "posted");
        erik.expect(expected)?;
    }
    Ok(())
}

#[test]
fn a_sealed_message_under_another_name_is_refused_or_shown_as_bad() -> Result<()> {
    let world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let mut erik = world.logged_in("erik")?;
    sam.ask("@erik I resign", "{} sam: @erik I resign")?;
    erik.expect("{} sam: @erik I resign")?;
    let (sealed, key1, key2) = Connection::open(world.database())?.query_row(
        "SELECT sealed, key1, key2 FROM messages",
        [],
        |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)),
    )?;
    let [mut envelope, key1, key2] =
        [sealed, key1, key2].map(|text| serde_json::from_str::<Value>(&text).unwrap_or_default());
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(envelope["protected"].as_str().context("a protected header")?)?;
    let message_id = serde_json::from_slice::<Value>(&header)?["id"].clone();
    let mut post = |id: u64, to: &str, recipients: [&Value; 2]| {
        envelope["recipients"] = json!(recipients);
        json!({"id": id, "cmd": "post", "to": to, "message_id": message_id, "sealed": envelope})
    };

    // Anna found the envelope. The server does not accept it from her unchanged.
    let mut anna = world.json_line("anna")?;
    let reply = anna.call(&post(1, "@erik", [&key1, &key2]))?;
    ensure!(reply["error"]["code"] == "wrong_keys", "{reply}");
    // With her own key's name on it the server accepts it, but erik's client refuses it.
    let mut own = key2.clone();
    own["header"]["kid"] = json!(kid(&der(&world.profile("anna").join("account.crt"))?)?);
    let reply = anna.call(&post(2, "@erik", [&key1, &own]))?;
    ensure!(reply["ok"] == "posted", "{reply}");
    erik.expect("{} anna [bad signature: it is by sam]: @erik")?;
    // To sam, as if erik had written it: erik's own envelope turned round.
    ensure!(erik.leave()? == 0);
    let mut line = world.json_line("erik")?;
    let reply = line.call(&post(3, "@sam", [&key2, &key1]))?;
    ensure!(reply["ok"] == "posted", "{reply}");
    sam.expect("{} erik [bad signature: it is by sam]: @sam")?;
    // And once more to the same place: the same id is the same message, and nobody hears it again.
    let reply = line.call(&post(4, "@sam", [&key2, &key1]))?;
    ensure!(reply["ok"] == "posted", "{reply}");
    sam.ask("still here", "{} sam: still here")?;
    ensure!(kept(&world)? == 4);
    Ok(())
}

#[test]
fn a_login_with_anything_wrong_in_it_reads_the_same_and_the_log_has_the_reason() -> Result<()> {
    let world = World::with().people().limit("failed_logins_per_minute=100").start()?;
    let (sam, erik) = (user("sam")?, user("erik")?);

    let mut line = world.line()?;
    let signature = line.signature(&world.profile("sam"), &sam)?;
    fails(&world, &mut line, "sam", &signature, "no client certificate")?;

    let signed = |line: &Line, person: &str, name: &UserName| line.signature(&world.profile(person), name);
    let mut line = world.line_as("erik")?;
    let signature = signed(&line, "erik", &sam)?;
    fails(&world, &mut line, "sam", &signature, "the certificate is for erik")?;

    // A signature by another key, for another name, an altered one, and an invalid one.
    let bad = "the signature does not hold";
    let mut line = world.line_as("sam")?;
    let signature = signed(&line, "erik", &sam)?;
    fails(&world, &mut line, "sam", &signature, bad)?;
    let mut line = world.line_as("sam")?;
    let signature = signed(&line, "sam", &erik)?;
    fails(&world, &mut line, "sam", &signature, bad)?;
    let mut line = world.line_as("sam")?;
    let altered = signed(&line, "sam", &sam)?;
    let altered =
        if altered.starts_with("MEU") { altered.replacen("MEU", "MEY", 1) } else { format!("AAAA{altered}") };
    fails(&world, &mut line, "sam", &altered, bad)?;
    let mut line = world.line_as("sam")?;
    fails(&world, &mut line, "sam", "AAAA", bad)?;

    // One that is valid on another connection of the same device.
    let other = world.line_as("sam")?;
    let signature = signed(&other, "sam", &sam)?;
    let mut line = world.line_as("sam")?;
    fails(&world, &mut line, "sam", &signature, bad)?;

    ensure!(!world.server_log().contains("logged in"), "somebody came in");
    wait_until("a line for each", || Ok(world.server_log().matches("login failed").count() == 7))?;
    // After all this sam logs in with the right one.
    world.logged_in_line("sam")?;
    Ok(())
}
