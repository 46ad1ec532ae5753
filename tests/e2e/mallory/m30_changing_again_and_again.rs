//! 30: make a client lose what it holds. The operator changes its history again and again, so that the client sets things
//! aside or asks without end.
//!
//! Bites: a client that followed each change began anew for as long as it went on, and took ever longer for each message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use parlour_tests::{Client, Logins, Operator, World, edited};
use serde_json::{Value, json};

use super::m30_losing_what_it_holds::{all_there, history, post, read_by_sam, why};

/// Sam's client at an operator that hands out one message, far behind what there was, and names the next one at once.
fn leaping(world: &World, leaps: u64) -> Result<Client> {
    const LEAP: u64 = 30_000;
    let mut leapt = 0;
    let operator = Operator::before(world, "sam", Logins::Anew, move |line| {
        let mut out = format!("{line}\n");
        let Ok(mut value) = serde_json::from_str::<Value>(line) else { return out.into_bytes() };
        let number = leapt;
        let message = |number: u64| {
            json!({"to": "#lobby", "from": "erik", "seq": number * LEAP,
                "message_id": format!("0197741c-9a80-7000-8000-{:012}", 900_000 + number), "time": number,
                "text": "nothing"})
        };
        let is_asked = number > 0 && value["ok"] == "history";
        if is_asked {
            value["last"] = json!(number * LEAP);
            value["messages"] = json!([message(number)]);
            out = format!("{value}\n");
        }
        if (is_asked || value["event"] == "message") && number < leaps {
            leapt += 1;
            let mut event = message(number + 1);
            event["event"] = json!("message");
            out.push_str(&event.to_string());
            out.push('\n');
        }
        out.into_bytes()
    })?;
    let mut command = world.client_command_to("sam", &operator.address())?;
    let mut sam = Client::start("sam", command.args(["--json", "--user", "sam"]))?;
    sam.process.out.event("backlog")?;
    Ok(sam)
}

#[test]
fn a_server_that_begins_anew_again_and_again_is_not_followed_for_ever() -> Result<()> {
    let (world, _) = read_by_sam(0, 5)?;
    let mut sam = leaping(&world, 40)?;
    let mut erik = world.json_line("erik")?;
    ensure!(erik.call(&post(5_000, "begin"))?["ok"] == "posted");
    sam.process.out.wait_for("{}#lobby was not fetched: {}again and again{}")?;
    let begun = why(&mut sam, "#lobby")?.len();
    ensure!(begun == 16, "it began anew {begun} times");
    all_there(&history(&mut sam, "#lobby")?, "public", 5, |_| false)?;
    ensure!(sam.leave()? == 0);
    Ok(())
}

#[test]
fn a_server_that_calls_all_empty_at_every_other_login_is_not_followed_for_ever() -> Result<()> {
    let (world, _) = read_by_sam(0, 5)?;
    let mut logins = 0;
    let operator = Operator::before(
        &world,
        "sam",
        Logins::Anew,
        edited(move |line| {
            if line["ok"] == "conversations" {
                logins += 1;
                if logins % 2 == 1 {
                    line["conversations"] = json!([]);
                }
            }
        }),
    )?;
    for login in 1..=40 {
        let mut command = world.client_command_to("sam", &operator.address())?;
        let mut sam = Client::start("sam", command.args(["--json", "--user", "sam"]))?;
        sam.process.out.event("backlog")?;
        if login == 40 {
            for (name, kind) in [("@erik", "secret"), ("#lobby", "public")] {
                let begun = why(&mut sam, name)?.len();
                ensure!(begun == 16, "it began anew {begun} times");
                all_there(&history(&mut sam, name)?, kind, 5, |_| false)?;
            }
        }
        ensure!(sam.leave()? == 0);
    }
    Ok(())
}

#[test]
fn a_message_in_a_place_where_the_server_itself_has_another_is_asked_for_once() -> Result<()> {
    let (world, _) = read_by_sam(0, 5)?;
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    let operator = Operator::before(&world, "sam", Logins::Anew, move |line| {
        let mut out = format!("{line}\n");
        let Ok(mut value) = serde_json::from_str::<Value>(line) else { return out.into_bytes() };
        counted.fetch_add(u64::from(value["ok"] == "history"), Ordering::Relaxed);
        if value["event"] == "message" {
            value["seq"] = json!(3);
            value["message_id"] = json!("0197741c-9a80-7000-8000-000000900000");
            out.push_str(&value.to_string());
            out.push('\n');
        }
        out.into_bytes()
    })?;
    let mut command = world.client_command_to("sam", &operator.address())?;
    let mut sam = Client::start("sam", command.args(["--json", "--user", "sam"]))?;
    sam.process.out.event("backlog")?;
    let before = asked.load(Ordering::Relaxed);
    let mut erik = world.json_line("erik")?;
    ensure!(erik.call(&post(5_000, "public 6"))?["ok"] == "posted");
    sam.process.out.wait_for("{}a message was not taken{}")?;
    all_there(&history(&mut sam, "#lobby")?, "public", 6, |_| false)?;
    let asked = asked.load(Ordering::Relaxed) - before;
    ensure!(asked < 5, "asked {asked} times");
    ensure!(sam.leave()? == 0);
    Ok(())
}
