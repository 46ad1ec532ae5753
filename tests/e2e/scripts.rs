//! The client without a person: one-shot commands, pipes, and programs that speak json with it.

mod json;
mod one_shot;
mod plain;

use anyhow::{Result, ensure};
use parlour_tests::{World, run_to_end};
use serde_json::json;

/// The text of the newest message that the server stores, if it is public.
fn newest(world: &World) -> Result<Option<String>> {
    let database = rusqlite::Connection::open(world.database())?;
    Ok(database.query_row("SELECT text FROM messages ORDER BY rowid DESC LIMIT 1", [], |row| row.get(0))?)
}

fn ends_with(line: &str, end: &str) -> Result<()> {
    ensure!(line.ends_with(end), "{line:?} does not end with {end:?}");
    Ok(())
}

#[test]
fn a_profile_has_one_client_and_a_second_is_told() -> Result<()> {
    let world = World::peopled()?;
    let mut first = world.logged_in("sam")?;
    let mut second = world.client("sam")?;
    second.ask("/login sam", "error: user is already logged in")?;
    second.process.wait_for_error("hint: another client on this machine is logged in with these keys")?;
    second.ask("/users", "error: command not currently available")?;
    ensure!(second.leave()? == 1);
    let mut robot = world.robot("sam", &[])?;
    let answer = robot.call(&json!({"id": 1, "do": "login", "name": "sam"}))?;
    assert_eq!(answer["error"]["code"], "already_logged_in");
    first.ask("/users", "sam")?;
    ensure!(first.leave()? == 0);
    let answer = robot.call(&json!({"id": 2, "do": "login", "name": "sam"}))?;
    assert_eq!(answer["ok"], "logged_in");
    Ok(())
}

#[test]
fn options_come_from_the_environment_and_from_a_file_too() -> Result<()> {
    let world = World::peopled()?;
    std::fs::write(
        world.path("parlour.toml"),
        format!(
            "server = \"{}\"\nkeys = \"people/sam\"\nca = \"keys/ttp/ca.crt\"\nuser = \"sam\"\n",
            world.address()?
        ),
    )?;
    let mut command = world.command("parlour")?;
    let finished = run_to_end("sam", command.args(["--config", "parlour.toml", "--plain"]), "/users")?;
    assert_eq!(finished.out, ["Authentication Succeeded", "sam"]);
    // The environment takes precedence over the file, and the command line over both.
    let mut command = world.command("parlour")?;
    command
        .env("PARLOUR_CONFIG", "parlour.toml")
        .env("PARLOUR_KEYS", "people/erik")
        .env("PARLOUR_USER", "anna");
    let finished = run_to_end("erik", command.args(["--plain", "--user", "erik"]), "/users")?;
    assert_eq!(finished.out, ["Authentication Succeeded", "erik"]);
    Ok(())
}
