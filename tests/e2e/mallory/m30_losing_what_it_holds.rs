//! 30: make a client lose what it holds. The operator sets the server back, names other numbers of messages than there
//! are, and hands out other messages in places that are taken.
//!
//! Bites: when the newest page replaced the kept messages, 80 of them became 20 after an honest restore,
//! and one after a server that named a lower or a far higher number.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use parlour_tests::{Author, Client, Logins, Operator, World, edited};
use serde_json::{Value, json};

use super::{fast, list};

/// Erik says and writes these.
pub(super) fn talk(
    world: &World,
    erik: &mut Author,
    numbers: RangeInclusive<u64>,
    kinds: [&str; 2],
) -> Result<()> {
    let to = Author::of(world, "sam")?;
    let mut line = world.json_line("erik")?;
    for number in numbers {
        let letter = erik.write(&to, &format!("{} {number}", kinds[0]))?;
        ensure!(line.call(&letter.post(number))?["ok"] == "posted");
        ensure!(line.call(&post(1_000 + number, &format!("{} {number}", kinds[1])))?["ok"] == "posted");
    }
    line.close();
    Ok(())
}

/// A world in which erik has said and written so much, and sam has read it all. After `copied` of it a copy of the
/// server's data was made.
pub(super) fn read_by_sam(copied: u64, count: u64) -> Result<(World, Author)> {
    let mut world = fast()?;
    let mut erik = Author::of(&world, "erik")?;
    if copied > 0 {
        talk(&world, &mut erik, 1..=copied, ["secret", "public"])?;
        world.stop_server()?;
        std::fs::create_dir(world.path("copy"))?;
        std::fs::copy(world.database(), world.path("copy/chat.db"))?;
        world.start_server()?;
    }
    talk(&world, &mut erik, copied + 1..=count, ["secret", "public"])?;
    let mut sam = world.robot("sam", &["--user", "sam"])?;
    sam.process.out.event("backlog")?;
    for name in ["@erik", "#lobby"] {
        ensure!(history(&mut sam, name)?.len() as u64 == count);
    }
    ensure!(sam.leave()? == 0);
    Ok((world, erik))
}

/// Puts the copy in the place of the server's data.
pub(super) fn set_back(world: &mut World) -> Result<()> {
    world.stop_server()?;
    for file in ["chat.db", "chat.db-wal", "chat.db-shm"] {
        let file = world.path("data").join(file);
        if file.exists() {
            std::fs::remove_file(file)?;
        }
    }
    std::fs::copy(world.path("copy/chat.db"), world.database())?;
    world.start_server()
}

/// The command for a message in the lobby.
pub(super) fn post(number: u64, text: &str) -> Value {
    let id = format!("0197741c-9a80-7000-8000-{number:012}");
    json!({"id": number, "cmd": "post", "to": "#lobby", "message_id": id, "text": text})
}

/// All that the client shows of a conversation, page by page.
pub(super) fn history(client: &mut Client, name: &str) -> Result<Vec<Value>> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let (before, generation) = match all.first() {
            Some(first) => (first["seq"].clone(), first["generation"].as_u64().unwrap_or(0).into()),
            None => (Value::Null, Value::Null),
        };
        let ask = json!({"id": "h", "do": "history", "conversation": name, "before": before,
            "generation": generation, "limit": 50});
        let mut page = client.call(&ask)?;
        ensure!(page["ok"] == "history", "{page}");
        let mut messages = list(&mut page, "messages").to_vec();
        messages.append(&mut all);
        all = messages;
        if page["complete"] == true {
            return Ok(all);
        }
    }
}

pub(super) fn texts(messages: &[Value]) -> Vec<&str> {
    messages.iter().filter_map(|message| message["text"].as_str()).collect()
}

/// Each of these is there once, readable, and with its mark.
pub(super) fn all_there(
    messages: &[Value],
    kind: &str,
    count: u64,
    aside: impl Fn(u64) -> bool,
) -> Result<()> {
    for number in 1..=count {
        let text = format!("{kind} {number}");
        let found: Vec<&Value> = messages.iter().filter(|message| message["text"] == text.as_str()).collect();
        ensure!(found.len() == 1, "{text} is there {} times: {:?}", found.len(), texts(messages));
        ensure!(found[0]["set_aside"].as_bool().unwrap_or(false) == aside(number), "{}", found[0]);
        ensure!(found[0]["verdict"]["is"] != "bad", "{}", found[0]);
    }
    Ok(())
}

pub(super) fn why(client: &mut Client, name: &str) -> Result<Vec<Value>> {
    let mut answer = client.call(&json!({"id": "w", "do": "why", "conversation": name}))?;
    ensure!(answer["ok"] == "why", "{answer}");
    Ok(list(&mut answer, "ended").to_vec())
}

#[test]
fn messages_that_a_server_lost_when_it_was_set_back_stay_readable_and_are_explained() -> Result<()> {
    let (mut world, _) = read_by_sam(20, 80)?;
    set_back(&mut world)?;
    let mut erik = world.json_line("erik")?;
    for number in 1..=2 {
        let posted = erik.call(&post(2_000 + number, &format!("since {number}")))?;
        ensure!(posted["message"]["seq"] == 20 + number, "{posted}");
    }
    let mut sam = world.robot("sam", &["--user", "sam"])?;
    sam.process.out.event("backlog")?;
    for _ in 0..2 {
        let lobby = history(&mut sam, "#lobby")?;
        all_there(&lobby, "public", 80, |number| number > 20)?;
        all_there(&lobby, "since", 2, |_| false)?;
        ensure!(texts(&lobby).ends_with(&["public 80", "since 1", "since 2"]), "{:?}", texts(&lobby));
        let direct = history(&mut sam, "@erik")?;
        all_there(&direct, "secret", 80, |number| number > 20)?;
        let why = why(&mut sam, "#lobby")?;
        ensure!(why.len() == 1 && why[0]["reason"] == "set_back" && why[0]["set_aside"] == 60, "{why:?}");
        ensure!(why[0]["kept_last"] == 80 && why[0]["noticed"].is_number(), "{why:?}");
        // And after the next start.
        ensure!(sam.leave()? == 0);
        sam = world.robot("sam", &["--user", "sam"])?;
        sam.process.out.event("backlog")?;
    }
    // The chain of one's own goes on, and what was set aside is no replay.
    let said = sam.call(&json!({"id": 1, "do": "say", "to": "@erik", "text": "still here"}))?;
    ensure!(said["message"]["verdict"] == json!({"is": "good"}), "{said}");
    ensure!(sam.leave()? == 0);
    // In words, without a terminal.
    let mut sam = world.logged_in("sam")?;
    sam.type_line("/why @erik")?;
    let line = sam.process.out.wait_for("@erik: noticed {}")?;
    ensure!(line.contains("60 messages are set aside"), "{line}");
    let shown = world.one_shot("sam", &["history", "#lobby", "--limit", "3"], "")?;
    ensure!(
        shown.out.first().is_some_and(|line| line.ends_with("erik [set aside]: public 80")),
        "{shown:#?}"
    );
    Ok(())
}

/// Sam's client at an operator that names this as the newest message of each conversation, from the first login on;
/// 0 names what there is.
fn misled(world: &World, named: &Arc<AtomicU64>) -> Result<Client> {
    let named = Arc::clone(named);
    let operator = Operator::before(
        world,
        "sam",
        Logins::Anew,
        edited(move |line| {
            let last = named.load(Ordering::Relaxed);
            if last == 0 {
                return;
            }
            for head in list(line, "conversations") {
                head["last"] = json!(last);
            }
            if line["ok"] == "history" {
                line["last"] = json!(last);
                if let Some(messages) = line["messages"].as_array_mut() {
                    // The newest messages, under other numbers.
                    let seq = |message: &Value| message["seq"].as_u64().unwrap_or(0);
                    let newest = messages.last().map_or(0, seq);
                    messages.retain(|message| last + seq(message) > newest);
                    for message in messages.iter_mut() {
                        message["seq"] = json!(last + seq(message) - newest);
                    }
                }
            }
        }),
    )?;
    let mut command = world.client_command_to("sam", &operator.address())?;
    let mut sam = Client::start("sam", command.args(["--json", "--user", "sam"]))?;
    sam.process.out.event("backlog")?;
    Ok(sam)
}

#[test]
fn a_flood_after_a_set_back_pushes_out_nothing_that_is_set_aside() -> Result<()> {
    let (mut world, _) = read_by_sam(20, 30)?;
    set_back(&mut world)?;
    let mut erik = world.json_line("erik")?;
    let long = "x".repeat(7_000);
    for number in 1..=150 {
        ensure!(erik.call(&post(2_000 + number, &format!("flood {number} {long}")))?["ok"] == "posted");
    }
    let mut sam = world.robot("sam", &["--user", "sam", "--history-bytes", "64KiB"])?;
    sam.process.out.wait_for("{}--history-bytes{}")?;
    sam.process.out.event("backlog")?;
    all_there(&history(&mut sam, "#lobby")?, "public", 30, |number| number > 20)?;
    let why = why(&mut sam, "#lobby")?;
    ensure!(why.len() == 1 && why[0]["set_aside"] == 10, "{why:?}");
    ensure!(sam.leave()? == 0);
    Ok(())
}

#[test]
fn a_server_that_names_other_numbers_takes_nothing_away_and_all_counts_again_when_it_is_honest() -> Result<()>
{
    let (world, _) = read_by_sam(0, 80)?;
    for last in [1, 40, 30_000] {
        let mut sam = misled(&world, &Arc::new(AtomicU64::new(last)))?;
        for (name, kind) in [("@erik", "secret"), ("#lobby", "public")] {
            let ask = json!({"id": "h", "do": "history", "conversation": name, "limit": 400});
            let mut page = sam.call(&ask)?;
            let messages = list(&mut page, "messages").to_vec();
            for number in 1..=80 {
                let text = format!("{kind} {number}");
                ensure!(texts(&messages).contains(&text.as_str()), "{last}: {text} is gone: {page}");
            }
            ensure!(
                !why(&mut sam, name)?.is_empty(),
                "{last} {name}: nothing is explained: {:#?}",
                sam.process.out.so_far()
            );
        }
        ensure!(sam.leave()? == 0);
    }
    let mut sam = misled(&world, &Arc::new(AtomicU64::new(0)))?;
    for (name, kind) in [("@erik", "secret"), ("#lobby", "public")] {
        let messages = history(&mut sam, name)?;
        let counting: Vec<Value> =
            messages.into_iter().filter(|message| message["set_aside"] != true).collect();
        all_there(&counting, kind, 80, |_| false)?;
    }
    ensure!(sam.leave()? == 0);
    Ok(())
}

/// Sam's client at an operator whose server says that it has no messages: it names 0 of each conversation, or leaves
/// the conversation out.
fn told_of_none(world: &World, leaves_out: bool) -> Result<Client> {
    let operator = Operator::before(
        world,
        "sam",
        Logins::Anew,
        edited(move |line| {
            if line["ok"] == "conversations" && leaves_out {
                line["conversations"] = json!([]);
            }
            for head in list(line, "conversations") {
                head["last"] = json!(0);
            }
        }),
    )?;
    let mut command = world.client_command_to("sam", &operator.address())?;
    let mut sam = Client::start("sam", command.args(["--json", "--user", "sam"]))?;
    sam.process.out.event("backlog")?;
    Ok(sam)
}

#[test]
fn a_server_that_says_it_has_no_messages_takes_nothing_away_and_is_explained() -> Result<()> {
    const CONVERSATIONS: [(&str, &str); 2] = [("@erik", "secret"), ("#lobby", "public")];
    let (world, mut erik) = read_by_sam(0, 30)?;
    let mut count = 30;
    for (rounds, leaves_out) in [(1, false), (2, true)] {
        let mut sam = told_of_none(&world, leaves_out)?;
        for (name, kind) in CONVERSATIONS {
            all_there(&history(&mut sam, name)?, kind, count, |_| true)?;
            let why = why(&mut sam, name)?;
            ensure!(why.len() == rounds && why[0]["reason"] == "set_back", "{why:?}");
            ensure!(why[0]["server_last"] == 0 && why[0]["kept_last"] == count, "{why:?}");
            let aside: u64 = why.iter().filter_map(|ended| ended["set_aside"].as_u64()).sum();
            ensure!(aside == count, "{why:?}");
        }
        // The next message shows that the server has them all the same.
        count += 1;
        talk(&world, &mut erik, count..=count, ["secret", "public"])?;
        for _ in CONVERSATIONS {
            sam.process.out.event("message")?;
        }
        for (name, kind) in CONVERSATIONS {
            all_there(&history(&mut sam, name)?, kind, count, |_| false)?;
        }
        ensure!(sam.leave()? == 0);
    }
    Ok(())
}

#[test]
fn other_messages_in_places_that_are_taken_push_nothing_out() -> Result<()> {
    // More was said than sam had: the numbers simply seem to go on.
    push_nothing_out(15)
}

#[test]
fn a_server_that_has_as_many_other_messages_is_noticed() -> Result<()> {
    push_nothing_out(10)
}

/// Sam has read 30 messages; the server is set back to 20, and `count` others are said since then.
fn push_nothing_out(count: u64) -> Result<()> {
    let (mut world, mut erik) = read_by_sam(20, 30)?;
    set_back(&mut world)?;
    talk(&world, &mut erik, 101..=100 + count, ["since", "since"])?;
    let mut sam = world.robot("sam", &["--user", "sam"])?;
    sam.process.out.event("backlog")?;
    for (name, kind) in [("@erik", "secret"), ("#lobby", "public")] {
        let all = history(&mut sam, name)?;
        all_there(&all, kind, 30, |number| number > 20)?;
        let since: Vec<&str> = texts(&all).into_iter().filter(|text| text.starts_with("since")).collect();
        ensure!(since.len() as u64 == count && texts(&all).ends_with(&since), "{:?}", texts(&all));
        let why = why(&mut sam, name)?;
        ensure!(
            why.len() == 1 && why[0]["reason"] == "other_message" && why[0]["set_aside"] == 10,
            "{why:?}"
        );
    }
    ensure!(sam.leave()? == 0);
    Ok(())
}
