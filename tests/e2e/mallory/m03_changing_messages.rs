//! 3: change, truncate or move a message.
//!
//! Bites: the same message opens for both readers if it is unchanged. With the comparison of names and claims with
//! the place switched off (`Opener::signer`), erik read sam's `yes` as anna's.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parlour_client::reading::chain::{Chain, ChainKey, Chains, Place};
use parlour_client::reading::judge::judge;
use parlour_client::reading::opening::Opener;
use parlour_crypto::AccountKey;
use parlour_envelope::AwsLc;
use parlour_keylog::RootCertificate;
use parlour_protocol::json::{ServerLine, parse_server_line};
use parlour_protocol::{Conversation, DeviceId, Event, UserName};
use parlour_tests::{Author, Client, Logins, Operator, World, edited, wait_until};
use serde_json::{Value, json};

use super::{der, fast, list, tamper};

/// A reader with no earlier messages.
struct Nothing;

impl Chains for Nothing {
    fn seen(&self, _: &ChainKey) -> Option<Chain> {
        None
    }

    fn knows_device(&self, _: &Conversation, _: &UserName, _: &DeviceId) -> bool {
        false
    }

    fn reads_from_beginning(&self) -> bool {
        true
    }

    fn skips(&self, _: &ChainKey) -> bool {
        false
    }

    fn begins_here(&self, _: &ChainKey) -> bool {
        false
    }

    fn told_refused(&self, _: &ChainKey, _: u64) -> bool {
        false
    }

    fn remember(&mut self, _: ChainKey, _: Chain) {}

    fn refuse(&mut self, _: Place) {}
}

/// Reads lines from the server as the client does.
struct Reader {
    me: UserName,
    opener: Opener,
}

impl Reader {
    fn new(world: &World, name: &str) -> Result<Self> {
        let me: UserName = name.parse()?;
        let pem = std::fs::read_to_string(world.profile(name).join("account.key"))?;
        let key = Arc::new(AccountKey::from_pkcs8_pem(&pem)?);
        let root = RootCertificate::from_der(&der(&world.root())?, &AwsLc)?;
        Ok(Self { opener: Opener::new(me.clone(), key, root), me })
    }

    /// The text of the message in a line, or the reason not to believe it; `None` for any other line.
    fn reads(&self, line: &[u8]) -> Option<Result<String, String>> {
        let line = parse_server_line(std::str::from_utf8(line).ok()?).ok()?;
        let ServerLine::Event(Event::Message(message)) = line else { return None };
        let shown = judge(&self.me, &self.opener.open(message), &[], &mut Nothing);
        let remark = shown.verdict.remark().unwrap_or_default();
        Some(shown.text.filter(|_| shown.verdict.is_believed()).ok_or(remark))
    }

    fn believes(&self, line: &[u8]) -> Option<String> {
        self.reads(line)?.ok()
    }
}

/// The part of an envelope that only one reader needs: the other reader's wrapped key.
fn entry(line: &str, index: usize) -> Range<usize> {
    let starts: Vec<usize> = line.match_indices(r#"{"encrypted_key""#).map(|(at, _)| at).collect();
    let ends: Vec<usize> = line.match_indices(r#""}}"#).map(|(at, found)| at + found.len()).collect();
    starts[index]..ends[index]
}

#[test]
fn no_byte_of_a_sealed_message_can_be_changed() -> Result<()> {
    let world = World::with().people().prepare()?;
    let (mut sam, erik) = (Author::of(&world, "sam")?, Author::of(&world, "erik")?);
    let letter = sam.write(&erik, "hello")?;
    let mut line = json!({
        "event": "message", "to": "@erik", "from": "sam", "seq": 1, "message_id": letter.id, "time": 0,
    })
    .to_string();
    line.pop();
    let begin = line.len();
    line = format!(r#"{line},"sealed":{}}}"#, letter.sealed);
    let end = line.len() - 1;
    // Each reader, with the wrapped key of the other.
    let readers =
        [(Reader::new(&world, "erik")?, entry(&line, 1)), (Reader::new(&world, "sam")?, entry(&line, 0))];
    std::thread::scope(|scope| {
        let line = line.as_bytes();
        for (reader, of_the_other) in readers {
            scope.spawn(move || {
                assert_eq!(reader.believes(line).as_deref(), Some("hello"));
                for at in begin..end {
                    let mut flipped = line.to_vec();
                    flipped[at] ^= 1;
                    let cut = [&line[..at], &line[at + 1..]].concat();
                    for changed in [flipped, cut] {
                        let believed = reader.believes(&changed).is_some();
                        assert!(!believed || of_the_other.contains(&at), "{} at {at}", reader.me);
                    }
                }
            });
        }
    });
    Ok(())
}

/// The number of changed messages, each in another place.
const PLACES: usize = 64;

/// Changes one byte at one of evenly spread places that the recipient depends on. The header is left out, because
/// a line with a malformed header is refused as a whole.
fn change(sealed: &mut Value, place: usize) -> Result<()> {
    let mut parts = Vec::new();
    for name in ["recipients/0/header/kid", "recipients/0/encrypted_key", "iv", "ciphertext", "tag"] {
        let text = sealed.pointer(&format!("/{name}")).and_then(Value::as_str).context(name)?;
        parts.push((name, URL_SAFE_NO_PAD.decode(text)?));
    }
    let length: usize = parts.iter().map(|(_, bytes)| bytes.len()).sum();
    let mut at = place * length / PLACES;
    for (name, mut bytes) in parts {
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1;
            let part = sealed.pointer_mut(&format!("/{name}")).context(name)?;
            *part = URL_SAFE_NO_PAD.encode(bytes).into();
            return Ok(());
        }
        at -= bytes.len();
    }
    bail!("no such place")
}

/// The newest messages of a person from the json face of the client, over a server at this address.
fn backlog(world: &World, address: &str) -> Result<Vec<Value>> {
    let mut command = world.client_command_to("erik", address)?;
    let mut erik = Client::start("erik", command.args(["--json", "--user", "erik"]))?;
    let event = erik.process.out.event("backlog")?;
    erik.leave()?;
    for file in ["local.db", "local.key"] {
        std::fs::remove_file(world.profile("erik").join(file))?;
    }
    Ok(event["messages"].as_array().context("messages")?.clone())
}

#[test]
fn a_client_shows_every_message_that_its_server_changed_as_altered() -> Result<()> {
    let world = fast()?;
    let (mut sam, erik) = (Author::of(&world, "sam")?, Author::of(&world, "erik")?);
    let mut line = world.json_line("sam")?;
    for number in 0..PLACES {
        let letter = sam.write(&erik, "hello")?;
        ensure!(line.call(&letter.post(number as u64))?["ok"] == "posted");
    }
    let operator = Operator::before(
        &world,
        "erik",
        Logins::Anew,
        edited(|line| {
            for message in list(line, "messages") {
                let seq = message["seq"].as_u64().and_then(|seq| usize::try_from(seq).ok());
                // An unchanged message would be believed, and the test would fail.
                let _ = seq.map(|seq| change(&mut message["sealed"], seq - 1));
            }
        }),
    )?;
    let altered = backlog(&world, &operator.address())?;
    ensure!(altered.len() == PLACES, "{} messages", altered.len());
    for message in &altered {
        let reason = message["verdict"]["reason"].as_str().unwrap_or_default();
        ensure!(reason.starts_with("altered: ") && message["text"].is_null(), "{message}");
    }
    let untouched = backlog(&world, &world.address()?.to_string())?;
    ensure!(untouched.len() == PLACES);
    for message in &untouched {
        ensure!(message["verdict"]["is"] == "good" && message["text"] == "hello", "{message}");
    }
    Ok(())
}

#[test]
fn a_message_that_is_moved_to_another_place_is_not_believed() -> Result<()> {
    let world = World::with().people().prepare()?;
    let (mut sam, erik) = (Author::of(&world, "sam")?, Author::of(&world, "erik")?);
    let letter = sam.write(&erik, "yes")?;
    let another = sam.write(&erik, "no")?;
    let readers = [Reader::new(&world, "erik")?, Reader::new(&world, "sam")?];
    let elsewhere = Some("altered: it was signed for another place");
    for (reader, from, to, id, reason) in [
        (&readers[0], "sam", "@erik", &letter.id, None),
        (&readers[1], "sam", "@erik", &letter.id, None),
        (&readers[0], "anna", "@erik", &letter.id, Some("bad signature: it is by sam")),
        (&readers[0], "erik", "@sam", &letter.id, Some("altered: not sealed to your key")),
        (&readers[0], "sam", "@anna", &letter.id, Some("altered: it is neither from you nor to you")),
        (&readers[0], "sam", "#lobby", &letter.id, Some("sealed, but said in a channel")),
        (&readers[1], "sam", "@anna", &letter.id, elsewhere),
        (&readers[1], "sam", "@sam", &letter.id, elsewhere),
        (&readers[0], "sam", "@erik", &another.id, elsewhere),
    ] {
        let sealed = &letter.sealed;
        let event = json!({
            "event": "message", "to": to, "from": from, "seq": 1, "message_id": id, "time": 0, "sealed": sealed,
        });
        match (reader.reads(event.to_string().as_bytes()), reason) {
            (Some(Ok(text)), None) => ensure!(text == "yes"),
            (Some(Err(said)), Some(reason)) => ensure!(said == reason, "{from} {to}: {said}"),
            // The line is refused as a whole.
            (None, Some(_)) => {}
            (read, _) => bail!("{} from {from} to {to} reads {read:?}", reader.me),
        }
    }
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
        // The log has the details that the client does not get, under the same number.
        let incident = reply["error"]["incident"].as_str().context("an incident")?.to_owned();
        wait_until("the incident in the log", || Ok(world.server_log().contains(&incident)))?;
        let log = world.server_log();
        let logged = log.lines().find(|line| line.contains(&incident)).unwrap_or_default();
        ensure!(logged.contains(" ERROR ") && logged.contains("does not fit its hash"), "{logged}");
    }
    let reply = line.call(&json!({"id": 3, "cmd": "history", "conversation": "@anna"}))?;
    ensure!(reply["messages"].as_array().map(Vec::len) == Some(3), "{reply}");
    // Messages after the damage are delivered, and new ones can be posted.
    let reply = line.call(&json!({"id": 4, "cmd": "history", "conversation": "#lobby", "after": 2}))?;
    ensure!(reply["messages"][0]["text"] == "three", "{reply}");
    line.close();

    // A client that needs damaged data says so, and continues with the rest.
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
