//! A server whose disk is full or loses data: a message that cannot be stored is not acknowledged, stored messages
//! can be read, and the sender's client sends again by itself.

use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use parlour_tests::disk::{Call, Failing, full, unsynced};
use parlour_tests::{Disk, World, run_to_end, wait_until};
use rusqlite::Connection;
use serde_json::{Value, json};

/// Posts a text to the lobby with this number in its id, and returns the reply.
fn post(line: &mut parlour_tests::Line, number: u64, text: &str) -> Result<Value> {
    let id = format!("0197741c-9a80-7000-8000-{number:012}");
    line.call(&json!({"id": number, "cmd": "post", "to": "#lobby", "message_id": id, "text": text}))
}

/// The texts of the lobby in the order of `seq`, as the server sends them.
fn history(line: &mut parlour_tests::Line) -> Result<Vec<String>> {
    let page = line.call(&json!({"id": "h", "cmd": "history", "conversation": "#lobby", "limit": 100}))?;
    let messages = page.get("messages").and_then(Value::as_array).with_context(|| page.to_string())?;
    let text = |message: &Value| message.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(messages.iter().map(text).collect())
}

/// A world of people whose server is on a disk that can fail.
fn world() -> Result<(World, Disk)> {
    let mut world = World::with().people().limit("commands_per_second=10000").prepare()?;
    let disk = world.disk("server")?;
    world.put_server_on(&disk);
    world.start_ttp()?;
    world.start_server()?;
    Ok((world, disk))
}

#[test]
fn a_server_on_a_full_disk_refuses_messages_serves_the_stored_ones_and_recovers_by_itself() -> Result<()> {
    let (world, disk) = world()?;
    let (mut sam, mut erik) = (world.json_line("sam")?, world.json_line("erik")?);
    ensure!(post(&mut sam, 1, "one")?["ok"] == "posted");
    erik.lines.event("message")?;
    disk.fails(&full())?;
    for number in 2..=40 {
        let refused = post(&mut sam, number, &format!("message {number}"))?;
        ensure!(refused["error"]["code"] == "not_stored", "{refused}");
        let said = "the server cannot store anything now, try again later";
        ensure!(refused["error"]["message"] == said, "{refused}");
    }
    ensure!(disk.failures()? > 0);
    // Reading still works, also after a new login; and nobody received the messages that were not stored.
    ensure!(history(&mut erik)? == ["one"]);
    let mut anna = world.json_line("anna")?;
    ensure!(history(&mut anna)? == ["one"]);
    // The log reports it once.
    let log = world.server_log();
    ensure!(log.matches("nothing can be stored now").count() == 1, "{log}");
    ensure!(log.contains("no space left on data"), "{log}");
    ensure!(!log.contains("internal error"), "{log}");

    disk.heals()?;
    // A message that is sent again is stored once, even if it is sent twice.
    for _ in 0..2 {
        ensure!(post(&mut sam, 2, "message 2")?["ok"] == "posted");
    }
    let heard = erik.lines.event("message")?;
    ensure!(heard["text"] == "message 2" && heard["seq"] == 2, "{heard}");
    ensure!(post(&mut sam, 3, "message 3")?["message"]["seq"] == 3);
    ensure!(history(&mut anna)? == ["one", "message 2", "message 3"]);
    world_log_says(&world, "storing works again")?;
    // The login from the time when nothing could be written is in the audit log as well.
    wait_until("anna's login in the audit log", || {
        Ok(!world.audit_entries(&["--kind", "login", "--user", "anna"])?.is_empty())
    })?;
    ensure!(world.audit(&["verify"])?.code == 0);
    Ok(())
}

fn world_log_says(world: &World, text: &str) -> Result<()> {
    wait_until(text, || Ok(world.server_log().contains(text)))
}

#[test]
fn a_disk_that_loses_data_is_not_written_again_until_the_next_start() -> Result<()> {
    let (mut world, disk) = world()?;
    let mut sam = world.json_line("sam")?;
    for number in 1..=5 {
        ensure!(post(&mut sam, number, &format!("message {number}"))?["ok"] == "posted");
    }
    // One failure is enough, although the disk reports no further ones.
    disk.fails(&[Failing::always(Call::Sync, Errno::EIO).only(1..=1)])?;
    for number in 6..=30 {
        let refused = post(&mut sam, number, &format!("message {number}"))?;
        ensure!(refused["error"]["code"] == "not_stored", "{refused}");
    }
    ensure!(disk.failures()? == 1);
    let five: Vec<String> = (1..=5).map(|number| format!("message {number}")).collect();
    ensure!(history(&mut sam)? == five);
    let mut erik = world.json_line("erik")?;
    ensure!(history(&mut erik)? == five);
    let log = world.server_log();
    let said = "nothing more is stored until the server is started again";
    ensure!(log.matches(said).count() == 1, "{log}");
    ensure!(log.contains("the disk does not keep what is written to data/chat.db"), "{log}");

    disk.heals()?;
    // After an orderly stop or a kill, all acknowledged messages are there, and repeated ones are there once.
    for (round, start) in [(0_u64, 6_u64), (1, 9)] {
        if round == 0 {
            world.stop_server()?;
        } else {
            world.kill_server()?;
        }
        world.start_server()?;
        let mut sam = world.json_line("sam")?;
        for number in start..start + 3 {
            for _ in 0..2 {
                ensure!(post(&mut sam, number, &format!("message {number}"))?["ok"] == "posted");
            }
        }
        let expected: Vec<String> = (1..start + 3).map(|number| format!("message {number}")).collect();
        ensure!(history(&mut sam)? == expected, "{:?}", history(&mut sam));
        disk.fails(&unsynced())?;
        let refused = post(&mut sam, start + 3, &format!("message {}", start + 3))?;
        ensure!(refused["error"]["code"] == "not_stored", "{refused}");
        disk.heals()?;
    }
    world.stop_server()?;
    ensure!(parlour_server_check(&world)?.is_empty());
    Ok(())
}

/// The damage that `parlour-server check` finds in the database.
fn parlour_server_check(world: &World) -> Result<Vec<String>> {
    let mut command = world.command("parlour-server")?;
    let finished = run_to_end("check", command.args(["check", "--json", "--data", "data"]), "")?;
    Ok(finished
        .out
        .into_iter()
        .filter(|line| line.contains("\"database\"") && line.contains("\"wrong\""))
        .collect())
}

#[test]
fn writing_goes_on_when_the_log_cannot_be_copied_and_stops_when_the_copy_is_not_kept() -> Result<()> {
    // The files of a process can be identified only if it does not hide them: without the sandbox.
    let (mut world, disk) = world()?;
    world.stop_server()?;
    let listen = world.address()?.to_string();
    let mut command = disk.under(world.server_command(&listen)?.arg("--no-sandbox"))?;
    let mut server = parlour_tests::Process::start("server", &mut command, std::process::Stdio::null())?;
    server.out.expect("listening on {}")?;
    let mut sam = world.json_line("sam")?;
    let text = "x".repeat(8_000);
    let mut number = 0;
    let mut say = |sam: &mut parlour_tests::Line, most: u64, until: &str| -> Result<Value> {
        for _ in 0..most {
            number += 1;
            let answer = post(sam, number, &text)?;
            if answer["ok"] != "posted" || (!until.is_empty() && server.errors().contains(until)) {
                return Ok(answer);
            }
        }
        Ok(Value::Null)
    };
    ensure!(say(&mut sam, 1, "")? == Value::Null);
    let files = open_as(server.pid(), &world.database())?;
    ensure!(!files.is_empty());
    // The log is copied into the database after some four hundred of these. A lack of space for that loses
    // nothing.
    let way =
        |call, error| files.iter().map(|file| Failing::always(call, error).on(*file)).collect::<Vec<_>>();
    disk.fails(&way(Call::Write, Errno::ENOSPC))?;
    let answer = say(&mut sam, 700, "cannot be copied into it, and grows")?;
    ensure!(answer["ok"] == "posted", "{answer}");
    disk.fails(&way(Call::Sync, Errno::EIO))?;
    let answer = say(&mut sam, 700, "")?;
    ensure!(answer["error"]["code"] == "not_stored", "{answer}");
    server.crash()?;
    disk.heals()?;
    // All answered messages are there.
    world.start_server()?;
    let mut sam = world.json_line("sam")?;
    let page = sam.call(&json!({"id": "h", "cmd": "history", "conversation": "#lobby", "limit": 1}))?;
    ensure!(page["last"] == number - 1, "{} of {}", page["last"], number - 1);
    Ok(())
}

/// The descriptors under which a process has a file open.
fn open_as(process: u32, path: &std::path::Path) -> Result<Vec<i32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{process}/fd"))? {
        let entry = entry?;
        if std::fs::read_link(entry.path()).is_ok_and(|file| file == path) {
            numbers.push(entry.file_name().to_string_lossy().parse()?);
        }
    }
    Ok(numbers)
}

#[test]
fn a_message_that_the_server_could_not_store_waits_at_its_sender_and_arrives_once() -> Result<()> {
    let (world, disk) = world()?;
    let (mut sam, mut erik) = (world.logged_in("sam")?, world.logged_in("erik")?);
    for client in [&mut sam, &mut erik] {
        client.process.wait_for_error("connected to")?;
    }
    sam.ask("@erik hello", "{} sam: @erik hello")?;
    erik.expect("{} sam: @erik hello")?;
    disk.fails(&full())?;
    for text in ["one", "@erik two", "three", "@erik four"] {
        sam.ask(text, "error: the server cannot store it now")?;
    }
    sam.process.wait_for_error(
        "hint: it is kept here, and sent by itself later, at the latest after the next login",
    )?;
    let finished = world.one_shot("anna", &["--user", "anna", "send", "#lobby", "five"], "")?;
    ensure!(finished.code == 1, "{finished:#?}");
    ensure!(finished.error()? == "error: the server cannot store it now", "{finished:#?}");
    ensure!(finished.hint().contains("it is kept here"), "{finished:#?}");
    ensure!(erik.process.out.so_far().is_empty());
    disk.heals()?;

    // Nobody types anything here. Each conversation has its own order.
    let mut heard = Vec::new();
    for _ in 0..4 {
        let line = erik.expect("{} sam: {}")?;
        heard.push(line.split_once(" sam: ").context("a message")?.1.to_owned());
    }
    heard.sort_by_key(|text| text.starts_with('@'));
    ensure!(heard == ["one", "three", "@erik two", "@erik four"], "{heard:?}");
    ensure!(sam.leave()? == 1);
    // Messages kept by the client that ended are sent after its next login.
    let mut anna = world.logged_in("anna")?;
    erik.expect("{} anna: five")?;
    ensure!(anna.leave()? == 0 && erik.leave()? == 0);
    let database = Connection::open(world.database())?;
    let (all, ids): (u64, u64) =
        database.query_row("SELECT count(*), count(DISTINCT id) FROM messages", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    ensure!((all, ids) == (6, 6), "{all} messages, {ids} ids");
    Ok(())
}

#[test]
fn revocations_that_cannot_be_kept_hold_all_the_same_and_are_kept_later() -> Result<()> {
    let (mut world, disk) = world()?;
    let mut sam = world.json_line("sam")?;
    disk.fails(&full())?;
    world.run_ttp(&["revoke", "sam"])?;
    ensure!(sam.lines.event("goodbye")?["reason"] == "revoked");
    let user = "sam".parse()?;
    for _ in 0..2 {
        let mut line = world.line_as("sam")?;
        let signature = line.signature(&world.profile("sam"), &user)?;
        line.ask(&format!("/login sam {signature}"), "error: invalid credentials")?;
    }
    // Others are informed, even of revocations that are not in the database.
    let mut erik = world.json_line("erik")?;
    let account = erik.call(&json!({"id": 1, "cmd": "account", "name": "sam"}))?;
    ensure!(account["revoked"].as_array().map(Vec::len) == Some(1), "{account}");
    // The server also receives the next one while the first is not stored.
    world.run_ttp(&["revoke", "erik"])?;
    ensure!(erik.lines.event("goodbye")?["reason"] == "revoked");
    ensure!(kept(&world)? == 0);
    // The TTP need not be running when they can be stored.
    world.stop_ttp()?;
    disk.heals()?;
    wait_until("the revocations in the database", || Ok(kept(&world)? == 2))?;
    ensure!(world.audit_entries(&["--kind", "device_revoked"])?.len() == 2);
    Ok(())
}

/// The number of revocations that the server has recorded.
fn kept(world: &World) -> Result<u64> {
    let database = Connection::open(world.database())?;
    Ok(database.query_row("SELECT count(*) FROM revocations", [], |row| row.get(0))?)
}

#[test]
fn a_disk_that_takes_its_time_holds_up_no_revocation() -> Result<()> {
    let world = World::peopled()?;
    let mut sessions = [world.json_line("sam")?, world.json_line("erik")?];
    let mut database = Connection::open(world.database())?;
    let writing = database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for user in ["sam", "erik"] {
        world.run_ttp(&["revoke", user])?;
    }
    for session in &mut sessions {
        ensure!(session.lines.event("goodbye")?["reason"] == "revoked");
    }
    writing.rollback()?;
    ensure!(kept(&world)? == 0, "the server could write meanwhile");
    wait_until("the revocations in the database", || Ok(kept(&world)? == 2))
}

#[test]
fn a_name_whose_account_the_server_could_not_store_is_not_lost() -> Result<()> {
    let (world, disk) = world()?;
    let mut zoe = world.client("zoe")?;
    disk.fails(&full())?;
    zoe.ask("/register zoe", "error: the server cannot store anything now, try again later")?;
    disk.heals()?;
    zoe.ask("/register zoe", "Registration Succeeded")?;
    zoe.expect("Authentication Succeeded")?;
    zoe.ask("here I am", "{} zoe: here I am")?;
    Ok(())
}
