//! A client whose own disk is full, fails, or has changed the client's data.

use anyhow::{Context as _, Result, ensure};
use parlour_tests::disk::{full, unsynced};
use parlour_tests::{Client, Disk, World, run_to_end};
use rusqlite::Connection;
use serde_json::json;

/// A person's client on a disk that can fail, logged in, with this face.
fn on(disk: &Disk, world: &World, person: &str, face: &str) -> Result<Client> {
    let mut command = world.client_command(person)?;
    Client::start(person, &mut disk.under(command.args([face, "--user", person]))?)
}

/// The texts of the lobby as the server keeps them.
fn lobby(world: &World) -> Result<Vec<String>> {
    let database = Connection::open(world.database())?;
    let mut select = database.prepare("SELECT text FROM messages WHERE text IS NOT NULL ORDER BY seq")?;
    Ok(select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

#[test]
fn a_client_without_room_shows_messages_sends_none_and_keeps_all_when_there_is_room() -> Result<()> {
    let world = World::peopled()?;
    let disk = world.disk("client")?;
    let mut erik = world.logged_in("erik")?;
    let mut sam = on(&disk, &world, "sam", "--json")?;
    sam.process.out.event("backlog")?;
    erik.ask("before", "{} erik: before")?;
    ensure!(sam.process.out.event("message")?["message"]["text"] == "before");
    for fault in [full().to_vec(), unsynced().to_vec()] {
        disk.fails(&fault)?;
        erik.type_line("in public")?;
        erik.process.out.wait_for("{} erik: in public")?;
        erik.ask("@sam in private", "{} erik: @sam in private")?;
        for _ in 0..2 {
            loop {
                let event = sam.process.out.json()?;
                if event["event"] == "message" {
                    let text = event["message"]["text"].as_str().unwrap_or_default().to_owned();
                    ensure!(text.starts_with("in p"), "{event}");
                    break;
                }
                ensure!(event["event"] != "logged_out", "{event}");
            }
        }
        // Older and newer messages can be read.
        let history =
            sam.call(&json!({"id": "h", "do": "history", "conversation": "#lobby", "limit": 10}))?;
        let texts = history["messages"].as_array().context("messages")?;
        ensure!(texts.last().is_some_and(|message| message["text"] == "in public"), "{history}");
        // A message must not be shown as waiting if it would be lost with this process.
        let refused = sam.call(&json!({"id": "s", "do": "say", "to": "#lobby", "text": "not taken"}))?;
        ensure!(refused["error"]["code"] == "disk", "{refused}");
        ensure!(refused["error"]["hint"].is_string(), "{refused}");
        disk.heals()?;
        // The next message is accepted, and everything received meanwhile is stored with it.
        let said = sam.call(&json!({"id": "t", "do": "say", "to": "#lobby", "text": "taken"}))?;
        ensure!(said["ok"] == "said", "{said}");
    }
    ensure!(sam.leave()? == 1 && erik.leave()? == 0);
    let kept = ["before", "in public", "taken", "in public", "taken"];
    ensure!(lobby(&world)? == kept, "{:?}", lobby(&world)?);
    // Without the server: it is all on this machine.
    let mut world = world;
    world.stop_server()?;
    let mut sam = world.robot("sam", &["--user", "sam"])?;
    sam.process.out.event("backlog")?;
    let history = sam.call(&json!({"id": "h", "do": "history", "conversation": "#lobby", "limit": 10}))?;
    let texts: Vec<&str> = history["messages"]
        .as_array()
        .context("messages")?
        .iter()
        .filter_map(|m| m["text"].as_str())
        .collect();
    ensure!(texts == kept, "{texts:?}");
    Ok(())
}

#[test]
fn a_client_that_loses_its_disk_says_so_once_and_when_it_has_it_back() -> Result<()> {
    let world = World::peopled()?;
    let disk = world.disk("client")?;
    let mut erik = world.logged_in("erik")?;
    let mut sam = on(&disk, &world, "sam", "--plain")?;
    sam.expect("Authentication Succeeded")?;
    disk.fails(&full())?;
    for number in 1..=5 {
        erik.ask(&format!("word {number}"), &format!("{{}} erik: word {number}"))?;
        sam.expect(&format!("{{}} erik: word {number}"))?;
    }
    let said = "no space left on this machine: what comes now is shown, and not kept on this machine";
    sam.process.wait_for_error(said)?;
    sam.ask("hello", "error: the local history cannot be written: no space left on this machine")?;
    ensure!(sam.process.errors().matches(said).count() == 1, "{}", sam.process.errors());
    // A one-shot command that cannot keep anything does nothing.
    let mut command = world.client_command("anna")?;
    let mut command = disk.under(command.args(["--user", "anna", "send", "#lobby", "from anna"]))?;
    let finished = run_to_end("anna", &mut command, "")?;
    ensure!(finished.code != 0, "{finished:#?}");
    ensure!(finished.error()?.contains("no space left on this machine"), "{finished:#?}");
    ensure!(!finished.hint().is_empty(), "{finished:#?}");
    disk.heals()?;
    sam.ask("hello again", "{} sam: hello again")?;
    sam.process.wait_for_error("the local history is kept on this machine again")?;
    erik.expect("{} sam: hello again")?;
    ensure!(lobby(&world)?.len() == 6);
    Ok(())
}

#[test]
fn changes_to_the_local_history_are_reported_and_the_messages_fetched_again() -> Result<()> {
    let world = World::peopled()?;
    let mut erik = world.logged_in("erik")?;
    for number in 1..=8 {
        erik.ask(&format!("@sam secret {number}"), &format!("{{}} erik: @sam secret {number}"))?;
        erik.ask(&format!("public {number}"), &format!("{{}} erik: public {number}"))?;
    }
    let shown = |sam: &mut Client| -> Result<Vec<String>> {
        sam.expect("Authentication Succeeded")?;
        ensure!(sam.leave()? == 0);
        let mut shown = sam.process.out.rest()?;
        shown.sort();
        Ok(shown)
    };
    let mut sam = world.client_with("sam", &["--user", "sam"])?;
    let before = shown(&mut sam)?;
    ensure!(before.len() == 16, "{before:?}");
    let path = world.profile("sam").join("local.db");
    // One byte of one message in each conversation.
    let database = Connection::open(&path)?;
    let bodies = database
        .prepare("SELECT body FROM messages WHERE seq = 3")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<Vec<Vec<u8>>, _>>()?;
    for body in bodies {
        let mut changed = body.clone();
        changed[40] ^= 1;
        database.execute("UPDATE messages SET body = ?2 WHERE body = ?1", (body, changed))?;
    }
    drop(database);
    let mut sam = world.client_with("sam", &["--user", "sam"])?;
    let again = shown(&mut sam)?;
    ensure!(again == before, "{again:#?} {before:#?} {}", sam.process.errors());
    let errors = sam.process.errors();
    ensure!(
        errors.contains("local.db was damaged: 2 conversations are fetched again from the server"),
        "{errors}"
    );
    let mut sam = world.client_with("sam", &["--user", "sam"])?;
    ensure!(shown(&mut sam)? == before && !sam.process.errors().contains("damaged"));

    // A file that is not a consistent database.
    let good = std::fs::read(&path)?;
    let mut torn = good.clone();
    torn.truncate(good.len() / 2);
    for (bytes, what) in [(b"no database ".repeat(800), "noise"), (torn, "half of it")] {
        std::fs::write(&path, &bytes)?;
        let finished = world.one_shot("sam", &["--user", "sam", "users"], "")?;
        ensure!(finished.code != 0, "{what}: {finished:#?}");
        ensure!(
            finished.error()?.starts_with("error: the local history, local.db, is damaged: "),
            "{finished:#?}"
        );
        ensure!(finished.hint().starts_with("hint: move local.db"), "{finished:#?}");
        ensure!(std::fs::read(&path)? == bytes, "{what}: the file was changed");
    }
    // Follows the hint.
    for ending in ["local.db", "local.db-wal", "local.db-shm"] {
        let file = world.profile("sam").join(ending);
        if file.exists() {
            std::fs::rename(&file, world.path(ending))?;
        }
    }
    let mut sam = world.client_with("sam", &["--user", "sam"])?;
    ensure!(shown(&mut sam)? == before);
    Ok(())
}
