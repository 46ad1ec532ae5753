//! 33: speak for a user with a revoked device, with the operator's help.
//!
//! Bites: while the device is not revoked, or its revocation is withheld, all of these messages are good.

use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parlour_keylog::{DeviceCertificate, Leaf, LeafKind, LogCertificate, revocation_signing_input};
use parlour_protocol::Timestamp;
use parlour_tests::{Author, Client, Line, Logins, Operator, World, edited, wait_until};
use rcgen::{KeyPair, SigningKey as _};
use rusqlite::Connection;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

const HOUR: i64 = 60 * 60 * 1_000;

const REVOKED: &str = "bad signature: the device had been revoked";

fn now() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis())?)
}

/// Sam's device says something to erik, and signs it with a date that is `ahead` of the clock.
fn write(line: &mut Line, sam: &mut Author, erik: &Author, text: &str, ahead: i64) -> Result<()> {
    let time = now()? + ahead;
    let letter = sam.forge(erik, text, |draft| draft.time = time)?;
    ensure!(line.call(&letter.post(1))?["ok"] == "posted");
    Ok(())
}

/// Text and verdict of each message.
fn verdicts(messages: &Value) -> Result<Vec<(String, String)>> {
    let messages = messages.as_array().context("messages")?.iter();
    let verdict = |message: &Value| {
        let verdict = &message["verdict"];
        let words = verdict["reason"].as_str().or(verdict["is"].as_str()).unwrap_or_default();
        (message["text"].as_str().unwrap_or("-").to_owned(), words.to_owned())
    };
    Ok(messages.map(verdict).collect())
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(text, verdict)| ((*text).to_owned(), (*verdict).to_owned())).collect()
}

/// Text and verdict of each message in erik's history with sam, in a new run.
fn history(world: &World) -> Result<Vec<(String, String)>> {
    let finished = world.one_shot("erik", &["history", "@sam", "--json"], "")?;
    let lines: Vec<Value> =
        finished.out.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
    verdicts(&json!(lines))
}

/// Erik's client, before a server in the hands of Mallory.
fn erik_before(world: &World, edit: impl FnMut(&mut Value) + Send + 'static) -> Result<Client> {
    let operator = Operator::before(world, "erik", Logins::Anew, edited(edit))?;
    let mut command = world.client_command_to("erik", &operator.address())?;
    Client::start("erik", command.args(["--json", "--user", "erik"]))
}

#[test]
fn messages_from_before_are_judged_again_and_stay_so_after_a_restart() -> Result<()> {
    let world = World::peopled()?;
    let mut erik = world.robot("erik", &["--user", "erik"])?;
    erik.process.out.event("backlog")?;
    let (mut sam, to) = (Author::of(&world, "sam")?, Author::of(&world, "erik")?);
    let mut line = world.json_line("sam")?;
    write(&mut line, &mut sam, &to, "before", 0)?;
    write(&mut line, &mut sam, &to, "ahead", HOUR)?;
    for text in ["before", "ahead"] {
        let event = erik.process.out.event("message")?;
        ensure!(event["message"]["text"] == text && event["message"]["verdict"]["is"] == "good", "{event}");
    }
    world.run_ttp(&["revoke", "sam"])?;
    let judged = erik.process.out.event("judged")?;
    ensure!(verdicts(&judged["messages"])? == pairs(&[("-", REVOKED)]), "{judged}");
    erik.leave()?;
    let expected = pairs(&[("before", "good"), ("-", REVOKED)]);
    ensure!(history(&world)? == expected, "{:?}", history(&world)?);
    Ok(())
}

#[test]
fn a_message_after_the_revocation_is_refused_or_its_date_is_not_proved() -> Result<()> {
    let world = World::peopled()?;
    let (mut sam, to) = (Author::of(&world, "sam")?, Author::of(&world, "erik")?);
    let mut line = world.json_line("sam")?;
    write(&mut line, &mut sam, &to, "dated back", -HOUR / 60)?;
    write(&mut line, &mut sam, &to, "after", HOUR)?;
    world.run_ttp(&["revoke", "sam"])?;
    line.lines.event("goodbye")?;
    let expected = pairs(&[("dated back", "date_not_proved"), ("-", REVOKED)]);
    let mut erik = world.robot("erik", &["--user", "erik"])?;
    let backlog = erik.process.out.event("backlog")?;
    ensure!(verdicts(&backlog["messages"])? == expected, "{backlog}");
    erik.leave()?;
    ensure!(history(&world)? == expected, "{:?}", history(&world)?);
    Ok(())
}

#[test]
fn a_revocation_that_was_withheld_is_heard_from_the_next_honest_server() -> Result<()> {
    let world = World::peopled()?;
    let (mut sam, to) = (Author::of(&world, "sam")?, Author::of(&world, "erik")?);
    let mut line = world.json_line("sam")?;
    write(&mut line, &mut sam, &to, "before", 0)?;
    write(&mut line, &mut sam, &to, "after", HOUR)?;
    world.run_ttp(&["revoke", "sam"])?;
    line.lines.event("goodbye")?;
    let mut erik = erik_before(&world, |line| {
        if line["ok"] == "revocations" {
            line["revocations"] = json!([]);
        }
        if line["ok"] == "account" {
            line["revoked"] = json!([]);
        }
    })?;
    let backlog = erik.process.out.event("backlog")?;
    let withheld = pairs(&[("before", "good"), ("after", "good")]);
    ensure!(verdicts(&backlog["messages"])? == withheld, "{backlog}");
    erik.leave()?;
    // Messages that erik held before he learned of it stay good.
    let mut erik = world.robot("erik", &["--user", "erik"])?;
    let judged = erik.process.out.event("judged")?;
    ensure!(verdicts(&judged["messages"])? == pairs(&[("-", REVOKED)]), "{judged}");
    erik.leave()?;
    ensure!(history(&world)? == pairs(&[("before", "good"), ("-", REVOKED)]), "{:?}", history(&world)?);
    // And the operator cannot take it back.
    let mut erik = erik_before(&world, |line| {
        if line["ok"] == "revocations" {
            line["revocations"] = json!([]);
        }
    })?;
    let backlog = erik.process.out.event("backlog")?;
    ensure!(verdicts(&backlog["messages"])? == pairs(&[("before", "good"), ("-", REVOKED)]), "{backlog}");
    erik.leave()?;
    Ok(())
}

#[test]
fn a_revocation_that_the_ttp_did_not_sign_changes_nothing_and_is_reported() -> Result<()> {
    let world = World::peopled()?;
    let (mut sam, to) = (Author::of(&world, "sam")?, Author::of(&world, "erik")?);
    let mut line = world.json_line("sam")?;
    write(&mut line, &mut sam, &to, "before", 0)?;
    // The operator turns anna's revocation into one of sam's, in every place, and once under another number.
    let device = DeviceCertificate::from_der(&sam.leaf)?.device().to_string();
    let mut erik = erik_before(&world, move |line| {
        if line["ok"] == "revocations" {
            line["revocations"] = json!(["a.b.c"]);
        }
        if line["event"] == "revoked" {
            (line["user"], line["device"], line["time"]) = (json!("sam"), json!(device), json!(1));
        }
    })?;
    let backlog = erik.process.out.event("backlog")?;
    ensure!(verdicts(&backlog["messages"])? == pairs(&[("before", "good")]), "{backlog}");
    world.run_ttp(&["revoke", "anna"])?;
    let claim = "the server says that a device of sam was revoked and shows no proof";
    wait_until("the claim is told", || Ok(erik.process.out.event("notice")?["text"] == claim))?;
    write(&mut line, &mut sam, &to, "still", 0)?;
    let event = erik.process.out.event("message")?;
    ensure!(event["message"]["verdict"]["is"] == "good", "{event}");
    erik.leave()?;
    ensure!(history(&world)? == pairs(&[("before", "good"), ("still", "good")]), "{:?}", history(&world)?);
    Ok(())
}

#[test]
fn a_statement_under_another_number_or_for_another_device_proves_nothing() -> Result<()> {
    let world = World::peopled()?;
    let mut number = 7;
    let mut erik = erik_before(&world, move |line| {
        if line["event"] == "revoked" {
            number += 1;
            line["number"] = json!(number);
        }
    })?;
    erik.process.out.event("backlog")?;
    world.run_ttp(&["revoke", "anna"])?;
    let claim = "the server says that a device of anna was revoked and shows no proof";
    wait_until("the claim is told", || Ok(erik.process.out.event("notice")?["text"] == claim))?;
    erik.leave()?;
    Ok(())
}

/// A statement that a device was revoked, by the log's own key.
fn statement(world: &World, number: u64, name: &str, device: &str, time: i64) -> Result<String> {
    let leaf = Leaf {
        kind: LeafKind::Revocation { name: name.parse()?, device: device.parse()? },
        time: Timestamp::from_millis(time),
        certificates: Vec::new(),
    };
    let certificate = CertificateDer::from_pem_file(world.path("keys/ttp/log.crt"))?;
    let input = revocation_signing_input(number, &leaf, &LogCertificate::from_der(&certificate)?);
    let key = KeyPair::from_pem(&std::fs::read_to_string(world.path("keys/ttp/log.key"))?)?;
    Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(key.sign(input.as_bytes())?)))
}

#[test]
fn a_number_that_the_ttp_gives_again_is_noticed_and_both_revocations_count() -> Result<()> {
    let world = World::peopled()?;
    let (mut sam, to) = (Author::of(&world, "sam")?, Author::of(&world, "erik")?);
    let mut line = world.json_line("sam")?;
    write(&mut line, &mut sam, &to, "before", 0)?;
    write(&mut line, &mut sam, &to, "ahead", HOUR)?;
    let device = DeviceCertificate::from_der(&sam.leaf)?.device().to_string();
    let others = |number| statement(&world, number, "anna", &format!("{number:016x}"), 1);
    let known = json!([others(1)?, others(2)?, others(3)?]);
    let mut erik = erik_before(&world, move |line| {
        if line["ok"] == "revocations" {
            line["revocations"] = known.clone();
        }
    })?;
    let good = pairs(&[("before", "good"), ("ahead", "good")]);
    let backlog = erik.process.out.event("backlog")?;
    ensure!(verdicts(&backlog["messages"])? == good, "{backlog}");
    erik.leave()?;
    // The TTP was set back to one revocation, and gave the next number to sam's device: after the third, of which the
    // client asks first, it has nothing.
    let again = json!([others(1)?, statement(&world, 2, "sam", &device, now()?)?]);
    let mut answers = [json!([]), again].into_iter();
    let mut erik = erik_before(&world, move |line| {
        if line["ok"] == "revocations" {
            line["revocations"] = answers.next().unwrap_or_else(|| json!([]));
        }
    })?;
    let judged = erik.process.out.event("judged")?;
    ensure!(verdicts(&judged["messages"])? == pairs(&[("-", REVOKED)]), "{judged}");
    let notice = erik.process.out.event("notice")?;
    let said = notice["text"].as_str().unwrap_or_default();
    ensure!(said.contains("has signed two revocations as number 2"), "{notice}");
    erik.leave()?;
    let expected = pairs(&[("before", "good"), ("-", REVOKED)]);
    ensure!(history(&world)? == expected, "{:?}", history(&world)?);
    Ok(())
}

/// Turns the TTP's folder into one of the first version: its database has the schema of that time, and the log's key has
/// no certificate.
fn make_first_version(world: &World) -> Result<()> {
    let (path, later) = (world.path("keys/ttp/ttp.db"), world.path("keys/ttp/later.db"));
    std::fs::rename(&path, &later)?;
    std::fs::remove_file(world.path("keys/ttp/log.crt"))?;
    let database = Connection::open(&path)?;
    database.execute_batch(include_str!("../../../ttp/src/ledger/migrations/0001_begin.sql"))?;
    database.execute("ATTACH ?1 AS later", [later.to_string_lossy()])?;
    database.execute_batch(
        "INSERT INTO accounts SELECT name, account_key, created FROM later.accounts;
         INSERT INTO devices SELECT * FROM later.devices;
         INSERT INTO certificates SELECT * FROM later.certificates WHERE kind <> 'log';
         INSERT INTO leaves SELECT * FROM later.leaves;
         INSERT INTO answers SELECT * FROM later.answers;
         INSERT INTO revocations SELECT * FROM later.revocations;
         DETACH later;
         PRAGMA application_id = 0x50545450;
         PRAGMA user_version = 1;",
    )?;
    drop(database);
    std::fs::set_permissions(&path, std::fs::metadata(&later)?.permissions())?;
    Ok(std::fs::remove_file(later)?)
}

#[test]
fn a_ttp_of_the_first_version_proves_what_it_revoked_before_it_had_statements() -> Result<()> {
    let mut world = World::peopled()?;
    let (mut sam, to) = (Author::of(&world, "sam")?, Author::of(&world, "erik")?);
    let mut line = world.json_line("sam")?;
    write(&mut line, &mut sam, &to, "before", 0)?;
    write(&mut line, &mut sam, &to, "ahead", HOUR)?;
    world.run_ttp(&["revoke", "sam"])?;
    line.lines.event("goodbye")?;
    world.stop_server()?;
    world.stop_ttp()?;
    make_first_version(&world)?;
    // Nor did the server of that time keep any.
    let database = Connection::open(world.database())?;
    database.execute("UPDATE revocations SET statement = NULL", [])?;
    drop(database);
    world.start_ttp()?;
    world.start_server()?;
    ensure!(world.path("keys/ttp/log.crt").exists(), "the log's key has no certificate");
    wait_until("the server has the statement", || {
        let database = Connection::open(world.database())?;
        let count = "SELECT count(*) FROM revocations WHERE statement IS NOT NULL";
        Ok(database.query_row(count, [], |row| row.get::<_, u64>(0))? == 1)
    })?;
    let expected = pairs(&[("before", "date_not_proved"), ("-", REVOKED)]);
    ensure!(history(&world)? == expected, "{:?}", history(&world)?);
    world.run_ttp(&["check"]).map(|_| ())
}
