//! A device certificate is valid for a week and is renewed without any action by the user.

use anyhow::{Context as _, Result, ensure};
use parlour_crypto::RenewalRequest;
use parlour_keylog::DeviceCertificate;
use parlour_tests::{Author, Client, Logins, Operator, World, run_to_end, wait_until};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

const DAY: i64 = 24 * 60 * 60;

fn certificate(world: &World, name: &str) -> Result<DeviceCertificate> {
    let der = CertificateDer::from_pem_file(world.profile(name).join("device.crt"))?;
    DeviceCertificate::from_der(&der).context("device.crt")
}

/// The time without any offset, in seconds.
fn unix_now() -> Result<i64> {
    Ok(i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs())?)
}

/// The number of renewals in the server's log.
fn renewals(world: &World) -> usize {
    world.server_log().matches("renewed a device certificate").count()
}

/// Checks that the new certificate is for the same device, and for another week.
fn check_renewed(old: &DeviceCertificate, fresh: &DeviceCertificate, days: i64) -> Result<()> {
    ensure!(fresh.spki_der() == old.spki_der() && fresh.device() == old.device(), "another device");
    ensure!(fresh.user() == old.user());
    let later = fresh.not_after() - old.not_after();
    // The seed's certificate may be a few minutes old.
    ensure!((days * DAY..days * DAY + 3_600).contains(&later), "it ends {later} seconds later");
    Ok(())
}

#[test]
fn past_half_of_its_week_a_certificate_is_renewed_while_its_user_is_connected() -> Result<()> {
    let world = World::with().people().clock_offset(4 * DAY).start()?;
    let old = certificate(&world, "sam")?;
    let key = std::fs::read(world.profile("sam").join("device.key"))?;
    let mut sam = world.logged_in("sam")?;
    wait_until("a fresh certificate", || Ok(certificate(&world, "sam")?.not_after() > old.not_after()))?;
    check_renewed(&old, &certificate(&world, "sam")?, 4)?;
    ensure!(std::fs::read(world.profile("sam").join("device.key"))? == key, "another key");
    // The session continues, and the next one uses the renewed certificate.
    sam.ask("still here", "{} sam: still here")?;
    ensure!(sam.leave()? == 0);
    let mut sam = world.logged_in("sam")?;
    sam.expect("{} sam: still here")?;
    wait_until("one renewal in the log", || Ok(renewals(&world) == 1))?;
    Ok(())
}

#[test]
fn before_half_of_its_week_a_certificate_is_left_alone() -> Result<()> {
    let world = World::with().people().clock_offset(3 * DAY).start()?;
    let before = std::fs::read(world.profile("sam").join("device.crt"))?;
    let mut sam = world.logged_in("sam")?;
    // A renewal would have been requested right after the login, before this.
    sam.ask("hello", "{} sam: hello")?;
    sam.ask("/users", "sam")?;
    ensure!(sam.leave()? == 0);
    ensure!(std::fs::read(world.profile("sam").join("device.crt"))? == before);
    ensure!(renewals(&world) == 0);
    Ok(())
}

#[test]
fn a_month_later_a_user_logs_in_over_the_expired_certificate() -> Result<()> {
    let mut world = World::with().people().clock_offset(30 * DAY).start()?;
    let old = certificate(&world, "sam")?;
    // Without the TTP it is not renewed, and nothing else fails.
    world.kill_ttp()?;
    let mut sam = world.client("sam")?;
    sam.ask("/login sam", "error: certificates cannot be issued now, try again later")?;
    world.start_ttp()?;
    sam.ask("/login sam", "Authentication Succeeded")?;
    check_renewed(&old, &certificate(&world, "sam")?, 30)?;
    wait_until("one renewal in the log", || Ok(renewals(&world) == 1))?;
    Ok(())
}

#[test]
fn a_session_ends_with_its_certificate_unless_it_renewed() -> Result<()> {
    const LEFT: i64 = 12;
    let mut world = World::with().people().limit("ping_seconds=1").prepare()?;
    let (sams, eriks) = (certificate(&world, "sam")?.not_after(), certificate(&world, "erik")?.not_after());
    let (first, last) = (sams.min(eriks), sams.max(eriks));
    let offset = first - LEFT - unix_now()?;
    world.set_clock_offset(offset);
    world.start_ttp()?;
    world.start_server()?;
    let mut sam = world.logged_in_line("sam")?;
    let mut erik = world.json_line("erik")?;
    let author = Author::of(&world, "erik")?;
    let device = DeviceCertificate::from_der(&author.leaf)?.device().to_string();
    let request = RenewalRequest { name: "erik", device: &device, key: &author.device };
    let request = request.build(&mut rand::rng())?;
    let reply = erik.call(&json!({"id": 1, "cmd": "renew", "request": request}))?;
    ensure!(reply["ok"] == "renewed", "{reply}");
    sam.ask("/users", "erik sam")?;
    // Nothing that sam says helps.
    wait_until("sam's session is over", || {
        let Ok(line) = sam.ask("/users", "{}") else { return Ok(true) };
        Ok(line == "goodbye: the device certificate has expired")
    })?;
    ensure!(unix_now()? + offset >= first, "it ended early");
    wait_until("erik's first certificate has expired for a while", || {
        let reply = erik.call(&json!({"id": 2, "cmd": "users"}))?;
        ensure!(reply["ok"] == "users", "{reply}");
        Ok(unix_now()? + offset > last + 3)
    })?;
    Ok(())
}

#[test]
fn a_client_whose_certificate_has_expired_by_the_servers_clock_renews_and_comes_back() -> Result<()> {
    let world = World::peopled()?;
    let mut said = false;
    let operator = Operator::before(&world, "sam", Logins::Anew, move |line| {
        let mut lines = format!("{line}\n");
        if line.contains("the last word") && !std::mem::replace(&mut said, true) {
            let words = "the device certificate has expired";
            let goodbye = json!({"event": "goodbye", "reason": "certificate_expired", "message": words});
            lines += &goodbye.to_string();
            lines.push('\n');
        }
        lines.into_bytes()
    })?;
    let mut command = world.client_command_to("sam", &operator.address())?;
    let mut sam = Client::start("sam", command.args(["--plain", "--user", "sam"]))?;
    sam.expect("Authentication Succeeded")?;
    sam.ask("the last word", "{} sam: the last word")?;
    wait_until("two logins, and a renewal between them", || {
        Ok(world.server_log().matches("logged in user=sam").count() == 2 && renewals(&world) == 1)
    })?;
    sam.ask("back again", "{} sam: back again")?;
    Ok(())
}

#[test]
fn a_one_shot_command_renews_too() -> Result<()> {
    let world = World::with().people().clock_offset(30 * DAY).start()?;
    let old = certificate(&world, "sam")?;
    let sent = world.one_shot("sam", &["send", "#lobby", "back from the sea"], "")?;
    ensure!(sent.code == 0, "{sent:#?}");
    check_renewed(&old, &certificate(&world, "sam")?, 30)
}

#[test]
fn a_clock_that_is_wrong_either_way_is_asked_about() -> Result<()> {
    let world = World::peopled()?;
    for (days, said) in [(10, "the renewed certificate: the certificate has expired"), (-10, "not valid yet")]
    {
        let mut command = world.command("parlour")?;
        command.arg(world.address()?.to_string()).arg("--keys").arg(world.keys("sam"));
        command.args([&format!("--clock-offset={}", days * DAY), "--user", "sam", "users"]);
        let finished = run_to_end("sam", &mut command, "")?;
        let error = finished.error()?;
        ensure!(finished.code == 2 && error.contains(said), "{finished:#?}");
        ensure!(error.ends_with("; is this machine's clock right?"), "{error}");
    }
    Ok(())
}
