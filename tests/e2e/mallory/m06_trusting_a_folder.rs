//! 6: use a bad certificate. Here: a folder of Mallory's, with a root and a user's keys where the client looks for those of
//! a server on this machine.
//!
//! Bites: named on the command line, the same root and the same keys are used.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Result, ensure};
use parlour_tests::{Finished, World, run_to_end};

/// A name of this machine that is not loopback: it stands for a server elsewhere.
const ELSEWHERE: &str = "0.0.0.0";

/// Mallory's server, which can be reached under both kinds of names.
fn world() -> Result<World> {
    let mut world = World::with().people().prepare()?;
    world.run_ttp(&["server-cert", "--host", "localhost", "--host", "127.0.0.1", "--host", ELSEWHERE])?;
    world.start_ttp()?;
    world.start_server()?;
    Ok(world)
}

/// Runs the client in Mallory's folder, as somebody who has unpacked it.
fn in_folder(world: &World, arguments: &[&str]) -> Result<Finished> {
    let mut command = world.command("parlour")?;
    command.env("HOME", world.path("home")).env_remove("XDG_DATA_HOME");
    run_to_end("client", command.args(arguments), "")
}

#[test]
fn a_root_in_the_current_folder_is_for_this_machine_alone_and_is_named() -> Result<()> {
    let world = world()?;
    let port = world.address()?.port();
    let (elsewhere, here) = (format!("{ELSEWHERE}:{port}"), format!("127.0.0.1:{port}"));
    let refused = in_folder(&world, &[&elsewhere, "--plain", "--keys", "new"])?;
    ensure!(refused.error()? == "error: no certificate authority is known", "{refused:#?}");
    ensure!(!world.server_log().contains(" connected "), "there was a connection");

    let named = in_folder(&world, &[&elsewhere, "--plain", "--keys", "new", "--ca", "keys/ttp/ca.crt"])?;
    ensure!(named.code == 0, "{named:#?}");

    let root = world.run_ttp(&["show"])?;
    let guest = in_folder(&world, &[&here, "--plain", "--keys", "new"])?;
    let said = "the root in keys/ttp/ca.crt of this folder is trusted: ";
    let named = guest.errors.lines().find_map(|line| line.strip_prefix(said));
    ensure!(guest.code == 0 && named.is_some_and(|named| root.contains(named)), "{guest:#?}\n{root}");

    for (path, bad, good) in
        [("keys/ttp/ca.crt", 0o646, 0o644), ("keys/ttp", 0o703, 0o700), ("keys", 0o777, 0o755)]
    {
        std::fs::set_permissions(world.path(path), Permissions::from_mode(bad))?;
        let refused = in_folder(&world, &[&here, "--plain", "--keys", "new"])?;
        let error = format!("error: {path}: others than its owner can change it");
        ensure!(refused.code == 2 && refused.error()? == error, "{path}: {refused:#?}");
        ensure!(refused.hint().starts_with(&format!("hint: 'chmod go-w {path}'")), "{refused:#?}");
        std::fs::set_permissions(world.path(path), Permissions::from_mode(good))?;
    }
    if nix::unistd::geteuid().is_root() {
        let stranger = Some(nix::unistd::Uid::from_raw(12_345));
        nix::unistd::chown(&world.path("keys/ttp"), stranger, None)?;
        let refused = in_folder(&world, &[&here, "--plain", "--keys", "new"])?;
        ensure!(refused.error()? == "error: keys/ttp: belongs to somebody else", "{refused:#?}");
        nix::unistd::chown(&world.path("keys/ttp"), Some(nix::unistd::geteuid()), None)?;
    }
    let guest = in_folder(&world, &[&here, "--plain", "--keys", "new"])?;
    ensure!(guest.code == 0, "{guest:#?}");
    Ok(())
}

#[test]
fn keys_in_the_current_folder_lead_to_no_server_elsewhere() -> Result<()> {
    let world = world()?;
    let port = world.address()?.port();
    std::fs::rename(world.keys("sam"), world.path("keys/clients"))?;
    let notes = world.path("keys/clients/sam/profile.toml");
    std::fs::write(&notes, format!("server = \"{ELSEWHERE}:{port}\"\n"))?;
    for arguments in [["--user", "sam", "users"], ["--user", "sam", "--plain"]] {
        let refused = in_folder(&world, &arguments)?;
        let error = refused.error()?;
        ensure!(
            error.contains(&format!("these keys are for {ELSEWHERE}:{port}, and keys that lie in")),
            "{error}"
        );
        ensure!(refused.hint() == "hint: if they are yours, name them: --keys keys/clients", "{refused:#?}");
    }
    // A server elsewhere that is named has other keys: the user's own, of which there are none yet.
    let refused = in_folder(&world, &[&format!("{ELSEWHERE}:{port}"), "--user", "sam", "users"])?;
    ensure!(refused.hint().contains("there are no keys for sam in "), "{refused:#?}");
    ensure!(!refused.hint().contains("keys/clients"), "{refused:#?}");
    ensure!(!world.server_log().contains("logged in"), "somebody logged in");

    let named = in_folder(&world, &["--user", "sam", "--keys", "keys/clients", "users"])?;
    ensure!(named.out == ["sam"], "{named:#?}");
    std::fs::write(&notes, format!("server = \"127.0.0.1:{port}\"\n"))?;
    let here = in_folder(&world, &["--user", "sam", "users"])?;
    ensure!(here.out == ["sam"], "{here:#?}");
    Ok(())
}
