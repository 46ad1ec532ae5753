//! Profiles: which server a client turns to with one, and what it says when something is wrong with its files.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use parlour_tests::{Client, World, run_to_end};

/// The servers that a client with its plain face has turned to.
fn turned_to(errors: &str) -> Vec<&str> {
    errors.lines().filter_map(|line| line.strip_prefix("connecting to ")).collect()
}

#[test]
fn a_client_turns_to_no_other_server_than_that_of_its_profile() -> Result<()> {
    let mut world = World::peopled()?;
    let address = world.address()?.to_string();
    let notes = format!("server = \"{address}\"\n");
    for person in ["sam", "erik"] {
        std::fs::write(world.profile(person).join("profile.toml"), &notes)?;
    }
    // Elsewhere than where keys/ttp/ca.crt is: all that is known stands in the profile.
    let elsewhere = tempfile::tempdir()?;
    let client = |keys: &Path, arguments: &[&str]| -> Result<Command> {
        let mut command = world.command("parlour")?;
        command.current_dir(elsewhere.path()).arg("--keys").arg(keys).args(arguments);
        Ok(command)
    };
    // The same device on another machine, where it is logged in.
    let copy = elsewhere.path().join("copy");
    std::fs::create_dir_all(copy.join("sam"))?;
    for entry in std::fs::read_dir(world.profile("sam"))? {
        let entry = entry?;
        std::fs::copy(entry.path(), copy.join("sam").join(entry.file_name()))?;
    }
    let first = world.logged_in("sam")?;
    let second =
        run_to_end("sam", &mut client(&copy, &["--plain", "--user", "sam"])?, "/register nils\n/exit\n")?;
    ensure!(
        second.out
            == ["error: user is already logged in", "Registration Succeeded", "Authentication Succeeded"],
        "{second:#?}"
    );
    ensure!(turned_to(&second.errors).iter().all(|server| *server == address), "{second:#?}");
    let noted = std::fs::read_to_string(copy.join("nils/profile.toml"))?;
    ensure!(noted == notes, "{noted}");
    drop(first);

    // One whose device is revoked.
    let mut erik = Client::start("erik", &mut client(&world.keys("erik"), &["--plain", "--user", "erik"])?)?;
    erik.expect("Authentication Succeeded")?;
    world.run_ttp(&["revoke", "erik"])?;
    erik.expect("error: the server closed the connection: this device was revoked")?;
    erik.ask("/register zoe", "Registration Succeeded")?;
    ensure!(turned_to(&erik.process.errors()).iter().all(|server| *server == address));
    drop(erik);

    let commands =
        [client(&copy, &["--plain", "--user", "sam"])?, client(&copy, &["users", "--user", "sam"])?];
    world.stop_server()?;
    for mut command in commands {
        let finished = run_to_end("sam", &mut command, "")?;
        let error = finished.error()?;
        ensure!(
            finished.code == 2 && error == format!("error: cannot reach {address}: connection refused"),
            "{error}"
        );
        ensure!(turned_to(&finished.errors).iter().all(|server| *server == address), "{finished:#?}");
    }
    Ok(())
}
