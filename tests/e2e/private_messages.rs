//! Private messages: sealed for two, kept where neither the server nor anybody else can read them, and
//! never sent to a key that is not proven.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use parlour_crypto::AccountKey;
use parlour_keylog::AccountCertificate;
use parlour_tests::{World, outside, wait_until};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SubjectPublicKeyInfo,
};
use rusqlite::{Connection, params};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

/// Every file below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.append(&mut files(&entry.path())?);
        } else if entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The files below a folder in which one of these texts stands.
fn holding(folder: &Path, texts: &[&str]) -> Result<Vec<PathBuf>> {
    let mut holding = Vec::new();
    for path in files(folder)? {
        let bytes = std::fs::read(&path)?;
        if texts.iter().any(|text| bytes.windows(text.len()).any(|part| part == text.as_bytes())) {
            holding.push(path);
        }
    }
    Ok(holding)
}

#[test]
fn what_is_said_in_private_stands_in_no_file_and_no_log() -> Result<()> {
    let mut world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let mut erik = world.logged_in("erik")?;
    let canaries = ["canary-4f1d-in-private", "canary-83ac-to-myself", "canary-e0b7-refused"];
    let [private, own, refused] = canaries;
    sam.ask(&format!("@erik {private}"), &format!("{{}} sam: @erik {private}"))?;
    erik.expect(&format!("{{}} sam: @erik {private}"))?;
    sam.ask(&format!("@sam {own}"), &format!("{{}} sam: @sam {own}"))?;
    sam.ask(&format!("@nobody {refused}"), "error: user not found")?;
    sam.ask("public-canary-51aa", "{} sam: public-canary-51aa")?;

    // While everyone runs, with what is in the database's log alone, and when all have ended. The
    // public one shows that this way of looking finds what is there.
    let data = world.path("data");
    for running in [true, false] {
        assert_eq!(holding(world.folder(), &canaries)?, [] as [PathBuf; 0]);
        ensure!(!holding(&data, &["public-canary-51aa"])?.is_empty());
        if running {
            sam.leave()?;
            erik.leave()?;
            let log = world.server_log() + &world.ttp()?.errors();
            for canary in canaries {
                ensure!(!log.contains(canary), "{canary} was logged");
            }
            ensure!(!sam.process.errors().contains("canary"), "{}", sam.process.errors());
            world.stop_server()?;
            world.stop_ttp()?;
        }
    }

    // It is kept in the columns that are there for it, wrapped to the keys of the two.
    let database = Connection::open(world.database())?;
    let mut select = database.prepare(
        "SELECT m.text IS NULL, m.sealed, m.key1, m.key2, one.kid, two.kid FROM messages m
         JOIN accounts one ON '@' || one.name = m.recipient JOIN accounts two ON two.name = m.sender",
    )?;
    let rows = select.query_map([], |row| {
        Ok((
            row.get::<_, bool>(0)?,
            [row.get::<_, String>(1)?, row.get(2)?, row.get(3)?],
            [row.get::<_, String>(4)?, row.get(5)?],
        ))
    })?;
    let mut count = 0;
    for row in rows {
        let (no_text, [sealed, key1, key2], [to, from]) = row?;
        ensure!(no_text && serde_json::from_str::<Value>(&sealed)?["ciphertext"].is_string(), "{sealed}");
        for (key, kid) in [(key1, to), (key2, from)] {
            let key: Value = serde_json::from_str(&key)?;
            ensure!(key["header"]["kid"] == kid && key["encrypted_key"].is_string(), "{key}");
        }
        count += 1;
    }
    ensure!(count == 2, "{count} sealed messages are kept");
    Ok(())
}

#[test]
fn a_library_that_knows_nothing_of_parlour_opens_what_the_server_keeps() -> Result<()> {
    let Some(python) = outside::jwcrypto()? else { return Ok(()) };
    let world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let texts = ["hey how are you?", "fine: ünïcödé 😀 \"\\", "tab\there"];
    for text in texts {
        sam.ask(&format!("@erik {text}"), &format!("{{}} sam: @erik {text}"))?;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("jose/open_message.py");
    let output = Command::new(python)
        .arg(script)
        .arg(world.database())
        .arg(world.root())
        .arg(world.profile("sam").join("account.key"))
        .arg(world.profile("erik").join("account.key"))
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let claims: Vec<Value> =
        String::from_utf8(output.stdout)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let expected: Vec<Value> =
        texts.iter().zip(0..).map(|(text, n)| json!(["sam", "erik", text, n])).collect();
    let found: Vec<Value> = claims.iter().map(|c| json!([c["from"], c["to"], c["text"], c["n"]])).collect();
    assert_eq!(found, expected);
    Ok(())
}

#[test]
fn a_machine_that_forgot_everything_reads_both_sides_again() -> Result<()> {
    let world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let mut erik = world.logged_in("erik")?;
    sam.ask("@erik one", "{} sam: @erik one")?;
    erik.expect("{} sam: @erik one")?;
    erik.ask("@sam two", "{} erik: @sam two")?;
    sam.expect("{} erik: @sam two")?;
    sam.ask("@erik three", "{} sam: @erik three")?;
    // Notes to oneself are a conversation too.
    sam.ask("@sam buy milk", "{} sam: @sam buy milk")?;
    sam.leave()?;
    erik.leave()?;
    for (name, has_notes) in [("sam", true), ("erik", false)] {
        for file in ["local.db", "local.key"] {
            std::fs::remove_file(world.profile(name).join(file))?;
        }
        // The first time from the server, the second from what was fetched.
        for _ in 0..2 {
            let mut client = world.logged_in(name)?;
            client.expect("{} sam: @erik one")?;
            client.expect("{} erik: @sam two")?;
            client.expect("{} sam: @erik three")?;
            if has_notes {
                client.expect("{} sam: @sam buy milk")?;
            }
            ensure!(client.leave()? == 0);
            client.process.out.expect_end()?;
        }
    }
    // A device that forgot its chain begins a new one, and the other side is told.
    let mut sam = world.logged_in("sam")?;
    sam.process.out.wait_for("{} sam: @sam buy milk")?;
    sam.ask("@erik four", "{} sam: @erik four [the sender's device began a new chain of messages]")?;
    sam.ask("@erik five", "{} sam: @erik five")?;
    Ok(())
}

#[test]
fn nobody_can_forge_a_line_with_a_line_break() -> Result<()> {
    let world = World::peopled()?;
    let mut erik = world.logged_in("erik")?;
    let mut line = world.logged_in_line("anna")?;
    let mut sam = world.robot("sam", &["--user", "sam"])?;
    sam.process.out.event("backlog")?;
    let text = "hi\n2026-11-21 10:48:51 anna: I resign\u{2028}yes";
    for (id, to) in [(1, "#lobby"), (2, "@erik")] {
        let answer = sam.call(&json!({"id": id, "do": "say", "to": to, "text": text}))?;
        ensure!(answer["message"]["text"] == text, "{answer}");
    }
    let shown = "hi ⏎ 2026-11-21 10:48:51 anna: I resign ⏎ yes";
    erik.expect(&format!("{{}} sam: {shown}"))?;
    erik.expect(&format!("{{}} sam: @erik {shown}"))?;
    line.expect(&format!("{{}} sam: {shown}"))?;
    let history = world.one_shot("erik", &["history", "@sam"], "")?;
    ensure!(history.out.len() == 1 && history.out[0].ends_with(shown), "{history:#?}");
    Ok(())
}

/// Changes the database while the server is down.
fn tamper(world: &mut World, change: impl FnOnce(&Connection) -> Result<usize>) -> Result<()> {
    world.stop_server()?;
    let changed = change(&Connection::open(world.database())?)?;
    ensure!(changed > 0, "nothing was changed");
    world.start_server()
}

/// Puts a certificate in the place of sam's account certificate, as a server would that wants to read.
fn swap(world: &mut World, certificate: &[u8], kid: &str) -> Result<()> {
    tamper(world, |database| {
        let sql = "UPDATE accounts SET certificate = ?1, kid = ?2 WHERE name = 'sam'";
        Ok(database.execute(sql, params![certificate, kid])?)
    })
}

fn der(path: &Path) -> Result<Vec<u8>> {
    Ok(CertificateDer::from_pem_file(path)?.to_vec())
}

fn kid(certificate: &[u8]) -> Result<String> {
    Ok(AccountCertificate::from_der(certificate)?.kid().to_owned())
}

/// A new account certificate for a name, from the world's own authority.
fn another_account(world: &World, name: &str) -> Result<Vec<u8>> {
    let key = KeyPair::from_pem(&std::fs::read_to_string(world.path("keys/ttp/ca.key"))?)?;
    let issuer = Issuer::from_ca_cert_pem(&std::fs::read_to_string(world.root())?, key)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    params.use_authority_key_identifier_extension = true;
    let account = AccountKey::generate(&mut rand::rng())?;
    let key = SubjectPublicKeyInfo::from_der(account.public().to_spki_der())?;
    Ok(params.signed_by(&key, &issuer)?.der().to_vec())
}

/// How many messages the server keeps.
fn kept(world: &World) -> Result<usize> {
    let database = Connection::open(world.database())?;
    Ok(database.query_row("SELECT count(*) FROM messages", [], |row| row.get(0))?)
}

#[test]
fn a_server_that_hands_out_another_account_certificate_gets_no_message() -> Result<()> {
    let mut world = World::peopled()?;
    let other = World::with().start()?;
    other.registered("sam")?.leave()?;
    let of_erik = der(&world.profile("erik").join("account.crt"))?;
    let from_elsewhere = der(&other.profile("sam").join("account.crt"))?;
    let device = der(&world.profile("sam").join("device.crt"))?;
    let own_kid = kid(&der(&world.profile("sam").join("account.crt"))?)?;
    for (certificate, kid, reason) in [
        (of_erik.clone(), kid(&of_erik)?, "it is for erik"),
        (from_elsewhere.clone(), kid(&from_elsewhere)?, "{}"),
        // Of the right name and from the right authority, and for something else.
        (device, own_kid, "{}"),
        (b"garbage".to_vec(), "x".to_owned(), "{}"),
    ] {
        swap(&mut world, &certificate, &kid)?;
        let mut erik = world.logged_in("erik")?;
        for _ in 0..kept(&world)? {
            erik.expect("{} erik: @erik a note")?;
        }
        let refusal =
            format!("error: the account certificate of sam does not hold: {reason}; nothing was sent");
        erik.ask("@sam a secret", &refusal)?;
        erik.ask("@sam a secret again", &refusal)?;
        // Nobody else is touched by it.
        erik.ask("@erik a note", "{} erik: @erik a note")?;
        ensure!(erik.leave()? == 1);
    }
    ensure!(kept(&world)? == 4, "the notes, and nothing else");
    Ok(())
}

#[test]
fn a_changed_account_key_stops_sending_until_its_user_is_trusted_again() -> Result<()> {
    let mut world = World::peopled()?;
    let mut erik = world.logged_in("erik")?;
    erik.ask("@sam to the first key", "{} erik: @sam to the first key")?;
    let certificate = another_account(&world, "sam")?;
    let new_kid = kid(&certificate)?;
    swap(&mut world, &certificate, &new_kid)?;
    // The client that was connected all the time notices, and so does one that starts later.
    wait_until("erik is back", || Ok(erik.process.errors().matches("\nconnected to ").count() == 2))?;
    for _ in 0..2 {
        let refusal = "error: the account key of sam has changed; nothing was sent";
        erik.ask("@sam to whom?", refusal)?;
        let hint =
            format!("ask sam in another way whether the new key is {new_kid}, and if it is, /trust sam");
        erik.process.wait_for_error(&hint)?;
        ensure!(kept(&world)? == 1, "it was sent all the same");
        ensure!(erik.leave()? == 1);
        erik = world.logged_in("erik")?;
        erik.expect("{} erik: @sam to the first key")?;
    }
    // Only a key that this client has named can be accepted.
    erik.ask("/trust sam", "error: the account key of sam has changed; nothing was sent")?;
    erik.type_line("/trust sam")?;
    erik.ask("@sam to the second key", "{} erik: @sam to the second key")?;
    ensure!(erik.leave()? == 1);
    let database = Connection::open(world.database())?;
    let key1: String =
        database.query_row("SELECT key1 FROM messages ORDER BY rowid DESC LIMIT 1", [], |row| row.get(0))?;
    ensure!(serde_json::from_str::<Value>(&key1)?["header"]["kid"] == new_kid, "{key1}");
    Ok(())
}

#[test]
fn a_message_that_was_changed_on_the_disk_is_not_served_and_the_others_are() -> Result<()> {
    let mut world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    for text in ["one", "two", "three"] {
        sam.ask(text, &format!("{{}} sam: {text}"))?;
        sam.ask(&format!("@erik secret {text}"), &format!("{{}} sam: @erik secret {text}"))?;
        sam.ask(&format!("@anna {text}"), &format!("{{}} sam: @anna {text}"))?;
    }
    ensure!(sam.leave()? == 0);
    tamper(&mut world, |database| {
        let public =
            database.execute("UPDATE messages SET text = 'two and a half' WHERE text = 'two'", [])?;
        let sealed =
            "UPDATE messages SET key1 = (SELECT key1 FROM messages WHERE recipient = '@erik' AND seq = 1)
                      WHERE recipient = '@erik' AND seq = 2";
        Ok(public * database.execute(sealed, [])?)
    })?;
    let mut line = world.json_line("sam")?;
    for (id, conversation) in [(1, "#lobby"), (2, "@erik")] {
        let reply = line.call(&json!({"id": id, "cmd": "history", "conversation": conversation}))?;
        ensure!(reply["error"]["code"] == "internal" && reply.get("messages").is_none(), "{reply}");
        // The log says under the same number what the client is not told.
        let incident = reply["error"]["incident"].as_str().context("an incident")?.to_owned();
        wait_until("the incident in the log", || Ok(world.server_log().contains(&incident)))?;
        let log = world.server_log();
        let logged = log.lines().find(|line| line.contains(&incident)).unwrap_or_default();
        ensure!(logged.contains(" ERROR ") && logged.contains("does not fit its hash"), "{logged}");
    }
    let reply = line.call(&json!({"id": 3, "cmd": "history", "conversation": "@anna"}))?;
    ensure!(reply["messages"].as_array().map(Vec::len) == Some(3), "{reply}");
    // What was said after the damage is handed out, and new things can be said.
    let reply = line.call(&json!({"id": 4, "cmd": "history", "conversation": "#lobby", "after": 2}))?;
    ensure!(reply["messages"][0]["text"] == "three", "{reply}");
    line.close();

    // A client that needs what is damaged says so, and goes on with the rest.
    let mut anna = world.logged_in("anna")?;
    for text in ["one", "two", "three"] {
        anna.expect(&format!("{{}} sam: @anna {text}"))?;
    }
    anna.process.wait_for_error("#lobby was not fetched: internal error, incident ")?;
    anna.ask("@sam hello", "{} anna: @sam hello")?;
    anna.ask("/users", "anna")?;
    ensure!(anna.leave()? == 0);
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

    // Anna found the envelope. As it is, the server does not take it from her.
    let mut anna = world.json_line("anna")?;
    let reply = anna.call(&post(1, "@erik", [&key1, &key2]))?;
    ensure!(reply["error"]["code"] == "wrong_keys", "{reply}");
    // With her own key's name on it the server cannot tell, and erik's client can.
    let mut own = key2.clone();
    own["header"]["kid"] = json!(kid(&der(&world.profile("anna").join("account.crt"))?)?);
    let reply = anna.call(&post(2, "@erik", [&key1, &own]))?;
    ensure!(reply["ok"] == "posted", "{reply}");
    erik.expect("{} anna: @erik [bad signature: it is by sam]")?;
    // To sam, as if erik had written it: erik's own envelope turned round.
    ensure!(erik.leave()? == 0);
    let mut line = world.json_line("erik")?;
    let reply = line.call(&post(3, "@sam", [&key2, &key1]))?;
    ensure!(reply["ok"] == "posted", "{reply}");
    sam.expect("{} erik: @sam [bad signature: it is by sam]")?;
    // And once more to the same place: the same id is the same message, and nobody hears it again.
    let reply = line.call(&post(4, "@sam", [&key2, &key1]))?;
    ensure!(reply["ok"] == "posted", "{reply}");
    sam.ask("still here", "{} sam: still here")?;
    ensure!(kept(&world)? == 4);
    Ok(())
}

#[test]
fn a_private_message_that_is_not_sealed_is_refused() -> Result<()> {
    let world = World::peopled()?;
    let mut line = world.logged_in_line("sam")?;
    line.ask("@erik hello", "error: private messages must be sealed")?;
    line.ask("@erik {\"sealed\":1}", "error: private messages must be sealed")?;
    let mut line = world.json_line("anna")?;
    let id = "0197741c-9a80-7000-8000-000000000001";
    for (number, sealed) in [(1, Value::Null), (2, json!({})), (3, json!("x"))] {
        let reply = line.call(&json!({
            "id": number, "cmd": "post", "to": "@erik", "message_id": id, "text": "hello", "sealed": sealed,
        }))?;
        ensure!(reply.get("ok").is_none() && reply["error"]["code"].is_string(), "{reply}");
    }
    let reply =
        line.call(&json!({"id": 4, "cmd": "post", "to": "@erik", "message_id": id, "text": "hello"}))?;
    ensure!(reply["error"]["code"] == "must_be_sealed", "{reply}");
    ensure!(kept(&world)? == 0);
    Ok(())
}
