//! 24: exhaust a client: with what is said in public, and with conversations that nobody has.
//!
//! Bites: before the lobby always had a place, a server that invented enough conversations kept it from being shown.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use parlour_tests::{Author, Client, Logins, Operator, edited, escaped};
use serde_json::{Value, json};

use super::{fast, list};

/// The most bytes of a public conversation that the client is told to keep.
const BOUND: u64 = 1_024 * 1_024;

/// Messages that are said in public, and the bytes of each.
const SAID: u64 = 3_000;
const LENGTH: usize = 6_000;

/// Messages after which the client's memory is measured for the first time: caches are full then.
const WARM_UP: u64 = 500;

/// The most that the client's memory may rise after that, in KiB. The flood has 14,600 KiB.
const MOST_RISE: u64 = 6_144;

/// The most bytes of local.db and local.db-wal together: what is kept, as much again for what SQLite leaves free,
/// and the log, whose size is limited to 4 MiB while nothing larger is written at once.
const MOST_ON_DISK: u64 = 3 * BOUND + 5 * 1_024 * 1_024;

/// The direct messages that must stay.
const DIRECT: u64 = 30;

/// The most memory that a process has had, in KiB.
fn peak(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn on_disk(profile: &Path) -> u64 {
    let size = |file: &str| std::fs::metadata(profile.join(file)).map_or(0, |file| file.len());
    size("local.db") + size("local.db-wal")
}

/// Takes what the client says up to this message in public; adds notices to `notices`.
fn until(client: &mut Client, seq: u64, notices: &mut Vec<String>) -> Result<()> {
    loop {
        let line = client.process.out.json()?;
        if line["event"] == "notice" {
            notices.push(line["text"].as_str().unwrap_or_default().to_owned());
        }
        if line["event"] == "message" && line["message"]["conversation"] == "#lobby" {
            ensure!(line["message"]["seq"].as_u64() <= Some(seq), "{line}");
            if line["message"]["seq"] == seq {
                return Ok(());
            }
        }
    }
}

fn page(client: &mut Client, name: &str, before: Option<u64>) -> Result<Vec<Value>> {
    let ask = json!({"id": "h", "do": "history", "conversation": name, "before": before, "limit": 400});
    let mut page = client.call(&ask)?;
    ensure!(page["ok"] == "history", "{page}");
    Ok(list(&mut page, "messages").to_vec())
}

fn seqs(messages: &[Value]) -> Vec<u64> {
    messages.iter().filter_map(|message| message["seq"].as_u64()).collect()
}

#[test]
fn a_flood_in_public_takes_what_it_may_on_the_disk_little_memory_and_no_direct_message() -> Result<()> {
    let mut world = fast()?;
    let mut sam =
        world.robot("sam", &["--user", "sam", "--history-bytes", &format!("{}KiB", BOUND / 1_024)])?;
    sam.process.out.event("backlog")?;
    let (mut erik, to) = (Author::of(&world, "erik")?, Author::of(&world, "sam")?);
    let mut direct = world.json_line("erik")?;
    for number in 1..=DIRECT {
        let letter = erik.write(&to, &format!("secret {number}"))?;
        ensure!(direct.call(&letter.post(number))?["ok"] == "posted");
        sam.process.out.event("message")?;
    }
    let mut anna = world.json_line("anna")?;
    let text = "x".repeat(LENGTH);
    let (mut notices, mut before) = (Vec::new(), 0);
    for begun in (0..SAID).step_by(100) {
        for number in begun + 1..=begun + 100 {
            let id = format!("0197741c-9a80-7000-8000-{number:012}");
            let post = json!({"id": number, "cmd": "post", "to": "#lobby", "message_id": id, "text": text});
            anna.say(&post.to_string())?;
        }
        ensure!(anna.lines.answer(&json!(begun + 100))?["ok"] == "posted");
        until(&mut sam, begun + 100, &mut notices)?;
        if begun + 100 == WARM_UP {
            before = peak(sam.pid()?)?;
        }
        let size = on_disk(&world.profile("sam"));
        ensure!(size <= MOST_ON_DISK, "{size} bytes on the disk after {} messages", begun + 100);
    }
    let after = peak(sam.pid()?)?;
    let size = on_disk(&world.profile("sam"));
    println!("memory rose from {before} to {after} KiB; {size} bytes are on the disk");
    ensure!(after - before <= MOST_RISE, "memory rose from {before} to {after} KiB");
    ensure!(notices.iter().filter(|notice| notice.contains("--history-bytes")).count() == 1, "{notices:#?}");
    // Without the server the newest public messages and all private ones are still here.
    world.stop_server()?;
    sam.process.out.event("connection")?;
    let kept = seqs(&page(&mut sam, "#lobby", None)?);
    let first = *kept.first().context("nothing is kept")?;
    ensure!(kept.len() >= 100 && kept == (first..=SAID).collect::<Vec<_>>(), "{kept:?}");
    ensure!(kept.len() as u64 * LENGTH as u64 <= BOUND, "{} are kept", kept.len());
    let letters = page(&mut sam, "@erik", None)?;
    let texts: Vec<&str> = letters.iter().filter_map(|message| message["text"].as_str()).collect();
    ensure!(texts == (1..=DIRECT).map(|number| format!("secret {number}")).collect::<Vec<_>>(), "{texts:?}");
    // With the server, what was left out can be read again.
    world.start_server()?;
    while sam.process.out.event("connection")?["is"] != "online" {}
    let older = seqs(&page(&mut sam, "#lobby", Some(first))?);
    ensure!(older.ends_with(&[first - 2, first - 1]), "{older:?}");
    ensure!(sam.leave()? == 0);
    Ok(())
}

/// Conversations that the operator names at a login, and as many more from which messages come afterwards.
const INVENTED: usize = 1_500;

/// Conversations that a client keeps: a thousand, and the lobby, for which there is always room.
const MOST_KEPT: u64 = 1_001;

fn invented(number: usize) -> String {
    format!("made-up-{number}")
}

/// A message that the operator has made up, with somebody's envelope.
fn made_up(number: usize, sealed: &Value) -> Value {
    json!({"from": invented(number), "to": "@sam", "seq": 1, "time": 1_790_000_000_000_u64,
        "message_id": format!("0197741c-9a80-7000-8000-{number:012}"), "sealed": sealed})
}

#[test]
fn conversations_that_a_server_invents_are_kept_up_to_a_number_and_no_further() -> Result<()> {
    let world = fast()?;
    let (mut erik, to) = (Author::of(&world, "erik")?, Author::of(&world, "sam")?);
    let sealed = erik.write(&to, "anything")?.sealed;
    let mut asked = 0;
    let mut alter = edited(move |line| {
        if line["ok"] == "conversations"
            && let Some(heads) = line["conversations"].as_array_mut()
        {
            heads.extend(
                (0..INVENTED).map(|number| json!({"name": format!("@{}", invented(number)), "last": 1})),
            );
        }
        // The real server has no history of theirs; they are asked for one after the other.
        if line["error"]["code"] == "user_not_found" || line["error"]["code"] == "conversation_not_found" {
            let messages = json!([made_up(asked, &sealed)]);
            *line = json!({"id": line["id"], "ok": "history", "messages": messages, "last": 1});
            asked += 1;
        }
    });
    let sealed = erik.write(&to, "anything")?.sealed;
    let operator = Operator::before(&world, "sam", Logins::Anew, move |line: &str| {
        let mut bytes = alter(line);
        if line.contains("now all at once") {
            for number in INVENTED..2 * INVENTED {
                let event = json!({"event": "message", "message": made_up(number, &sealed)});
                bytes.extend((escaped(&event) + "\n").into_bytes());
            }
        }
        bytes
    })?;
    let mut command = world.client_command_to("sam", &operator.address())?;
    let mut sam = Client::start("sam", command.args(["--json", "--user", "sam"]))?;
    let mut notices = Vec::new();
    loop {
        let line = sam.process.out.json()?;
        if line["event"] == "notice" {
            notices.push(line["text"].as_str().unwrap_or_default().to_owned());
        }
        if line["event"] == "backlog" {
            break;
        }
    }
    let mut line = world.json_line("erik")?;
    for (number, text) in [(1, "now all at once"), (2, "and still here")] {
        let id = format!("0197741c-9a80-7000-9000-{number:012}");
        let post = json!({"id": number, "cmd": "post", "to": "#lobby", "message_id": id, "text": text});
        ensure!(line.call(&post)?["ok"] == "posted");
        until(&mut sam, number, &mut notices)?;
    }
    ensure!(sam.leave()? == 0);
    let told = notices.iter().filter(|notice| notice.contains("more than 1000 conversations")).count();
    ensure!(told == 1, "{notices:#?}");
    let database = rusqlite::Connection::open(world.profile("sam").join("local.db"))?;
    let kept: u64 = database.query_row("SELECT count(*) FROM facts WHERE kind = 1", [], |row| row.get(0))?;
    ensure!(kept == MOST_KEPT, "{kept} conversations are kept");
    Ok(())
}
