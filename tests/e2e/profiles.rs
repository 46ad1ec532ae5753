//! Profiles: the server that a client connects to with one, and the errors when its files are wrong.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use parlour_tests::{Client, Terminal, World, run_to_end, wait_until};

/// The servers that a client with its plain face has connected to.
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
    // In a folder without keys/ttp/ca.crt: only the profile has the necessary data.
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

    // A user whose device is revoked.
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

#[test]
fn a_command_that_is_not_for_now_or_not_for_lines_says_so() -> Result<()> {
    let mut world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let help = sam.ask("/help", "/register {}")?;
    ensure!(!help.contains("/open") && help.contains("/trust NAME"), "{help}");
    sam.ask("/open #lobby", "error: /open is for the terminal")?;
    sam.process.wait_for_error("hint: in plain lines a text goes to #lobby, and @NAME TEXT to NAME")?;
    for line in ["/login sam", "/register zoe"] {
        sam.ask(line, "error: command not currently available")?;
    }
    sam.ask("/users", "sam")?;
    // Hints come by another pipe than answers.
    let hint = "hint: you are logged in as sam; /exit, and start again";
    wait_until("both hints", || Ok(sam.process.errors().matches(hint).count() == 2))?;
    let errors = sam.process.errors();
    ensure!(!errors.contains("/login NAME"), "{errors}");
    // There was none before the first, and the second finds the same.
    for (line, said) in [
        ("/trust erik", "the account key of erik is trusted from here on"),
        ("/trust erik", "the account key of erik has not changed: there was nothing to accept"),
    ] {
        sam.type_line(line)?;
        sam.process.wait_for_error(said)?;
    }
    world.stop_server()?;
    sam.process.wait_for_error("trying again in")?;
    sam.ask("/users", "error: not connected to the server")?;
    Ok(())
}

/// Runs sam's plain client, which must fail; returns its one line of error, and its hint.
fn refused(world: &World) -> Result<(String, String)> {
    let mut command = world.client_command("sam")?;
    let finished = run_to_end("sam", command.args(["--plain", "--user", "sam"]), "/users\n")?;
    ensure!(finished.code == 2 && finished.out.is_empty(), "{finished:#?}");
    Ok((finished.error()?.to_owned(), finished.hint()))
}

#[test]
fn keys_that_others_can_read_are_not_used_until_that_is_mended() -> Result<()> {
    let world = World::peopled()?;
    for file in ["device.key", "seal.key", "account.key", "local.key"] {
        let path = world.profile("sam").join(file);
        std::fs::set_permissions(&path, Permissions::from_mode(0o644))?;
        let (error, hint) = refused(&world)?;
        ensure!(error == format!("error: {}: others than its owner can read it", path.display()), "{error}");
        ensure!(hint == format!("hint: 'chmod 600 {}' takes that away", path.display()), "{hint}");
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    }
    world.logged_in("sam")?;
    Ok(())
}

#[test]
fn a_profile_in_which_something_is_missing_says_what_mends_it() -> Result<()> {
    let world = World::peopled()?;
    let profile = world.profile("sam");
    let away = |file: &str, check: &dyn Fn(&Path) -> Result<()>| -> Result<()> {
        let path = profile.join(file);
        std::fs::rename(&path, world.path(file))?;
        check(&path)?;
        ensure!(!path.exists(), "another {file} was made");
        std::fs::rename(world.path(file), &path)?;
        Ok(())
    };
    for file in ["device.key", "account.key"] {
        away(file, &|path| {
            let (error, hint) = refused(&world)?;
            ensure!(error == format!("error: {}: is missing", path.display()), "{error}");
            ensure!(hint.starts_with("hint: put it back from a copy"), "{hint}");
            Ok(())
        })?;
    }
    away("device.key", &|_| {
        let mut sam = world.client("sam")?;
        sam.ask("/register sam", &format!("error: {}: is there already", profile.display()))?;
        sam.process.wait_for_error("hint: nothing in it is overwritten: put back what is missing")
    })?;
    away("local.key", &|path| {
        let (error, hint) = refused(&world)?;
        let said = "is missing, and local.db does not open without it";
        ensure!(error == format!("error: {}: {said}", path.display()), "{error}");
        ensure!(hint.contains("put it back from a copy; if there is none, move local.db"), "{hint}");
        Ok(())
    })?;
    world.logged_in("sam")?;
    std::fs::write(profile.join("local.db"), "no database ".repeat(800))?;
    let (error, hint) = refused(&world)?;
    ensure!(error.starts_with("error: the local history, local.db, is damaged: "), "{error}");
    ensure!(hint.starts_with("hint: move local.db"), "{hint}");
    let mut robot = world.robot("sam", &["--user", "sam"])?;
    let told = robot.process.out.event("logged_out")?;
    ensure!(told["error"]["code"] == "damaged" && told["error"]["hint"].is_string(), "{told}");
    ensure!(robot.leave()? == 1);
    Ok(())
}

#[test]
fn files_that_others_can_change_are_not_used_until_that_is_mended() -> Result<()> {
    let world = World::peopled()?;
    let bad = |path: &Path, mode: u32| -> Result<()> {
        let before = std::fs::metadata(path)?.permissions();
        std::fs::set_permissions(path, Permissions::from_mode(mode))?;
        let (error, hint) = refused(&world)?;
        ensure!(
            error == format!("error: {}: others than its owner can change it", path.display()),
            "{error}"
        );
        ensure!(
            hint.starts_with(&format!("hint: 'chmod go-w {}' takes that away", path.display())),
            "{hint}"
        );
        Ok(std::fs::set_permissions(path, before)?)
    };
    for file in ["ca.crt", "device.crt", "account.crt", "profile.toml"] {
        bad(&world.profile("sam").join(file), 0o646)?;
    }
    for file in ["device.key", "account.key", "local.key"] {
        bad(&world.profile("sam").join(file), 0o602)?;
    }
    for folder in [world.profile("sam"), world.keys("sam")] {
        bad(&folder, 0o703)?;
    }
    // The root that is named on the command line, and the file of options.
    bad(&world.root(), 0o646)?;
    let options = world.path("parlour.toml");
    std::fs::write(&options, "user = \"sam\"\n")?;
    std::fs::set_permissions(&options, Permissions::from_mode(0o666))?;
    let mut command = world.client_command("sam")?;
    let finished = run_to_end("sam", command.arg("--config").arg(&options), "")?;
    let error = format!("error: {}: others than its owner can change it", options.display());
    ensure!(finished.code == 2 && finished.error()? == error, "{finished:#?}");
    world.logged_in("sam")?;
    Ok(())
}

#[test]
fn the_only_user_gives_the_server_and_is_logged_in_on_a_terminal() -> Result<()> {
    let world = World::peopled()?;
    let address = world.address()?.to_string();
    std::fs::write(world.profile("sam").join("profile.toml"), format!("server = \"{address}\"\n"))?;
    let elsewhere = tempfile::tempdir()?;
    let client = |arguments: &[&str]| -> Result<Command> {
        let mut command = world.command("parlour")?;
        command.current_dir(elsewhere.path()).arg("--keys").arg(world.keys("sam")).args(arguments);
        command.env("TERM", "xterm-256color");
        Ok(command)
    };
    // Lines log in only when they are told to.
    let plain = run_to_end("sam", &mut client(&["--plain"])?, "")?;
    ensure!(plain.code == 0 && plain.out.is_empty() && turned_to(&plain.errors) == [address], "{plain:#?}");
    let guest = |terminal: &mut Terminal| terminal.wait_for("/register", b"");
    guest(&mut Terminal::of(client(&["--guest"])?, (24, 100))?)?;
    // Another name of a server is another server, as far as can be known.
    let mut named = client(&[&format!("localhost:{}", world.address()?.port())])?;
    named.arg("--ca").arg(world.root());
    guest(&mut Terminal::of(named, (24, 100))?)?;
    let mut first = Terminal::of(client(&[])?, (24, 100))?;
    first.wait_for("--guest", b"")?;
    first.wait_for("#lobby>", b"")?;
    // A user with a second profile is a guest there, as before.
    guest(&mut Terminal::of(client(&[])?, (24, 100))?)?;
    Ok(())
}
