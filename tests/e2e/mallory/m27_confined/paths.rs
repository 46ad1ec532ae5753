//! Paths where names belong.

use anyhow::{Result, ensure};
use parlour_tests::World;
use serde_json::json;

#[test]
fn a_path_in_the_place_of_a_name_is_refused_and_makes_no_file() -> Result<()> {
    let world = World::peopled()?;
    let before = files(&world)?;
    let paths =
        ["../sam", "/etc/passwd", "..", ".", "sam/../erik", "a\\b", "~", "file:///etc/passwd", "%2e%2e%2f"];
    let mut guest = world.line()?;
    let mut sam = world.json_line("sam")?;
    let mut erik = world.logged_in_line("erik")?;
    for path in paths {
        guest.ask(&format!("/register {path} a.b.c"), "error: {}")?;
        guest.ask(&format!("/login {path} AAAA"), "error: {}")?;
        let id = "01a1fdab-1471-7725-b0bb-a37fc1d39b82";
        erik.ask(&format!("@{path} x"), "error: {}")?;
        for command in [
            json!({"id": 1, "cmd": "post", "to": format!("#{path}"), "message_id": id, "text": "x"}),
            json!({"id": 1, "cmd": "post", "to": format!("@{path}"), "message_id": id, "sealed": {}}),
            json!({"id": 1, "cmd": "post", "to": "#lobby", "message_id": path, "text": "x"}),
            json!({"id": 1, "cmd": "history", "conversation": format!("@{path}"), "limit": 1}),
            json!({"id": 1, "cmd": "history", "conversation": format!("#{path}"), "limit": 1}),
            json!({"id": 1, "cmd": "account", "name": path}),
            json!({"id": 1, "cmd": "dialect", "dialect": path}),
            json!({"id": 1, "cmd": path}),
        ] {
            let answer = sam.call(&command)?;
            ensure!(answer.get("error").is_some(), "{command}: {answer}");
        }
    }
    ensure!(files(&world)? == before, "files came or went: {before:#?}");
    Ok(())
}

/// Every file of the server and the TTP, except those that SQLite keeps beside its databases.
fn files(world: &World) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![world.folder().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if !entry.file_name().to_string_lossy().contains(".db-") {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}
