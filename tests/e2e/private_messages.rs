//! Private messages: sealed for two people, unreadable to the server and everybody else, and never sent to an
//! unproven key.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use parlour_tests::{World, outside};
use serde_json::{Value, json};

#[test]
fn a_library_that_knows_nothing_of_parlour_opens_what_the_server_keeps() -> Result<()> {
    let Some(python) = outside::jwcrypto()? else { return Ok(()) };
    let world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let texts = ["hey how are you?", "fine: ünïcödé 😀 \"\\", "tab\there"];
    for text in texts {
        sam.ask(&format!("@erik {text}"), &format!("{{}} sam: @erik {text}"))?;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("jose/open_message.py");
    let output = Command::new(python)
        .arg(script)
        .arg(world.database())
        .arg(world.root())
        .arg(world.profile("sam").join("account.key"))
        .arg(world.profile("erik").join("account.key"))
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let claims: Vec<Value> =
        String::from_utf8(output.stdout)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let expected: Vec<Value> =
        texts.iter().zip(0..).map(|(text, n)| json!(["sam", "erik", text, n])).collect();
    let found: Vec<Value> = claims.iter().map(|c| json!([c["from"], c["to"], c["text"], c["n"]])).collect();
    assert_eq!(found, expected);
    Ok(())
}

#[test]
fn a_machine_that_forgot_everything_reads_both_sides_again() -> Result<()> {
    let world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let mut erik = world.logged_in("erik")?;
    sam.ask("@erik one", "{} sam: @erik one")?;
    erik.expect("{} sam: @erik one")?;
    erik.ask("@sam two", "{} erik: @sam two")?;
    sam.expect("{} erik: @sam two")?;
    sam.ask("@erik three", "{} sam: @erik three")?;
    // Notes to oneself are a conversation too.
    sam.ask("@sam buy milk", "{} sam: @sam buy milk")?;
    sam.leave()?;
    erik.leave()?;
    for (name, has_notes) in [("sam", true), ("erik", false)] {
        for file in ["local.db", "local.key"] {
            std::fs::remove_file(world.profile(name).join(file))?;
        }
        // First from the server, then from the fetched messages.
        for _ in 0..2 {
            let mut client = world.logged_in(name)?;
            client.expect("{} sam: @erik one")?;
            client.expect("{} erik: @sam two")?;
            client.expect("{} sam: @erik three")?;
            if has_notes {
                client.expect("{} sam: @sam buy milk")?;
            }
            ensure!(client.leave()? == 0);
            client.process.out.expect_end()?;
        }
    }
    // A device that lost its chain begins a new one, and the other side sees that.
    let mut sam = world.logged_in("sam")?;
    sam.process.out.wait_for("{} sam: @sam buy milk")?;
    sam.ask("@erik four", "{} sam [the sender's device began a new chain of messages]: @erik four")?;
    sam.ask("@erik five", "{} sam: @erik five")?;
    Ok(())
}
