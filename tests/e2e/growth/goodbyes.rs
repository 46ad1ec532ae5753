//! Our client when the server closes the connection and says why, also for reasons that it does not know.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use parlour_protocol::Farewell;
use parlour_tests::{Client, Logins, Operator, World};
use serde_json::{Value, json};

use super::plain;

/// A server that says goodbye for this reason, in these words, after each of the first `times` logins of sam; also
/// counts the logins.
fn dismissing(
    world: &World,
    reason: &str,
    words: &str,
    times: usize,
) -> Result<(Operator, Arc<AtomicUsize>)> {
    let logins = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&logins);
    let goodbye = json!({"event": "goodbye", "reason": reason, "message": words}).to_string();
    let edit = move |line: &str| {
        let value = serde_json::from_str::<Value>(line).unwrap_or_default();
        let again = value["ok"] == "logged_in" && count.fetch_add(1, Ordering::SeqCst) < times;
        let goodbye = if again { format!("{goodbye}\n") } else { String::new() };
        format!("{line}\n{goodbye}").into_bytes()
    };
    Ok((Operator::before(world, "sam", Logins::Anew, edit)?, logins))
}

fn reason(farewell: Farewell) -> Result<String> {
    Ok(serde_json::to_value(farewell)?.as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_goodbye_during_a_login_is_mended_by_a_new_try_where_one_can() -> Result<()> {
    let world = World::peopled()?;
    for farewell in Farewell::ALL {
        let (reason, words) = (reason(farewell)?, farewell.to_string());
        let (operator, logins) = dismissing(&world, &reason, &words, 1)?;
        let finished = plain(&world, &operator, &["--user", "sam"], "/users\n")?;
        let logins = logins.load(Ordering::SeqCst);
        if matches!(farewell, Farewell::Revoked | Farewell::TakenOver) {
            let closed = format!("error: the server closed the connection: {words}");
            let expected = [closed, "error: command not currently available".to_owned()];
            ensure!(finished.code == 1 && finished.out == expected && logins == 1, "{reason}: {finished:#?}");
        } else {
            let expected = ["Authentication Succeeded", "sam"];
            ensure!(finished.code == 0 && finished.out == expected && logins == 2, "{reason}: {finished:#?}");
        }
        let renewals = world.server_log().matches("renewed a device certificate").count();
        ensure!(renewals == usize::from(farewell == Farewell::CertificateExpired), "{reason}: {finished:#?}");
    }
    Ok(())
}

#[test]
fn an_unknown_goodbye_is_shown_by_its_words_and_tried_again() -> Result<()> {
    let world = World::peopled()?;
    // Words alone decide nothing.
    for words in ["go to b.example.org", "this device was revoked"] {
        let (operator, logins) = dismissing(&world, "moved", words, 1)?;
        let finished = plain(&world, &operator, &["--user", "sam"], "/users\n")?;
        ensure!(finished.code == 0 && finished.out == ["Authentication Succeeded", "sam"], "{finished:#?}");
        ensure!(
            finished.errors.contains(&format!("the server closed the connection: {words}")),
            "{finished:#?}"
        );
        ensure!(logins.load(Ordering::SeqCst) == 2, "{finished:#?}");
    }
    Ok(())
}

#[test]
fn a_login_that_every_try_ends_with_a_goodbye_is_given_up_and_told() -> Result<()> {
    let world = World::peopled()?;
    let (operator, logins) = dismissing(&world, "moved", "go to b.example.org", usize::MAX)?;
    let finished = plain(&world, &operator, &["--user", "sam"], "")?;
    let closed = "error: the server closed the connection: go to b.example.org";
    ensure!(finished.code == 1 && finished.out == [closed], "{finished:#?}");
    let logins = logins.load(Ordering::SeqCst);
    ensure!((2..10).contains(&logins), "{logins} logins");
    Ok(())
}

/// Sam's client, logged in at a server that says goodbye for this reason before it passes on a message with this text.
fn dismissed_later(world: &World, reason: &str, words: &str) -> Result<Client> {
    let goodbye = json!({"event": "goodbye", "reason": reason, "message": words}).to_string();
    let edit = move |line: &str| {
        let value = serde_json::from_str::<Value>(line).unwrap_or_default();
        let cue = value["event"] == "message" && value["text"] == "now";
        if cue { format!("{goodbye}\n").into_bytes() } else { format!("{line}\n").into_bytes() }
    };
    let operator = Operator::before(world, "sam", Logins::Anew, edit)?;
    let mut command = world.client_command_to("sam", &operator.address())?;
    let mut sam = Client::start("sam", command.args(["--plain", "--user", "sam"]))?;
    sam.expect("Authentication Succeeded")?;
    Ok(sam)
}

#[test]
fn after_an_unknown_goodbye_a_session_comes_back_and_has_missed_nothing() -> Result<()> {
    let world = World::peopled()?;
    let mut sam = dismissed_later(&world, "moved", "a newer session of this device took over")?;
    let mut erik = world.logged_in("erik")?;
    for text in ["before", "now", "after"] {
        erik.ask(text, &format!("{{}} erik: {text}"))?;
        sam.expect(&format!("{{}} erik: {text}"))?;
    }
    sam.ask("here", "{} sam: here")?;
    ensure!(sam.leave()? == 0);
    Ok(())
}

#[test]
fn after_a_final_goodbye_a_session_does_not_come_back_unasked() -> Result<()> {
    let world = World::peopled()?;
    for farewell in [Farewell::Revoked, Farewell::TakenOver] {
        let mut sam = dismissed_later(&world, &reason(farewell)?, &farewell.to_string())?;
        let mut erik = world.logged_in("erik")?;
        erik.type_line("now")?;
        sam.process.out.wait_for(&format!("error: the server closed the connection: {farewell}"))?;
        sam.ask("/users", "error: command not currently available")?;
        ensure!(sam.leave()? == 1);
        ensure!(erik.leave()? == 0);
    }
    Ok(())
}
