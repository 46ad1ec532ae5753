//! A server that is stopped by its operator, or told to read its keys again.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use parlour_tests::{World, in_time};

use super::lobby;

#[test]
fn a_server_that_is_stopped_says_goodbye_finishes_and_ends_well() -> Result<()> {
    let mut world = World::peopled()?;
    let mut sam = world.logged_in_line("sam")?;
    let mut erik = world.json_line("erik")?;
    let mut guest = world.line()?;
    guest.ask("/help", "/register {}")?;
    // The server does not wait for a connection that never does its handshake.
    let _silent = std::net::TcpStream::connect(world.address()?)?;
    let begun = Instant::now();
    world.stop_server()?;
    in_time("stopping", begun.elapsed(), Duration::from_secs(5))?;
    sam.expect("goodbye: server is stopping")?;
    sam.lines.expect_end()?;
    guest.expect("goodbye: server is stopping")?;
    guest.lines.expect_end()?;
    let goodbye = erik.lines.event("goodbye")?;
    ensure!(goodbye["reason"] == "stopping", "{goodbye}");
    erik.lines.expect_end()?;
    // Nothing of the database is left to be recovered.
    ensure!(!world.path("data/chat.db-wal").exists());
    Ok(())
}

#[test]
fn a_server_that_stops_answers_what_it_was_asked_before() -> Result<()> {
    let mut world = World::with().people().limit("commands_per_second=10000").start()?;
    let mut sam = world.logged_in_line("sam")?;
    let lines: Vec<String> = (1..=60).map(|n| format!("message {n}\n")).collect();
    sam.send(lines.concat().as_bytes())?;
    sam.expect("{} sam: message 1")?;
    world.stop_server()?;
    let mut said = sam.lines.rest()?;
    ensure!(said.pop().as_deref() == Some("goodbye: server is stopping"), "{said:?}");
    // All answered messages are stored, and all stored messages were answered.
    let kept = lobby(&world)?;
    ensure!(kept.len() == said.len() + 1, "{} answered, {} kept", said.len() + 1, kept.len());
    ensure!(said.iter().zip(&kept[1..]).all(|(line, text)| line.ends_with(text)), "{said:?} {kept:?}");
    Ok(())
}

#[test]
fn a_hangup_takes_up_a_new_certificate_and_disturbs_nobody() -> Result<()> {
    let mut world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let before = world.line()?.chain;
    world.mint_server_certificate()?;
    ensure!(world.line()?.chain == before, "nobody said that it should be read");
    world.server()?.signal(Signal::SIGHUP)?;
    world.server()?.wait_for_error("keys and certificates were read again")?;
    let after = world.line()?.chain;
    ensure!(after[0] != before[0] && after[1] == before[1], "the same certificate, or another root");

    // A bad certificate is not loaded.
    std::fs::write(world.path("keys/server/server.crt"), "garbage")?;
    world.server()?.signal(Signal::SIGHUP)?;
    world.server()?.wait_for_error("the old ones stay")?;
    ensure!(world.line()?.chain == after);
    sam.ask("still here", "{} sam: still here")?;
    ensure!(!sam.process.errors().contains("not connected"), "{}", sam.process.errors());
    ensure!(sam.leave()? == 0);
    Ok(())
}
