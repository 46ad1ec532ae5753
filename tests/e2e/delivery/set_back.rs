//! A server or a client that is replaced by an older copy of itself.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use parlour_tests::{Client, World};

/// Copies a folder.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("cp").arg("-rT").arg(from).arg(to).status()?;
    ensure!(status.success(), "no copy");
    Ok(())
}

#[test]
fn a_server_that_was_set_back_to_an_older_copy_is_noticed_and_what_is_new_is_shown() -> Result<()> {
    let mut world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let mut erik = world.logged_in("erik")?;
    let say = |sam: &mut Client, erik: &mut Client, text: &str| -> Result<()> {
        sam.ask(text, &format!("{{}} sam: {text}"))?;
        erik.process.out.wait_for(&format!("{{}} sam: {text}")).map(|_| ())
    };
    say(&mut sam, &mut erik, "one")?;
    say(&mut sam, &mut erik, "@erik two")?;
    world.stop_server()?;
    let (data, older) = (world.path("data"), world.path("older"));
    copy(&data, &older)?;
    world.start_server()?;
    say(&mut sam, &mut erik, "three")?;
    say(&mut sam, &mut erik, "@erik four")?;
    world.kill_server()?;
    std::fs::remove_dir_all(&data)?;
    std::fs::rename(&older, &data)?;
    world.start_server()?;
    for client in [&sam, &erik] {
        for conversation in ["#lobby", "@"] {
            client.process.wait_for_error(&format!("messages of {conversation}"))?;
        }
    }
    say(&mut sam, &mut erik, "five, in the place of three")?;
    // The clients still have the messages that the server lost, so the next one finds no gap before it.
    say(&mut sam, &mut erik, "@erik six")?;
    ensure!(sam.leave()? == 0 && erik.leave()? == 0);
    for (person, other) in [("sam", "@erik"), ("erik", "@sam")] {
        let direct = world.one_shot(person, &["history", other], "")?.out;
        let said: Vec<&str> = direct.iter().filter_map(|line| Some(line.split_once(" sam")?.1)).collect();
        ensure!(said == [": @erik two", " [set aside]: @erik four", ": @erik six"], "{direct:#?}");
    }
    Ok(())
}

#[test]
fn a_client_that_was_set_back_to_an_older_copy_goes_on_with_its_chain() -> Result<()> {
    let world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let mut erik = world.logged_in("erik")?;
    sam.ask("@erik one", "{} sam: @erik one")?;
    ensure!(sam.leave()? == 0);
    let older = world.path("older");
    copy(&world.profile("sam"), &older)?;
    let mut sam = world.logged_in("sam")?;
    sam.expect("{} sam: @erik one")?;
    sam.ask("@erik two", "{} sam: @erik two")?;
    ensure!(sam.leave()? == 0);
    std::fs::remove_dir_all(world.profile("sam"))?;
    copy(&older, &world.profile("sam"))?;
    let mut sam = world.logged_in("sam")?;
    for text in ["one", "two"] {
        sam.expect(&format!("{{}} sam: @erik {text}"))?;
    }
    sam.ask("@erik three", "{} sam: @erik three")?;
    for text in ["one", "two", "three"] {
        erik.expect(&format!("{{}} sam: @erik {text}"))?;
    }
    ensure!(sam.leave()? == 0 && erik.leave()? == 0);
    Ok(())
}
