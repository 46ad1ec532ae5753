//! Logging in: whatever is wrong with it, the answer is the same, and the server's log has the reason.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use parlour_protocol::UserName;
use parlour_tests::{Line, World, wait_until};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};

fn user(name: &str) -> Result<UserName> {
    Ok(name.parse()?)
}

/// Waits for this in what an operator sees, who has not turned on more than is logged by default.
fn wait_for_log(world: &World, text: &str) -> Result<()> {
    wait_until(&format!("{text:?} in the log"), || {
        let log = world.server_log();
        Ok(log.lines().any(|line| line.contains(text) && !line.contains(" DEBUG ")))
    })
}

/// Logs in with this signature, which must fail as all failed logins do, for this reason.
fn fails(world: &World, line: &mut Line, name: &str, signature: &str, reason: &str) -> Result<()> {
    line.ask(&format!("/login {name} {signature}"), "error: invalid credentials")?;
    line.lines.expect_end()?;
    wait_for_log(world, &format!("fault={reason}"))
}

#[test]
fn a_login_with_anything_wrong_in_it_reads_the_same_and_the_log_has_the_reason() -> Result<()> {
    let world = World::with().people().limit("failed_logins_per_minute=100").start()?;
    let (sam, erik) = (user("sam")?, user("erik")?);

    let mut line = world.line()?;
    let signature = line.signature(&world.profile("sam"), &sam)?;
    fails(&world, &mut line, "sam", &signature, "no client certificate")?;

    let signed = |line: &Line, person: &str, name: &UserName| line.signature(&world.profile(person), name);
    let mut line = world.line_as("erik")?;
    let signature = signed(&line, "erik", &sam)?;
    fails(&world, &mut line, "sam", &signature, "the certificate is for erik")?;

    // A signature by another key, over another name, that was altered, and that is none.
    let bad = "the signature does not hold";
    let mut line = world.line_as("sam")?;
    let signature = signed(&line, "erik", &sam)?;
    fails(&world, &mut line, "sam", &signature, bad)?;
    let mut line = world.line_as("sam")?;
    let signature = signed(&line, "sam", &erik)?;
    fails(&world, &mut line, "sam", &signature, bad)?;
    let mut line = world.line_as("sam")?;
    let altered = signed(&line, "sam", &sam)?;
    let altered =
        if altered.starts_with("MEU") { altered.replacen("MEU", "MEY", 1) } else { format!("AAAA{altered}") };
    fails(&world, &mut line, "sam", &altered, bad)?;
    let mut line = world.line_as("sam")?;
    fails(&world, &mut line, "sam", "AAAA", bad)?;

    // One that holds on another connection of the same device.
    let other = world.line_as("sam")?;
    let signature = signed(&other, "sam", &sam)?;
    let mut line = world.line_as("sam")?;
    fails(&world, &mut line, "sam", &signature, bad)?;

    ensure!(!world.server_log().contains("logged in"), "somebody came in");
    wait_until("a line for each", || Ok(world.server_log().matches("login failed").count() == 7))?;
    // After all that sam comes in with the right one.
    world.logged_in_line("sam")?;
    Ok(())
}

#[test]
fn a_user_whom_the_server_does_not_know_is_refused_like_any_other() -> Result<()> {
    let mut world = World::with().people().prepare()?;
    std::fs::remove_dir_all(world.path("data"))?;
    world.start_server()?;
    let mut line = world.line_as("sam")?;
    let signature = line.signature(&world.profile("sam"), &user("sam")?)?;
    fails(&world, &mut line, "sam", &signature, "no such account")
}

/// Connects with this certificate; it must come to no login, for this reason.
fn is_kept_out(world: &World, certificate: &str, key: &str, reason: &str) -> Result<()> {
    // In TLS 1.3 a client learns of the refusal only after its side of the handshake.
    if let Ok(mut line) = world.line_with(&world.path(certificate), &world.path(key)) {
        let signature = parlour_tests::line::signature(
            &world.profile("sam").join("device.key"),
            &user("sam")?,
            &line.exporter,
        )?;
        // It may be gone before this is said.
        let _ = line.say(&format!("/login sam {signature}"));
        let said = line.lines.rest()?;
        ensure!(said.is_empty() || said == ["error: invalid credentials"], "{said:?}");
    }
    wait_for_log(world, reason)
}

#[test]
fn a_certificate_that_is_not_a_devices_of_this_authority_opens_nothing() -> Result<()> {
    let world = World::peopled()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "sam");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    std::fs::write(world.path("own.crt"), params.self_signed(&key)?.pem())?;
    std::fs::write(world.path("own.key"), key.serialize_pem())?;
    is_kept_out(&world, "own.crt", "own.key", "UnknownIssuer")?;

    // The account's certificate is from the right authority and for the right name, and for sealing.
    let of_sam = |file: &str| PathBuf::from("people/sam/sam").join(file).display().to_string();
    is_kept_out(&world, &of_sam("account.crt"), &of_sam("account.key"), "fault=certificate: ")?;
    // So is the server's, which is for serving.
    is_kept_out(&world, "keys/server/server.crt", "keys/server/server.key", "for client authentication")?;
    ensure!(!world.server_log().contains("logged in"), "somebody came in");
    Ok(())
}

#[test]
fn a_device_of_another_authority_hears_what_every_failed_login_hears() -> Result<()> {
    let world = World::with().start()?;
    let other = World::with().people().prepare()?;
    // Sam's keys from elsewhere, in a profile that trusts this server.
    let profile = world.profile("sam");
    std::fs::create_dir_all(&profile)?;
    for file in ["device.key", "device.crt", "seal.key", "account.key", "account.crt", "profile.toml"] {
        std::fs::copy(other.profile("sam").join(file), profile.join(file))?;
    }
    std::fs::copy(world.root(), profile.join("ca.crt"))?;
    let mut sam = world.client("sam")?;
    sam.ask("/login sam", "error: invalid credentials")?;
    wait_for_log(&world, "handshake failed")?;
    ensure!(!world.server_log().contains("logged in"), "somebody came in");
    ensure!(sam.leave()? == 1);
    Ok(())
}

#[test]
fn an_expired_device_certificate_does_not_log_in() -> Result<()> {
    let world = World::with().people().clock_offset(8 * 24 * 60 * 60).start()?;
    is_kept_out(&world, "people/sam/sam/device.crt", "people/sam/sam/device.key", "certificate expired")?;
    ensure!(!world.server_log().contains("logged in"), "somebody came in");
    Ok(())
}

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
    ensure!(revoked.elapsed() < Duration::from_secs(1), "it took {:?}", revoked.elapsed());
    // The others are still there, and the two are not.
    erik.ask("/users", "erik")?;
    sam.ask("/users", "error: command not currently available")?;
    sam.ask("/login sam", "error: invalid credentials")?;
    ensure!(sam.leave()? == 1);

    // The server keeps it, and needs no TTP for that.
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
    // Sam's client was on its way back: it is either refused or put out again, and then it is refused.
    sam.process.out.wait_for("error: {}")?;
    let mut erik = world.logged_in_line("erik")?;
    wait_until("sam is out", || Ok(erik.ask("/users", "{}")? == "erik"))?;
    let mut line = world.line_as("sam")?;
    let signature = line.signature(&world.profile("sam"), &user("sam")?)?;
    fails(&world, &mut line, "sam", &signature, "the device is revoked")
}

#[test]
fn the_eleventh_wrong_login_in_a_minute_is_refused_and_so_is_a_right_one() -> Result<()> {
    for (world, most) in
        [(World::peopled()?, 10), (World::with().people().limit("failed_logins_per_minute=2").start()?, 2)]
    {
        // Whoever is in stays in.
        let mut erik = world.logged_in_line("erik")?;
        for _ in 0..most {
            world.line_as("sam")?.ask("/login sam AAAA", "error: invalid credentials")?;
        }
        let too_many = "error: too many attempts from this address, try again in {} seconds";
        let mut line = world.line_as("sam")?;
        let refusal = line.ask("/login sam AAAA", too_many)?;
        let seconds: u64 = refusal.chars().filter(char::is_ascii_digit).collect::<String>().parse()?;
        ensure!((1..=60).contains(&seconds), "{refusal}");
        let signature = line.signature(&world.profile("sam"), &user("sam")?)?;
        line.ask(&format!("/login sam {signature}"), too_many)?;
        let mut sam = world.client("sam")?;
        sam.ask("/login sam", too_many)?;
        erik.ask("/users", "erik")?;
    }
    Ok(())
}
