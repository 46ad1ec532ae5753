//! A user who may not look, or looks in the wrong place, is told so, without harmful advice.

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result, ensure};
use nix::unistd::{User, geteuid};
use parlour_tests::{Finished, World, run_to_end};
use serde_json::Value;

use super::{check, one, server, set_mode, wrong};

/// The advice for each fault, after its name.
fn fixes(finished: &Finished) -> Result<Vec<String>> {
    let mut fixes = Vec::new();
    for line in &finished.out {
        let finding: Value = serde_json::from_str(line)?;
        let text = |field| finding.get(field).and_then(Value::as_str);
        if let (Some(what), Some(fix)) = (text("what"), text("fix")) {
            fixes.push(format!("{what}: {fix}"));
        }
    }
    Ok(fixes)
}

/// Runs one of our programs as the user.
fn run_as(user: &User, world: &World, program: &str, arguments: &[&str]) -> Result<Finished> {
    let mut command = world.command(program)?;
    command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    run_to_end(program, command.args(arguments), "")
}

#[test]
fn a_user_who_may_not_look_is_told_so_and_nothing_else() -> Result<()> {
    if !geteuid().is_root() {
        println!("skipped: only root can become somebody else");
        return Ok(());
    }
    let user = User::from_name("nobody")?.context("there is no user 'nobody'")?;
    let mut world = World::with().people().metrics().start()?;
    set_mode(world.folder(), 0o755)?;
    let (address, metrics) = (world.address()?.to_string(), world.metrics()?.to_string());
    let all = ["check", "--json", "--listen", &address, "--metrics", &metrics, "--keys", "keys/server"];
    let all = [&all[..], &["--ttp", "keys/ttp/ttp.sock", "--data", "data"]].concat();
    let finished = run_as(&user, &world, "parlour-server", &all)?;
    let found = wrong("server", &finished)?;
    ensure!(found.len() == 6, "{found:#?}");
    ensure!(found.iter().all(|line| line.contains(": this user may not look at ")), "{found:#?}");
    let fixed = fixes(&finished)?;
    ensure!(
        fixed.iter().all(|fix| fix.ends_with(": run this as the program's user, or as root")),
        "{fixed:#?}"
    );

    // A readable file is not enough.
    world.stop_server()?;
    set_mode(&world.path("data"), 0o755)?;
    set_mode(&world.database(), 0o644)?;
    let finished = run_as(&user, &world, "parlour-server", &["check", "--json", "--data", "data"])?;
    let fixed = fixes(&finished)?;
    ensure!(!fixed.iter().any(|fix| fix.contains("restore")), "{fixed:#?}");
    set_mode(&world.path("data"), 0o700)?;

    let arguments = ["check", "--json", "--keys", "keys"];
    let finished = run_as(&user, &world, "parlour-ttp", &arguments)?;
    let fixed = fixes(&finished)?;
    ensure!(!fixed.is_empty() && fixed.iter().all(|fix| fix.contains(": run ")), "{finished:#?}");
    set_mode(&world.path("keys"), 0o700)?;
    let finished = run_as(&user, &world, "parlour-ttp", &arguments)?;
    one(&wrong("ttp", &finished)?, "keys: this user may not look at keys/ttp")?;

    for arguments in [
        &["audit", "--data", "data"][..],
        &["audit", "verify", "--data", "data"],
        &["backup", "a.age", "--data", "data", "--recipient", RECIPIENT],
    ] {
        let finished = run_as(&user, &world, "parlour-server", arguments)?;
        ensure!(finished.code == 2, "{finished:#?}");
        ensure!(finished.error()?.starts_with("error: cannot look at data/chat.db: "), "{finished:#?}");
        ensure!(finished.hint().contains("run "), "{finished:#?}");
    }
    let finished = run_as(&user, &world, "parlour-ttp", &["show", "--keys", "keys"])?;
    ensure!(finished.code == 2 && finished.error()?.contains("Permission denied"), "{finished:#?}");
    Ok(())
}

/// Nobody has its key.
const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

#[test]
fn a_folder_that_is_not_there_is_said_to_be_missing() -> Result<()> {
    let world = World::with().prepare()?;
    for (program, option, expected) in [
        ("parlour-server", "--data", "data: there is no folder nowhere"),
        ("parlour-ttp", "--keys", "keys: there is no folder nowhere/ttp"),
    ] {
        let finished = check(&world, program, &[option, "nowhere"])?;
        one(&wrong(program, &finished)?, expected)?;
        let fixed = fixes(&finished)?;
        ensure!(fixed.iter().all(|fix| fix.contains(option) && !fix.contains("restore")), "{fixed:#?}");
    }
    ensure!(!world.path("nowhere").exists(), "something was made");
    Ok(())
}

#[test]
fn a_servers_own_addresses_are_not_taken_for_each_other() -> Result<()> {
    let world = World::with().metrics().start()?;
    let (address, metrics) = (world.address()?.to_string(), world.metrics()?.to_string());
    let right = server(&world, &["--metrics", &metrics])?;
    ensure!(right.is_empty(), "{right:#?}");
    let found =
        wrong("server", &check(&world, "parlour-server", &["--data", "data", "--metrics", &address])?)?;
    one(&found, &format!("metrics: the server listens on {address} for clients"))?;
    let found =
        wrong("server", &check(&world, "parlour-server", &["--data", "data", "--listen", &metrics])?)?;
    one(&found, &format!("port: the server listens on {metrics} for the operator"))?;
    Ok(())
}
