//! Registering a name: the keys that are made, and that no crash, race or stranger takes the name from its owner.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use parlour_tests::{World, outside, run_to_end, wait_until};

/// The files in a folder, with their modes.
fn modes(folder: &Path) -> Result<BTreeMap<String, u32>> {
    std::fs::read_dir(folder)?
        .map(|entry| {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Ok((name, entry.metadata()?.permissions().mode() & 0o777))
        })
        .collect()
}

fn mode(path: &Path) -> Result<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o777)
}

#[test]
fn a_profile_holds_exactly_its_files_and_keys_are_its_owners_alone() -> Result<()> {
    let world = World::with().start()?;
    let mut command = world.client_command("sam")?;
    command.arg("--plain");
    // The umask of the caller neither removes necessary modes nor adds any.
    let name = "a-name-of-thirty-two-characters-";
    let sam = run_to_end("sam", &mut command, &format!("/register {name}\n"))?;
    ensure!(sam.code == 0 && sam.out == ["Registration Succeeded", "Authentication Succeeded"], "{sam:#?}");
    let profile = world.keys("sam").join(name);
    let expected = [
        ("account.crt", 0o644),
        ("account.key", 0o600),
        ("ca.crt", 0o644),
        ("device.crt", 0o644),
        ("device.key", 0o600),
        ("local.db", 0o600),
        ("local.key", 0o600),
        ("lock", 0o600),
        ("profile.toml", 0o644),
        ("seal.key", 0o600),
    ];
    assert_eq!(modes(&profile)?, expected.map(|(name, mode)| (name.to_owned(), mode)).into());
    assert_eq!((mode(&profile)?, mode(&world.keys("sam"))?), (0o700, 0o700));
    assert_eq!(modes(&world.keys("sam").join(".pending"))?, BTreeMap::new());
    Ok(())
}

#[test]
fn openssl_reads_the_keys_and_verifies_the_certificates() -> Result<()> {
    let Some(openssl) = outside::openssl()? else { return Ok(()) };
    let world = World::with().people().prepare()?;
    let profile = world.profile("sam");
    let run = |arguments: &[&str]| {
        let output = Command::new(&openssl).current_dir(&profile).args(arguments).output()?;
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {said}");
        Ok::<_, anyhow::Error>(said.into_owned())
    };
    for (key, said) in [("device.key", "prime256v1"), ("seal.key", "prime256v1"), ("account.key", "3072 bit")]
    {
        let pem = std::fs::read_to_string(profile.join(key))?;
        ensure!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{key} is not PKCS#8 in PEM");
        let text = run(&["pkey", "-in", key, "-noout", "-text"])?;
        ensure!(text.contains(said), "{key}: {text}");
    }
    for (certificate, key) in [("device.crt", "device.key"), ("account.crt", "account.key")] {
        let of_certificate = run(&["x509", "-in", certificate, "-noout", "-pubkey"])?;
        ensure!(of_certificate == run(&["pkey", "-in", key, "-pubout"])?, "{certificate} is not for {key}");
        ensure!(run(&["verify", "-CAfile", "ca.crt", certificate])?.contains("OK"));
    }
    ensure!(run(&["verify", "-purpose", "sslclient", "-CAfile", "ca.crt", "device.crt"])?.contains("OK"));
    let subject = run(&["x509", "-in", "device.crt", "-noout", "-subject", "-ext", "subjectAltName"])?;
    ensure!(subject.contains("CN = sam") && subject.contains("URI:parlour:sam/"), "{subject}");
    Ok(())
}

#[test]
fn an_attempt_that_the_ttp_did_not_hear_is_taken_up_with_the_same_keys() -> Result<()> {
    let mut world = World::with().start()?;
    let pending = world.keys("sam").join(".pending/sam");
    world.stop_ttp()?;
    let mut sam = world.client("sam")?;
    sam.ask("/register sam", "error: certificates cannot be issued now, try again later")?;
    ensure!(sam.leave()? == 1);
    let keys = ["device.key", "seal.key", "account.key"];
    let before = keys.map(|key| std::fs::read(pending.join(key)).ok());
    ensure!(before.iter().all(Option::is_some), "the keys of the attempt are not kept");
    ensure!(modes(&pending)?.values().all(|mode| *mode == 0o600), "{:?}", modes(&pending)?);
    ensure!(!world.profile("sam").exists());

    world.start_ttp()?;
    let mut sam = world.registered("sam")?;
    ensure!(sam.leave()? == 0);
    ensure!(keys.map(|key| std::fs::read(world.profile("sam").join(key)).ok()) == before, "other keys");
    ensure!(!pending.exists(), "the attempt was left behind");
    Ok(())
}

#[test]
fn an_attempt_whose_answer_was_lost_is_finished_weeks_later_with_the_same_keys() -> Result<()> {
    let mut world = World::with().start()?;
    let pending = world.keys("sam").join(".pending/sam");
    world.stop_ttp()?;
    let mut sam = world.client("sam")?;
    sam.ask("/register sam", "error: certificates cannot be issued now, try again later")?;
    ensure!(sam.leave()? == 1);
    let key = std::fs::read(pending.join("device.key"))?;
    // The request reaches the TTP, and the answer does not reach the client.
    world.start_ttp()?;
    let request = std::fs::read_to_string(pending.join("request.jws"))?;
    let mut line = world.line()?;
    line.ask(&format!("/register sam {request}"), "Registration Succeeded {} {}")?;
    line.ask(&format!("/register sam {request}"), "Registration Succeeded {} {}")?;
    // A stranger does not get the name meanwhile.
    world.client("mallory")?.ask("/register sam", "error: user already exists")?;

    // By now, the certificate that the TTP issued then and returns again has expired.
    world.stop_server()?;
    world.stop_ttp()?;
    world.set_clock_offset(15 * 24 * 60 * 60);
    world.start_ttp()?;
    world.start_server()?;
    let mut sam = world.registered("sam")?;
    ensure!(sam.leave()? == 0);
    ensure!(std::fs::read(world.profile("sam").join("device.key"))? == key, "another key");
    Ok(())
}

#[test]
fn a_registration_survives_the_death_of_everyone_in_the_middle_of_it() -> Result<()> {
    let mut world = World::with().start()?;
    let pending = world.keys("sam").join(".pending/sam/device.key");
    // The TTP accepts requests and does not answer.
    world.ttp()?.signal(Signal::SIGSTOP)?;
    let mut sam = world.client("sam")?;
    sam.type_line("/register sam")?;
    sam.process.wait_for_error("asking for certificates")?;
    let key = std::fs::read(&pending)?;
    world.kill_server()?;
    sam.expect("error: the connection was lost before the answer came")?;
    world.start_server()?;
    sam.type_line("/register sam")?;
    wait_until("the second attempt", || {
        Ok(sam.process.errors().matches("asking for certificates").count() == 2)
    })?;
    sam.process.crash()?;
    // The TTP is killed at an unknown point of handling the requests.
    world.ttp()?.signal(Signal::SIGCONT)?;
    world.kill_ttp()?;
    world.start_ttp()?;

    let mut sam = world.registered("sam")?;
    ensure!(sam.leave()? == 0);
    ensure!(std::fs::read(world.profile("sam").join("device.key"))? == key, "another key");
    Ok(())
}

#[test]
fn exactly_one_of_several_who_want_a_name_at_once_gets_it() -> Result<()> {
    let world = World::with().start()?;
    let rivals = ["one", "two", "three", "four"];
    let mut clients = Vec::new();
    for rival in rivals {
        clients.push(world.client(rival)?);
    }
    for client in &mut clients {
        client.type_line("/register sam")?;
    }
    let mut winners = Vec::new();
    for (rival, client) in rivals.into_iter().zip(&mut clients) {
        if client.process.out.next_line()? == "Registration Succeeded" {
            client.expect("Authentication Succeeded")?;
            client.ask("/users", "sam")?;
            winners.push(rival);
        } else {
            // In case the server lied, the keys for the name are still there; and nothing of the attempt prevents
            // registering the next free name.
            ensure!(world.keys(rival).join(".pending/sam").exists(), "{rival} threw keys away");
            client.ask("/login sam", "error: invalid credentials")?;
        }
        let there = world.keys(rival).join("sam").exists();
        ensure!(there == winners.contains(&rival), "{rival}: {winners:?}");
    }
    ensure!(winners.len() == 1, "{winners:?}");
    Ok(())
}

#[test]
fn an_invitation_is_all_that_a_newcomer_needs_and_one_with_another_fingerprint_is_refused() -> Result<()> {
    let world = World::with().start()?;
    let address = world.address()?.to_string();
    let shown = world.run_ttp(&["show", "--server", &address])?;
    let invitation =
        shown.lines().find_map(|line| line.strip_prefix("invitation ")).context("an invitation")?;
    let (place, fingerprint) = invitation.split_once('#').context("a fingerprint")?;
    ensure!(place == format!("parlour://{address}/") && fingerprint.len() == 64, "{invitation}");
    let elsewhere = tempfile::tempdir()?;
    let start = |server: &str, input: &str, arguments: &[&str]| {
        let mut command = world.command("parlour")?;
        command.current_dir(elsewhere.path()).args([server, "--plain", "--keys", "keys"]).args(arguments);
        run_to_end("sam", &mut command, input)
    };
    let first = if fingerprint.starts_with('0') { "1" } else { "0" };
    let other = format!("{place}#{first}{}", fingerprint.get(1..).unwrap_or_default());
    let finished = start(&other, "/register sam\n", &[])?;
    ensure!(finished.code == 2 && finished.out.is_empty(), "{finished:#?}");
    ensure!(finished.error()?.contains("is not the server that you trust"), "{finished:#?}");
    ensure!(!elsewhere.path().join("keys").exists(), "keys were made for it");

    let finished = start(invitation, "/register sam\n", &[])?;
    ensure!(finished.out == ["Registration Succeeded", "Authentication Succeeded"], "{finished:#?}");
    // From then on, the profile has the root and the server's address.
    let mut command = world.command("parlour")?;
    command.current_dir(elsewhere.path()).args(["--plain", "--keys", "keys", "--user", "sam"]);
    let finished = run_to_end("sam", &mut command, "/users\n")?;
    ensure!(finished.out == ["Authentication Succeeded", "sam"], "{finished:#?}");
    Ok(())
}

#[test]
fn a_name_stays_taken_when_everyone_is_killed_and_started_again() -> Result<()> {
    let mut world = World::peopled()?;
    world.kill_server()?;
    world.kill_ttp()?;
    world.start_ttp()?;
    world.start_server()?;
    let mut stranger = world.client("stranger")?;
    stranger.ask("/register sam", "error: user already exists")?;
    // The server alone cannot give the name away either: the TTP remembers names.
    world.kill_server()?;
    for file in ["chat.db", "chat.db-wal", "chat.db-shm"] {
        // Some files exist only while the server runs.
        let _ = std::fs::remove_file(world.path("data").join(file));
    }
    world.start_server()?;
    let mut stranger = world.client("stranger")?;
    stranger.ask("/register sam", "error: user already exists")?;
    ensure!(!world.keys("stranger").join("sam").exists());
    Ok(())
}

#[test]
fn a_file_with_the_name_of_a_profile_is_never_overwritten_and_the_name_stays_free() -> Result<()> {
    let mut world = World::with().people().start()?;
    // A complete profile: its owner has the name.
    let before = std::fs::read(world.profile("sam").join("device.key"))?;
    world.client("sam")?.ask("/register sam", "error: user already exists")?;
    ensure!(std::fs::read(world.profile("sam").join("device.key"))? == before);
    // A folder with other contents.
    let folder = world.profile("zoe");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("diary.txt"), "mine")?;
    let mut zoe = world.client("zoe")?;
    zoe.ask("/register zoe", &format!("error: {}: is there already", folder.display()))?;
    assert_eq!(modes(&folder)?.into_keys().collect::<Vec<_>>(), ["diary.txt"]);
    ensure!(!world.run_ttp(&["show"])?.contains("zoe"), "the name was taken all the same");
    std::fs::remove_dir_all(&folder)?;
    zoe.ask("/register zoe", "Registration Succeeded")?;
    zoe.expect("Authentication Succeeded")?;
    world.stop_server()
}
