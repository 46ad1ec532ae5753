//! 11: as the server, answer a message with a refusal and deliver it all the same, so that the next one looks like a
//! replay and its text is lost.
//!
//! Bites: while a refused message's counter was used again, the message after it was shown as "replayed", and its text
//! was lost.

use anyhow::{Context as _, Result, ensure};
use parlour_tests::{Client, Logins, Operator, World, edited, wait_until};
use serde_json::{Value, json};

use super::{fast, kept, list};

const REMARK: &str = "the server told the sender that this message was refused";

/// The answer of sam's server to a private message after storing and delivering it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It tells the truth.
    Stored,
    /// It says that the message was refused.
    Refused,
    /// The same, and it hands the message to sam.
    RefusedThenHanded,
    /// It hands the message to sam, and says then that it was refused.
    HandedThenRefused,
    /// It says nothing.
    Nothing,
}

use Answer::{HandedThenRefused, Nothing, Refused, RefusedThenHanded, Stored};

/// Sam's client at an operator who answers her private messages like this, one after the other, and all others
/// truthfully.
fn sam(world: &World, answers: &'static [Answer], code: &'static str) -> Result<Client> {
    let mut answers = answers.iter();
    let operator = Operator::before(world, "sam", Logins::Anew, move |line| {
        let reply: Value = serde_json::from_str(line).unwrap_or_default();
        if reply["ok"] != "posted" || reply["message"]["sealed"].is_null() {
            return format!("{line}\n").into_bytes();
        }
        let refusal = json!({"id": reply["id"], "error": {"code": code, "message": "no"}});
        let mut event = reply["message"].clone();
        event["event"] = json!("message");
        let lines = match answers.next().unwrap_or(&Stored) {
            Stored => format!("{line}\n"),
            Refused => format!("{refusal}\n"),
            RefusedThenHanded => format!("{refusal}\n{event}\n"),
            HandedThenRefused => format!("{event}\n{refusal}\n"),
            Nothing => String::new(),
        };
        lines.into_bytes()
    })?;
    let mut command = world.client_command_to("sam", &operator.address())?;
    let mut sam = Client::start("sam", command.args(["--json", "--user", "sam"]))?;
    sam.process.out.event("backlog")?;
    Ok(sam)
}

/// Sam says something to erik; true if she is told that it is stored.
fn say(sam: &mut Client, text: &str) -> Result<bool> {
    let answer = sam.call(&json!({"id": text, "do": "say", "to": "@erik", "text": text}))?;
    Ok(answer["ok"] == "said")
}

/// Sam says something that is refused, and hears an event of this name; nothing says which of the two comes first.
fn say_and_hear(sam: &mut Client, text: &str, event: &str) -> Result<Value> {
    sam.type_line(&json!({"id": text, "do": "say", "to": "@erik", "text": text}).to_string())?;
    let (mut answer, mut heard) = (None, None);
    while answer.is_none() || heard.is_none() {
        let line = sam.process.out.json()?;
        if line["id"] == text {
            answer = Some(line);
        } else if line["event"] == event {
            heard = Some(line);
        }
    }
    ensure!(answer.is_some_and(|answer| answer["error"].is_object()), "{text} was not refused");
    heard.context("an event")
}

/// A message as it is shown: its text or the reason why that is not, and its remarks.
fn shown(message: &Value) -> String {
    let verdict = &message["verdict"];
    let text = message["text"].as_str().or(verdict["reason"].as_str()).unwrap_or("-");
    let remark = match verdict["is"].as_str() {
        Some("good" | "bad") => String::new(),
        _ => format!(" {verdict}"),
    };
    let refused = if message["refused"] == true { " refused" } else { "" };
    format!("{text}{remark}{refused}")
}

fn all_shown(messages: &Value) -> Result<Vec<String>> {
    Ok(messages.as_array().context("messages")?.iter().map(shown).collect())
}

/// The conversation of `person` with `with` as a new run of the client shows it, from what was kept.
fn history(world: &World, person: &str, with: &str) -> Result<Vec<String>> {
    let finished = world.one_shot(person, &["history", with, "--json"], "")?;
    finished.out.iter().map(|line| Ok(shown(&serde_json::from_str(line)?))).collect()
}

#[test]
fn messages_refused_and_delivered_are_marked_and_hide_nothing_after_them() -> Result<()> {
    let world = World::peopled()?;
    let mut erik = world.robot("erik", &["--user", "erik"])?;
    erik.process.out.event("backlog")?;
    let mut sam = sam(&world, &[Stored, Refused, Refused, Stored, Refused], "from_the_future")?;
    for (text, stored) in
        [("one", true), ("two", false), ("three", false), ("four", true), ("five", false), ("six", true)]
    {
        ensure!(say(&mut sam, text)? == stored, "{text}");
        // The message sealed after a refused one lists that one as refused.
        let refused = match text {
            "three" => Some("two refused"),
            "four" => Some("three refused"),
            "six" => Some("five refused"),
            _ => None,
        };
        if let Some(refused) = refused {
            let judged = erik.process.out.event("judged")?;
            ensure!(all_shown(&judged["messages"])? == [refused], "{judged}");
        }
        let event = erik.process.out.event("message")?;
        ensure!(shown(&event["message"]) == text, "{event}");
    }
    erik.leave()?;
    sam.leave()?;
    let expected = ["one", "two refused", "three refused", "four", "five refused", "six"];
    for (person, with) in [("erik", "@sam"), ("sam", "@erik")] {
        let history = history(&world, person, with)?;
        ensure!(history == expected, "{person}: {history:?}");
    }
    // In the other faces, too.
    let lines = world.one_shot("erik", &["history", "@sam"], "")?.out;
    ensure!(lines.iter().any(|line| line.ends_with(&format!(" sam [{REMARK}]: @erik two"))), "{lines:#?}");
    let mut erik = world.logged_in("erik")?;
    erik.process.out.wait_for(&format!("{{}} sam [{REMARK}]: @erik two"))?;
    erik.type_line("/why @sam")?;
    erik.process.out.wait_for("@sam: the server delivered 3 messages that it had refused, {}")?;
    Ok(())
}

/// The messages that erik's client shows when the server delivers sam's in this order, with new numbers.
fn delivered(world: &World, order: &'static [usize]) -> Result<Vec<String>> {
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
            let Some(messages) = line["messages"].as_array().filter(|messages| messages.len() == 4) else {
                return;
            };
            let handed = order.iter().zip(1..).filter_map(|(index, seq)| {
                let mut message = messages.get(*index)?.clone();
                message["seq"] = json!(seq);
                Some(message)
            });
            (line["messages"], line["last"]) = (handed.collect(), count);
        }),
    )?;
    let mut command = world.client_command_to("erik", &operator.address())?;
    let mut erik = Client::start("erik", command.args(["--json", "--user", "erik"]))?;
    let backlog = erik.process.out.event("backlog")?;
    ensure!(erik.leave()? == 0);
    for file in ["local.db", "local.key"] {
        std::fs::remove_file(world.profile("erik").join(file))?;
    }
    all_shown(&backlog["messages"])
}

#[test]
fn refused_messages_are_marked_when_delivered_and_not_missed_when_not() -> Result<()> {
    let world = fast()?;
    let mut sam = sam(&world, &[Stored, Refused, Refused], "banned")?;
    for (text, stored) in [("one", true), ("two", false), ("three", false), ("four", true)] {
        ensure!(say(&mut sam, text)? == stored, "{text}");
    }
    sam.leave()?;
    let replayed = "replayed: its place in the sender's chain was taken already";
    for (order, expected) in [
        ([0, 1, 2, 3].as_slice(), ["one", "two refused", "three refused", "four"].as_slice()),
        // An honest server delivers none of the two.
        (&[0, 3], &["one", "four"]),
        (&[0, 1, 3], &["one", "two refused", "four"]),
        (&[0, 2, 3], &["one", "three refused", "four"]),
        // They are delivered when it is known that they were refused.
        (&[0, 3, 1, 2], &["one", "four", "two refused", "three refused"]),
        (&[0, 2, 1, 3], &["one", "three refused", "two refused", "four"]),
        // And each of them once.
        (&[0, 3, 2, 2], &["one", "four", "three refused", replayed]),
        (&[0, 1, 1, 3], &["one", "two refused", replayed, "four"]),
        (&[0, 1, 3, 1], &["one", "two refused", "four", replayed]),
        // Messages that the server held back are missed all the same.
        (&[1, 3], &[r#"two {"is":"gap","missing":1} refused"#, r#"four {"is":"gap","missing":1}"#]),
        (&[3], &[r#"four {"is":"gap","missing":1}"#]),
    ] {
        let delivered = delivered(&world, order)?;
        ensure!(delivered == expected, "{order:?}: {delivered:?}");
    }
    Ok(())
}

#[test]
fn a_sender_sees_at_once_that_a_refused_message_was_delivered() -> Result<()> {
    let world = World::peopled()?;
    let mut sam = sam(&world, &[RefusedThenHanded, Stored, HandedThenRefused], "format")?;
    let event = say_and_hear(&mut sam, "one", "message")?;
    ensure!(shown(&event["message"]) == "one refused", "{event}");
    ensure!(say(&mut sam, "two")?);
    // It came first, so that it was shown as good.
    let judged = say_and_hear(&mut sam, "three", "judged")?;
    ensure!(all_shown(&judged["messages"])? == ["three refused"], "{judged}");
    ensure!(say(&mut sam, "four")?);
    sam.leave()?;
    let expected = ["one refused", "two", "three refused", "four"];
    for (person, with) in [("sam", "@erik"), ("erik", "@sam")] {
        let history = history(&world, person, with)?;
        ensure!(history == expected, "{person}: {history:?}");
    }
    Ok(())
}

#[test]
fn a_client_that_is_killed_uses_no_counter_again() -> Result<()> {
    let world = World::peopled()?;
    let mut first = sam(&world, &[Stored, Refused], "format")?;
    ensure!(say(&mut first, "one")? && !say(&mut first, "two")?);
    // Once after the refusal was heard, and once before there is an answer.
    first.process.crash()?;
    let mut second = sam(&world, &[Nothing], "format")?;
    second.type_line(&json!({"id": 1, "do": "say", "to": "@erik", "text": "three"}).to_string())?;
    wait_until("the third message is stored", || Ok(kept(&world)? == 3))?;
    let mut erik = world.robot("erik", &["--user", "erik"])?;
    let heard = all_shown(&erik.process.out.event("backlog")?["messages"])?;
    ensure!(heard == ["one", "two refused", "three"], "{heard:?}");
    second.process.crash()?;
    // It is sent again as it was, and refused now.
    let mut third = sam(&world, &[Refused], "format")?;
    ensure!(say(&mut third, "four")?);
    let judged = erik.process.out.event("judged")?;
    ensure!(all_shown(&judged["messages"])? == ["three refused"], "{judged}");
    let event = erik.process.out.event("message")?;
    ensure!(shown(&event["message"]) == "four", "{event}");
    third.leave()?;
    erik.leave()?;
    Ok(())
}
