//! 15: go on using a stolen device.
//!
//! Bites: the device is logged in until it is revoked. With the server's `dismiss` and `check_revoked` switched
//! off, its session continued, and it could log in again.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use parlour_tests::{World, in_time, wait_until};

use super::{fails, user, wait_for_log};

const DAY: i64 = 24 * 60 * 60;

#[test]
fn a_revoked_device_is_out_within_a_second_and_stays_out() -> Result<()> {
    let mut world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let mut anna = world.logged_in_line("anna")?;
    let mut erik = world.logged_in_line("erik")?;
    world.run_ttp(&["revoke", "sam"])?;
    world.run_ttp(&["revoke", "anna"])?;
    let revoked = Instant::now();
    anna.expect("goodbye: this device was revoked")?;
    anna.lines.expect_end()?;
    sam.expect("error: the server closed the connection: this device was revoked")?;
    in_time("ending their sessions", revoked.elapsed(), Duration::from_secs(1))?;
    // The others are still online, and these two are not.
    erik.ask("/users", "erik")?;
    sam.ask("/users", "error: command not currently available")?;
    sam.ask("/login sam", "error: invalid credentials")?;
    ensure!(sam.leave()? == 1);

    // The server has stored the revocation, and needs no TTP to enforce it.
    world.kill_ttp()?;
    world.kill_server()?;
    world.start_server()?;
    let mut line = world.line_as("anna")?;
    let signature = line.signature(&world.profile("anna"), &user("anna")?)?;
    fails(&world, &mut line, "anna", &signature, "the device is revoked")
}

#[test]
fn a_device_that_was_revoked_while_the_server_was_down_does_not_come_back() -> Result<()> {
    let mut world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    world.kill_server()?;
    world.run_ttp(&["revoke", "sam"])?;
    world.start_server()?;
    wait_for_log(&world, "a device was revoked")?;
    // Sam's client was reconnecting: it is either refused, or disconnected again and then refused.
    sam.process.out.wait_for("error: {}")?;
    let mut erik = world.logged_in_line("erik")?;
    wait_until("sam is out", || Ok(erik.ask("/users", "{}")? == "erik"))?;
    let mut line = world.line_as("sam")?;
    let signature = line.signature(&world.profile("sam"), &user("sam")?)?;
    fails(&world, &mut line, "sam", &signature, "the device is revoked")
}

#[test]
fn a_revoked_device_is_not_renewed() -> Result<()> {
    let world = World::with().people().clock_offset(30 * DAY).start()?;
    world.run_ttp(&["revoke", "sam"])?;
    let before = std::fs::read(world.profile("sam").join("device.crt"))?;
    let mut sam = world.client("sam")?;
    sam.ask("/login sam", "error: invalid credentials")?;
    ensure!(std::fs::read(world.profile("sam").join("device.crt"))? == before);
    Ok(())
}

#[test]
fn a_ttp_that_was_set_back_revokes_all_the_same() -> Result<()> {
    let mut world = World::peopled()?;
    let (database, older) = (world.path("keys/ttp/ttp.db"), world.path("older.db"));
    world.stop_ttp()?;
    std::fs::copy(&database, &older)?;
    world.start_ttp()?;
    let mut sam = world.logged_in_line("sam")?;
    let mut anna = world.logged_in_line("anna")?;
    world.run_ttp(&["revoke", "sam"])?;
    sam.expect("goodbye: this device was revoked")?;
    world.stop_ttp()?;
    std::fs::copy(&older, &database)?;
    world.start_ttp()?;
    // It gets the number of the revocation of sam's device.
    world.run_ttp(&["revoke", "anna"])?;
    anna.expect("goodbye: this device was revoked")?;
    wait_for_log(&world, "the TTP uses the number of another revocation; both are in force")?;
    for name in ["sam", "anna"] {
        let mut line = world.line_as(name)?;
        let signature = line.signature(&world.profile(name), &user(name)?)?;
        fails(&world, &mut line, name, &signature, "the device is revoked")?;
    }
    Ok(())
}
