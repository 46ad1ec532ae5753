//! 11: as the server, drop or reorder messages unnoticed. The operator renumbers the rest, so that only the chains
//! inside the sealed messages reveal it.
//!
//! Bites: without changes all six are good; and the newest message, which nothing follows yet, can be withheld.
//! With the counting in `judge::follow` switched off, a dropped message was not noticed.

use anyhow::{Context as _, Result, ensure};
use parlour_tests::{Author, Client, Logins, Operator, World, edited};
use serde_json::{Value, json};

use super::{fast, list};

/// A world in which sam has written six messages to erik.
fn six() -> Result<World> {
    let world = fast()?;
    let (mut sam, erik) = (Author::of(&world, "sam")?, Author::of(&world, "erik")?);
    let mut line = world.json_line("sam")?;
    for number in 0..6 {
        let letter = sam.write(&erik, &number.to_string())?;
        ensure!(line.call(&letter.post(number))?["ok"] == "posted");
    }
    Ok(world)
}

/// The texts or verdicts that erik sees when the server delivers these of the six in this order.
fn seen(world: &World, order: &'static [usize], renumber: bool) -> Result<Vec<String>> {
    let operator = Operator::before(
        world,
        "erik",
        Logins::Anew,
        edited(move |line| {
            let count = json!(order.len());
            for head in list(line, "conversations") {
                if head["name"] == "@sam" {
                    head["last"] = count.clone();
                }
            }
            let Some(messages) = line["messages"].as_array().filter(|messages| messages.len() == 6) else {
                return;
            };
            let mut handed: Vec<Value> =
                order.iter().filter_map(|index| messages.get(*index).cloned()).collect();
            if renumber {
                let times = messages.iter().map(|message| message["time"].clone());
                for ((message, time), seq) in handed.iter_mut().zip(times).zip(1..) {
                    (message["seq"], message["time"]) = (json!(seq), time);
                }
            }
            (line["messages"], line["last"]) = (json!(handed), count);
        }),
    )?;
    let mut command = world.client_command_to("erik", &operator.address())?;
    let mut erik = Client::start("erik", command.args(["--json", "--user", "erik"]))?;
    let backlog = erik.process.out.event("backlog")?;
    erik.leave()?;
    let seen = backlog["messages"].as_array().context("messages")?.iter().map(|message| {
        let text = message["text"].as_str().unwrap_or("-");
        match message["verdict"]["is"].as_str().unwrap_or_default() {
            "good" => text.to_owned(),
            "late" => format!("{text} late"),
            "gap" => format!("{text} after {} missing", message["verdict"]["missing"]),
            _ => message["verdict"]["reason"].as_str().unwrap_or_default().to_owned(),
        }
    });
    let seen = seen.collect();
    for file in ["local.db", "local.key"] {
        std::fs::remove_file(world.profile("erik").join(file))?;
    }
    Ok(seen)
}

#[test]
fn messages_that_are_dropped_or_moved_leave_a_mark() -> Result<()> {
    let world = six()?;
    let replayed = "replayed: its place in the sender's chain was taken already";
    for (order, expected) in [
        ([0, 1, 2, 3, 4, 5].as_slice(), ["0", "1", "2", "3", "4", "5"].as_slice()),
        (&[0, 1, 3, 4, 5], &["0", "1", "3 after 1 missing", "4", "5"]),
        (&[0, 4, 5], &["0", "4 after 3 missing", "5"]),
        (&[1, 2, 3, 4, 5], &["1 after 1 missing", "2", "3", "4", "5"]),
        (&[0, 1, 3, 2, 4, 5], &["0", "1", "3 after 1 missing", "2 late", "4", "5"]),
        (&[5, 0, 1, 2, 3, 4], &["5 after 5 missing", "0 late", "1 late", "2 late", "3 late", "4 late"]),
        (&[0, 1, 3, 2, 2, 3], &["0", "1", "3 after 1 missing", "2 late", replayed, replayed]),
        (&[0, 1, 2, 2, 3, 4], &["0", "1", "2", replayed, "3", "4"]),
        // This remains possible: nothing reveals that there is more.
        (&[0, 1, 2, 3, 4], &["0", "1", "2", "3", "4"]),
    ] {
        let seen = seen(&world, order, true)?;
        ensure!(seen == expected, "{order:?}: {seen:?}");
    }
    Ok(())
}

#[test]
fn messages_whose_numbers_do_not_run_on_are_not_taken_at_all() -> Result<()> {
    let world = six()?;
    for order in [[0, 1, 3, 4, 5].as_slice(), &[0, 2, 1, 3, 4, 5]] {
        let seen = seen(&world, order, false)?;
        ensure!(seen.is_empty(), "{order:?}: {seen:?}");
    }
    Ok(())
}

#[test]
fn no_message_is_hidden_by_its_time_and_times_that_run_backwards_are_shown() -> Result<()> {
    let world = six()?;
    // The third gets a time far before the others', the fifth one far behind them.
    let operator = Operator::before(
        &world,
        "erik",
        Logins::Anew,
        edited(|line| {
            for message in list(line, "messages") {
                if message["seq"] == 3 {
                    message["time"] = json!(1);
                } else if message["seq"] == 5 {
                    message["time"] = json!(4_000_000_000_000_i64);
                }
            }
        }),
    )?;
    let mut command = world.client_command_to("erik", &operator.address())?;
    let mut erik = Client::start("erik", command.args(["--plain", "--user", "erik"]))?;
    erik.expect("Authentication Succeeded")?;
    erik.expect("{} sam: @erik 0")?;
    erik.expect("{} sam: @erik 1")?;
    erik.expect("1970-{} sam [signed {}] [time runs backwards]: @erik 2")?;
    erik.expect("{} sam: @erik 3")?;
    erik.expect("2096-{} sam [signed {}]: @erik 4")?;
    erik.expect("{} sam [time runs backwards]: @erik 5")?;
    ensure!(erik.leave()? == 0);
    Ok(())
}
