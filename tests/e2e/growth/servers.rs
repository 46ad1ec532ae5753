//! Our server before newer clients and a newer TTP, and our TTP before a newer server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use parlour_crypto::RenewalRequest;
use parlour_keylog::DeviceCertificate;
use parlour_tests::{Author, World, wait_until};
use serde_json::{Value, json};

use super::cases;

const COMMANDS: &str = include_str!("../../vectors/future/client.jsonl");
const REQUESTS: &str = include_str!("../../vectors/future/server-to-ttp.jsonl");
const ANSWERS: &str = include_str!("../../vectors/future/ttp.jsonl");

#[test]
fn the_server_answers_commands_of_a_newer_client_and_goes_on() -> Result<()> {
    let world = World::peopled()?;
    let mut sam = world.json_line("sam")?;
    let cases = cases(COMMANDS, 2)?;
    ensure!(cases.len() >= 15, "only {}", cases.len());
    for (_, lines) in cases {
        sam.say(lines[0])?;
        sam.expect(lines[1])?;
    }
    let answer = sam.call(&json!({"id": 99, "cmd": "users"}))?;
    ensure!(answer == json!({"id": 99, "ok": "users", "users": ["sam"]}), "{answer}");
    sam.close();
    // In plain, and as a guest.
    let mut sam = world.logged_in_line("sam")?;
    sam.ask("/react #lobby/1 +1", "error: unknown command /react")?;
    sam.ask("/dialect cbor", "error: invalid command format")?;
    sam.ask("&plans hello", "{} sam: #lobby &plans hello")?;
    let mut guest = world.line()?;
    guest.ask("/dialect json", r#"{"dialect":"json"}"#)?;
    let answer = guest.call(&json!({"id": 1, "cmd": "link", "mailbox": "abandon ability"}))?;
    ensure!(answer["error"]["code"] == "unknown_command", "{answer}");
    let answer =
        guest.call(&json!({"id": 2, "cmd": "renew", "request": "a.b.c", "second_factor": "123456"}))?;
    ensure!(answer["error"]["code"] == "request_refused", "{answer}");
    Ok(())
}

#[test]
fn the_ttp_refuses_requests_of_a_newer_server_and_goes_on() -> Result<()> {
    let world = World::peopled()?;
    let socket = world.path("keys/ttp/ttp.sock");
    let cases = cases(REQUESTS, 2)?;
    ensure!(cases.len() >= 5, "only {}", cases.len());
    for (_, lines) in cases {
        let answer = asked(&socket, lines[0])?;
        ensure!(answer == lines[1], "{}: {answer}", lines[0]);
    }
    // Known requests work as before, and nothing was issued.
    ensure!(asked(&socket, r#"{"op":"watch","after":0}"#)? == r#"{"watching":{}}"#);
    let answer: Value = serde_json::from_str(&asked(&socket, &renewal(&world, "sam")?.to_string())?)?;
    ensure!(answer["issued"]["name"] == "sam", "{answer}");
    Ok(())
}

/// The TTP's first line of answer.
fn asked(socket: &Path, line: &str) -> Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer.trim_end().to_owned())
}

/// A person's request for a new certificate, as the server passes it on.
fn renewal(world: &World, name: &str) -> Result<Value> {
    let author = Author::of(world, name)?;
    let device = DeviceCertificate::from_der(&author.leaf)?.device().to_string();
    let request = RenewalRequest { name, device: &device, key: &author.device };
    Ok(json!({"op": "renew", "request": request.build(&mut rand::rng())?}))
}

/// A newer TTP in the place of ours, which is killed: `watch` gets the first lines and stays open, everything else gets
/// the second.
fn newer_ttp(world: &mut World, watch: String) -> Result<Arc<Mutex<String>>> {
    world.kill_ttp()?;
    let path = world.path("keys/ttp/ttp.sock");
    if path.exists() {
        std::fs::remove_file(&path)?;
    }
    let listener = UnixListener::bind(&path)?;
    let answer = Arc::new(Mutex::new(String::new()));
    let said = Arc::clone(&answer);
    std::thread::spawn(move || {
        let mut watching = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            // A server that is gone needs no answer.
            let _ = stream.try_clone().map(|stream| BufReader::new(stream).read_line(&mut line));
            if line.contains(r#""op":"watch""#) {
                let _ = stream.write_all(watch.as_bytes());
                watching.push(stream);
            } else {
                let answer = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let _ = stream.write_all(format!("{answer}\n").as_bytes());
            }
        }
    });
    Ok(answer)
}

#[test]
fn the_server_takes_no_unknown_answer_of_a_newer_ttp_for_success() -> Result<()> {
    let mut world = World::peopled()?;
    let request = renewal(&world, "sam")?;
    let issued: Value =
        serde_json::from_str(&asked(&world.path("keys/ttp/ttp.sock"), &request.to_string())?)?;
    ensure!(issued["issued"]["name"] == "sam", "{issued}");
    let answer = newer_ttp(&mut world, "{\"watching\":{\"after\":7}}\n".to_owned())?;
    let renew = json!({"id": 1, "cmd": "renew", "request": request["request"]});
    let mut line = world.line()?;
    line.ask("/dialect json", r#"{"dialect":"json"}"#)?;
    let mut heard = |said: &str| -> Result<Value> {
        said.clone_into(&mut answer.lock().unwrap_or_else(PoisonError::into_inner));
        line.call(&renew)
    };
    for (word, lines) in cases(ANSWERS, 1)? {
        let code = match word {
            "answer" => "authority_unavailable",
            "refusal" => "request_refused",
            _ => continue,
        };
        let reply = heard(lines[0])?;
        ensure!(reply["error"]["code"] == code, "{}: {reply}", lines[0]);
    }
    let mut grown = issued;
    grown["issued"]["n"] = json!(7);
    grown["proof"] = json!({"size": 7});
    let reply = heard(&grown.to_string())?;
    ensure!(reply["ok"] == "renewed", "{reply}");
    Ok(())
}

#[test]
fn the_server_follows_the_revocations_of_a_newer_ttp_over_what_it_does_not_know() -> Result<()> {
    let mut world = World::peopled()?;
    let device = DeviceCertificate::from_der(&Author::of(&world, "erik")?.leaf)?.device().to_string();
    let mut erik = world.json_line("erik")?;
    let mut sam = world.json_line("sam")?;
    let mut client = world.logged_in("anna")?;
    let revoked = json!({"revoked": {"number": 2, "name": "erik", "device": device, "time": 1_572_600_600_000_i64,
        "kind": "lost", "leaf": "AQID"}, "proof": {"size": 7}});
    let watch = [
        r#"{"watching":{"after":7},"size":9}"#,
        r#"{"checkpoint":{"size":7}}"#,
        r#"{"ended":{"number":1,"name":"anna"}}"#,
        &revoked.to_string(),
        r#"{"checkpoint":{"size":8}}"#,
    ];
    newer_ttp(&mut world, watch.join("\n") + "\n")?;
    let goodbye = erik.lines.event("goodbye")?;
    ensure!(goodbye["reason"] == "revoked", "{goodbye}");
    let event = sam.lines.event("revoked")?;
    ensure!(event["user"] == "erik" && event["device"] == device.as_str() && event["number"] == 2, "{event}");
    // A client has no statement to believe it by, and goes on.
    client.process.wait_for_error("the server says that a device of erik was revoked and shows no proof")?;
    client.ask("still here", "{} anna: still here")?;
    wait_until("unknown lines in the log", || {
        Ok(world.server_log().matches("a line that this version does not know").count() >= 3)
    })
}
