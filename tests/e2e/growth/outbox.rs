//! Messages that wait in the outbox from an earlier run, and are refused when they are sent again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use parlour_tests::{Client, Logins, Operator, World, wait_until};
use serde_json::{Value, json};

use super::{BANNED, one_shot, plain, refusing, robot};

/// Has sam say these, and his client die before an answer comes.
fn leave_unanswered(world: &World, said: &[(&str, &str)]) -> Result<()> {
    let swallowed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&swallowed);
    let edit = move |line: &str| {
        let value = serde_json::from_str::<Value>(line).unwrap_or_default();
        if value["ok"] == "posted" {
            count.fetch_add(1, Ordering::SeqCst);
            return Vec::new();
        }
        format!("{line}\n").into_bytes()
    };
    let operator = Operator::before(world, "sam", Logins::Anew, edit)?;
    let mut sam: Client = robot(world, &operator)?;
    for (to, text) in said {
        sam.type_line(&json!({"id": to, "do": "say", "to": to, "text": text}).to_string())?;
    }
    wait_until("the server has stored them", || Ok(swallowed.load(Ordering::SeqCst) == said.len()))?;
    sam.process.crash()
}

#[test]
fn a_message_that_is_sent_again_and_refused_gives_its_text_back() -> Result<()> {
    const SAID: [(&str, &str); 2] = [("#lobby", "public words"), ("@erik", "private words")];
    let world = World::peopled()?;

    leave_unanswered(&world, &SAID)?;
    let (operator, refused) = refusing(&world, &["posted"])?;
    let mut command = world.client_command_to("sam", &operator.address())?;
    let mut sam = Client::start("sam", command.args(["--plain", "--user", "sam"]))?;
    for (to, text) in SAID {
        sam.process.out.wait_for(&format!("error: a message to {to} was not sent: {BANNED}"))?;
        sam.process.wait_for_error(&format!("its text was: {text}"))?;
    }
    sam.ask("/help", "{}/help{}")?;
    ensure!(sam.leave()? == 1);

    leave_unanswered(&world, &SAID)?;
    let mut sam = robot(&world, &operator)?;
    for (to, text) in SAID {
        let event = sam.process.out.event("not_sent")?;
        ensure!(event["to"] == to && event["text"] == text, "{event}");
        ensure!(event["error"]["code"] == "banned" && event["error"]["refused"] == true, "{event}");
    }
    ensure!(sam.leave()? == 1);

    leave_unanswered(&world, &SAID[..1])?;
    let finished = one_shot(&world, &operator, &["users"])?;
    ensure!(finished.out == ["sam"], "{finished:#?}");
    let error = format!("error: a message to #lobby was not sent: {BANNED}");
    ensure!(finished.error()? == error && finished.errors.contains("public words"), "{finished:#?}");

    // It is final: nothing of it is sent again.
    let before = refused.load(Ordering::SeqCst);
    ensure!(before == 5, "{before} were refused");
    let finished = plain(&world, &operator, &["--user", "sam"], "/users\n")?;
    ensure!(finished.code == 0 && refused.load(Ordering::SeqCst) == before, "{finished:#?}");
    Ok(())
}
