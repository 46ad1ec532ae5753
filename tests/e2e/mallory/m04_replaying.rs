//! 4: replay a message, a login, a registration.
//!
//! Bites: each is accepted once, in its own place. With the counting in `judge::follow` switched off, the message
//! was shown a second time as good; with the exporter left out of the login's transcript, the old line logged in.

use anyhow::{Context as _, Result, ensure};
use parlour_tests::{Client, Logins, Operator, World};
use serde_json::{Value, json};

use super::{fails, user};

#[test]
fn a_message_that_the_server_delivers_twice_is_shown_as_replayed() -> Result<()> {
    let world = World::peopled()?;
    for (again, expected) in [
        ("0197741c-9a80-7000-8000-00000000000a", "[altered: it was signed for another place]"),
        ("", "[replayed: its place in the sender's chain was taken already]"),
    ] {
        let operator = Operator::before(&world, "erik", Logins::Anew, move |line| {
            let mut lines = format!("{line}\n");
            let mut event = serde_json::from_str::<Value>(line).unwrap_or_default();
            if event["event"] == "message" {
                event["seq"] = json!(event["seq"].as_u64().unwrap_or_default() + 1);
                if !again.is_empty() {
                    event["message_id"] = json!(again);
                }
                lines = format!("{lines}{event}\n");
            }
            lines.into_bytes()
        })?;
        let mut command = world.client_command_to("erik", &operator.address())?;
        let mut erik = Client::start("erik", command.args(["--plain", "--user", "erik"]))?;
        erik.process.out.wait_for("Authentication Succeeded")?;
        let mut sam = world.logged_in("sam")?;
        sam.process.out.so_far();
        sam.type_line("@erik I owe you five")?;
        erik.process.out.wait_for("{} sam: @erik I owe you five")?;
        erik.process.out.wait_for(&format!("{{}} sam {expected}: @erik"))?;
        // The next round begins with what the server has, and that is one message.
        for file in ["local.db", "local.key"] {
            std::fs::remove_file(world.profile("erik").join(file))?;
        }
    }
    Ok(())
}

#[test]
fn the_line_that_logged_somebody_in_logs_nobody_in_again() -> Result<()> {
    let world = World::peopled()?;
    let sam = user("sam")?;
    let mut line = world.line_as("sam")?;
    let signature = line.signature(&world.profile("sam"), &sam)?;
    let login = format!("/login sam {signature}");
    line.ask(&login, "Authentication Succeeded")?;
    line.ask(&login, "error: command not currently available")?;
    for mut later in [world.line_as("sam")?, world.line_as("anna")?] {
        later.ask(&login, "error: invalid credentials")?;
        later.lines.expect_end()?;
    }
    // Even after the session that it was for has ended.
    line.close();
    fails(&world, &mut world.line_as("sam")?, "sam", &signature, "the signature does not hold")
}

#[test]
fn a_registration_that_is_sent_again_makes_nothing_and_helps_nobody_without_its_keys() -> Result<()> {
    let mut world = World::peopled()?;
    world.stop_ttp()?;
    let mut zoe = world.client("zoe")?;
    zoe.ask("/register zoe", "error: certificates cannot be issued now, try again later")?;
    zoe.leave()?;
    let request = std::fs::read_to_string(world.keys("zoe").join(".pending/zoe/request.jws"))?;
    world.start_ttp()?;
    let mut mallory = world.line()?;
    let first = mallory.ask(&format!("/register zoe {request}"), "Registration Succeeded {}")?;
    ensure!(
        mallory.ask(&format!("/register zoe {request}"), "{}")? == first,
        "other certificates were issued"
    );
    mallory.ask(&format!("/register sam {request}"), "error: invalid command format")?;
    let (signed, signature) = request.rsplit_once('.').context("a signature")?;
    let spoiled = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    mallory.ask(&format!("/register zoe {spoiled}"), "error: certificate request refused")?;
    // The certificates are useless to her: the key belongs to zoe.
    let mut line = world.line_as("anna")?;
    let signature = line.signature(&world.profile("anna"), &user("zoe")?)?;
    fails(&world, &mut line, "zoe", &signature, "the certificate is for anna")?;
    world.registered("zoe")?.ask("/users", "zoe")?;
    Ok(())
}
