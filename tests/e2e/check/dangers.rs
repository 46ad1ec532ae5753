//! Unsafe settings are refused unless they are explicitly allowed.

use std::process::Stdio;

use anyhow::{Result, ensure};
use parlour_tests::{Process, World, free_address, run_to_end};

use super::set_mode;

#[test]
fn unsafe_settings_are_refused_until_they_are_allowed_by_name() -> Result<()> {
    let mut world = World::with().prepare()?;
    std::fs::create_dir(world.path("data"))?;
    let refuses = |world: &World, arguments: &[&str], name: &str| {
        let mut command = world.server_command(&free_address()?.to_string())?;
        let finished = run_to_end("server", command.args(arguments), "")?;
        ensure!(finished.code == 2, "{finished:#?}");
        finished.error()?;
        let hint = finished.hint();
        ensure!(hint.ends_with(&format!("write allow-unsafe = [\"{name}\"] in the file")), "{hint}");
        Ok::<_, anyhow::Error>(())
    };
    let (key, data) = (world.path("keys/server/server.key"), world.path("data"));
    set_mode(&key, 0o640)?;
    refuses(&world, &[], "world-readable-keys")?;
    set_mode(&key, 0o600)?;
    set_mode(&data, 0o770)?;
    refuses(&world, &[], "writable-data")?;
    set_mode(&data, 0o700)?;
    let folder = world.path("keys/server");
    set_mode(&folder, 0o770)?;
    refuses(&world, &[], "writable-keys")?;
    set_mode(&folder, 0o700)?;
    set_mode(&key, 0o620)?;
    refuses(&world, &[], "writable-keys")?;
    set_mode(&key, 0o600)?;
    for limits in [&["connections=100", "connections_per_address=100"][..], &["guests_per_address=5000"]] {
        let mut command = world.command("parlour-server")?;
        command.args(["run", "--listen", "0.0.0.0:0", "--keys", "keys/server", "--data", "data"]);
        let limits = limits.iter().flat_map(|limit| ["--limit", limit]);
        let finished = run_to_end("server", command.args(limits), "")?;
        ensure!(finished.code == 2 && finished.hint().contains("public-without-limits"), "{finished:#?}");
    }

    for (file, mode, safe, name) in [
        ("ca.key", 0o604, 0o600, "world-readable-keys"),
        ("log.key", 0o640, 0o600, "world-readable-keys"),
        ("log.key", 0o620, 0o600, "writable-data"),
        ("ttp.db", 0o640, 0o600, "world-readable-data"),
        ("ttp.db", 0o602, 0o600, "writable-data"),
        ("", 0o731, 0o711, "writable-data"),
    ] {
        let path = world.path("keys/ttp").join(file);
        set_mode(&path, mode)?;
        let refused = world.try_ttp(&["serve"])?;
        let said = String::from_utf8_lossy(&refused.stderr);
        let allowed_by = format!("allow-unsafe = [\"{name}\"]");
        ensure!(refused.status.code() == Some(2) && said.contains(&allowed_by), "{file} {mode:o}: {said}");
        set_mode(&path, safe)?;
    }
    // If they are explicitly allowed, the programs start.
    set_mode(&key, 0o640)?;
    std::fs::write(world.path("server.toml"), "allow-unsafe = [\"world-readable-keys\"]")?;
    let mut command = world.server_command(&world.address()?.to_string())?;
    command.args(["--config", "server.toml"]);
    let mut process = Process::start("server", &mut command, Stdio::null())?;
    process.out.expect("listening on {}")?;
    process.crash()?;
    set_mode(&key, 0o600)?;
    set_mode(&world.path("keys/ttp"), 0o733)?;
    let mut command = world.command("parlour-ttp")?;
    command.args(["serve", "--keys", "keys", "--allow-unsafe", "writable-data"]);
    let mut ttp = Process::start("ttp", &mut command, Stdio::null())?;
    ttp.out.expect("serving on {}")?;
    ensure!(ttp.errors().contains("allowed=\"writable-data\""), "{}", ttp.errors());
    ttp.crash()?;
    set_mode(&world.path("keys/ttp"), 0o711)?;
    world.start_server()?;
    Ok(())
}
