//! The audit log: it has all events with their real reasons, with and without a running server; clients learn no
//! more than before, and it has no content of messages.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use parlour_protocol::UserName;
use parlour_tests::{World, wait_until};
use serde_json::Value;

/// Waits for an entry of this kind in which all these members have these values, and returns it.
fn found(world: &World, kind: &str, members: &[(&str, &str)]) -> Result<Value> {
    let mut entry = None;
    wait_until(&format!("{kind} with {members:?} in the audit log"), || {
        let entries = world.audit_entries(&["--kind", kind])?;
        entry = entries.into_iter().find(|entry| members.iter().all(|(name, value)| entry[*name] == *value));
        Ok(entry.is_some())
    })?;
    entry.context("an entry")
}

fn user(name: &str) -> Result<UserName> {
    Ok(name.parse()?)
}

#[test]
fn everything_that_happens_to_a_user_is_in_the_log_with_its_real_reason() -> Result<()> {
    let mut world = World::with().people().limit("failed_logins_per_minute=3").start()?;
    found(&world, "started", &[("detail", env!("CARGO_PKG_VERSION"))])?;
    let mut zoe = world.registered("zoe")?;
    let here = ("address", "127.0.0.1");
    let registered = found(&world, "registration", &[("user", "zoe"), here])?;
    ensure!(
        registered["times"] == 1 && registered["hash"].as_str().map(str::len) == Some(64),
        "{registered}"
    );
    let device = found(&world, "login", &[("user", "zoe"), here])?["device"].as_str().map(str::to_owned);
    ensure!(device.is_some_and(|device| device.len() == 16));

    // The client gets the same answer for every reason.
    let refused = "error: invalid credentials";
    let failed = |name: &str, reason: &str| {
        found(&world, "login_failed", &[("user", name), ("detail", reason), here]).map(|_| ())
    };
    world.line()?.ask("/login sam AAAA", refused)?;
    failed("sam", "no client certificate")?;
    world.line_as("sam")?.ask("/login sam AAAA", refused)?;
    failed("sam", "the signature does not hold")?;
    world.line_as("sam")?.ask("/login erik AAAA", refused)?;
    failed("erik", "the certificate is for sam")?;
    let mut account = world
        .line_with(&world.profile("sam").join("account.crt"), &world.profile("sam").join("account.key"))?;
    account.ask("/login sam AAAA", refused)?;
    wait_until("why the account's certificate does not do", || {
        let failed = world.audit_entries(&["--kind", "login_failed", "--user", "sam"])?;
        let reasons = failed.iter().filter_map(|entry| entry["detail"].as_str());
        Ok(reasons.into_iter().any(|reason| reason.starts_with("certificate: ")))
    })?;

    // Revoked while online, and then while reconnecting.
    let mut anna = world.logged_in_line("anna")?;
    world.run_ttp(&["revoke", "anna"])?;
    anna.expect("goodbye: this device was revoked")?;
    found(&world, "device_revoked", &[("user", "anna")])?;
    let mut line = world.line_as("anna")?;
    let signature = line.signature(&world.profile("anna"), &user("anna")?)?;
    line.ask(&format!("/login anna {signature}"), refused)?;
    failed("anna", "the device is revoked")?;

    // The third failure locks the device out at this address; then not even the name is looked at.
    world.line_as("sam")?.ask("/login anna AAAA", refused)?;
    let locked = found(&world, "lockout", &[("detail", "no logins for 60 seconds"), here])?;
    ensure!(locked["device"].as_str().map(str::len) == Some(16), "{locked}");
    world.line_as("sam")?.ask("/login sam AAAA", "error: too many attempts from this address, {}")?;
    found(&world, "rate_limit", &[("detail", "login while locked out"), here])?;

    // A taken name, an invalid request, and a TTP that is not running.
    world.client("stranger")?.ask("/register sam", "error: user already exists")?;
    let reason = ("detail", "the TTP refuses: the name is taken");
    found(&world, "registration_refused", &[("user", "sam"), reason, here])?;
    world.line()?.ask("/register nobody x.y.z", "error: certificate request refused")?;
    found(&world, "registration_refused", &[("detail", "not a request"), here])?;
    world.kill_ttp()?;
    world
        .client("late")?
        .ask("/register late", "error: certificates cannot be issued now, try again later")?;
    let late = found(&world, "registration_refused", &[("user", "late")])?;
    ensure!(late["detail"].as_str().is_some_and(|d| d.starts_with("the TTP is not available")), "{late}");

    world.server()?.signal(Signal::SIGHUP)?;
    found(&world, "reload", &[("detail", "keys and certificates were read again")])?;
    zoe.leave()?;
    world.stop_server()?;
    // Also without a running server: in order, without gaps, and every link is valid.
    let entries = world.audit_entries(&[])?;
    let numbers: Vec<u64> = entries.iter().filter_map(|entry| entry["number"].as_u64()).collect();
    ensure!(numbers == (1..=entries.len() as u64).collect::<Vec<_>>(), "{numbers:?}");
    ensure!(entries.last().context("an entry")?["kind"] == "stopped");
    let verified = world.audit(&["verify"])?;
    ensure!(verified.code == 0 && verified.out.len() == 1, "{verified:#?}");
    ensure!(
        verified.out[0].starts_with(&format!("{} entries, newest hash ", entries.len())),
        "{verified:#?}"
    );
    Ok(())
}

#[test]
fn limits_that_are_hit_are_in_the_log_and_a_flood_is_a_number() -> Result<()> {
    let mut world = World::with()
        .people()
        .limit("registrations_per_hour=1")
        .limit("renewals_per_hour=1")
        .limit("connections_per_address=3")
        .limit("guests_per_address=2")
        .start()?;
    let too_many = "error: too many attempts from this address, try again in {} seconds";
    let mut line = world.line()?;
    // {"name":"zoe"} in base64url.
    let request = "/register zoe x.eyJuYW1lIjoiem9lIn0.y";
    line.ask(request, "error: certificate request refused")?;
    for _ in 0..30 {
        line.ask(request, too_many)?;
    }
    found(&world, "registration_refused", &[("user", "zoe")])?;
    found(&world, "rate_limit", &[("detail", "too many registrations")])?;
    line.ask("/dialect json", r#"{"dialect":"json"}"#)?;
    for _ in 0..2 {
        line.call(&serde_json::json!({"id": 1, "cmd": "renew", "request": "x.y.z"}))?;
    }
    found(&world, "renewal_refused", &[("detail", "the renewal request does not hold")])?;
    found(&world, "rate_limit", &[("detail", "too many renewals")])?;
    let mut second = world.line()?;
    second.ask("/help", "/register {}")?;
    let mut third = world.line()?;
    third.ask("/help", "/register {}")?;
    found(&world, "rate_limit", &[("detail", "too many guests from this address")])?;
    wait_until("a connection above the limit", || {
        let _third = world.line_as("sam");
        Ok(world.line_as("erik").is_err())
    })?;
    found(&world, "rate_limit", &[("detail", "too many connections from this address")])?;
    // Thirty refusals make two entries: the first, and the number of later ones.
    world.stop_server()?;
    let limited = world.audit_entries(&["--kind", "rate_limit"])?;
    let times = limited
        .iter()
        .filter(|entry| entry["detail"] == "too many registrations")
        .map(|entry| entry["times"].as_u64());
    ensure!(times.eq([Some(1), Some(29)]), "{limited:#?}");
    ensure!(world.audit(&["verify"])?.code == 0);
    Ok(())
}

#[test]
fn a_handshake_with_a_bad_certificate_is_a_failed_login() -> Result<()> {
    let world = World::with().people().clock_offset(8 * 24 * 60 * 60).start()?;
    if let Ok(mut line) = world.line_as("sam") {
        ensure!(line.lines.rest()?.is_empty());
    }
    found(&world, "login_failed", &[("detail", "certificate: expired"), ("address", "127.0.0.1")])?;
    Ok(())
}

#[test]
fn the_log_has_no_text_of_a_message_and_a_crash_breaks_no_chain() -> Result<()> {
    const CANARY: &str = "xylophone-quixotic";
    let mut world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let mut erik = world.logged_in("erik")?;
    sam.ask(&format!("{CANARY} in public"), "{} sam: {}")?;
    sam.ask(&format!("@erik {CANARY} in private"), "{} sam: @erik {}")?;
    erik.expect("{} sam: {} in public")?;
    erik.expect("{} sam: @erik {} in private")?;
    // Nor when it is in the wrong place.
    world.line()?.ask(&format!("/login sam {CANARY}"), "error: {}")?;
    world.line()?.ask(&format!("/register zoe {CANARY}.{CANARY}.{CANARY}"), "error: {}")?;
    found(&world, "registration_refused", &[("detail", "not a request")])?;
    found(&world, "login", &[("user", "erik")])?;
    world.kill_server()?;
    let all = format!("{:?} {:?}", world.audit_entries(&[])?, world.audit(&[])?);
    ensure!(!all.contains("xylophone") && !all.contains("quixotic"), "{all}");
    ensure!(world.audit(&["verify"])?.code == 0);
    world.start_server()?;
    wait_until("the second start", || Ok(world.audit_entries(&["--kind", "started"])?.len() >= 2))?;
    ensure!(world.audit(&["verify"])?.code == 0);
    Ok(())
}

#[test]
fn entries_are_chosen_by_time_user_and_kind_and_bad_choices_say_what_to_do() -> Result<()> {
    let mut world = World::peopled()?;
    world.logged_in_line("sam")?;
    world.logged_in_line("erik")?;
    found(&world, "login", &[("user", "sam")])?;
    found(&world, "login", &[("user", "erik")])?;
    world.stop_server()?;
    let count = |arguments: &[&str]| Ok::<_, anyhow::Error>(world.audit_entries(arguments)?.len());
    let all = count(&[])?;
    ensure!(count(&["--since", "2h"])? == all && count(&["--since", "2000-01-01"])? == all);
    ensure!(count(&["--since", "2999-01-01T00:00:00Z"])? == 0);
    let of_sam = world.audit_entries(&["--user", "sam", "--kind", "login", "--since", "1d"])?;
    ensure!(
        !of_sam.is_empty() && of_sam.iter().all(|entry| entry["user"] == "sam" && entry["kind"] == "login")
    );
    let lines = world.audit(&["--user", "sam", "--kind", "registration"])?.out;
    ensure!(lines.len() == 1 && lines[0].ends_with(" registration user=sam address=127.0.0.1"), "{lines:?}");

    for (arguments, said) in [
        (["--since", "yesterday"], "2026-11-21T10:00:00Z"),
        (["--kind", "dance"], "login_failed"),
        (["--user", "S m"], "a name is 1 to 32 of"),
        (["verify", "--expect=12"], "64 hex digits"),
        (["--json", "verify"], "cannot be used with"),
    ] {
        let finished = world.audit(&arguments)?;
        ensure!(finished.code == 2 && finished.out.is_empty(), "{finished:#?}");
        ensure!(finished.errors.contains(said), "{finished:#?}");
    }
    Ok(())
}

#[test]
fn a_log_that_cannot_be_read_is_not_called_broken() -> Result<()> {
    let world = World::with().prepare()?;
    std::fs::create_dir(world.path("data"))?;
    let look = |said: &str, hint: &str| {
        for arguments in [["--json"].as_slice(), &["verify"]] {
            let finished = world.audit(arguments)?;
            ensure!(finished.code == 2 && finished.out.is_empty(), "{finished:#?}");
            ensure!(finished.error()?.contains(said) && finished.hint().contains(hint), "{finished:#?}");
        }
        Ok(())
    };
    look("there is no database data/chat.db", "--data")?;
    std::fs::write(world.database(), "no database at all, but long enough to be looked at as if it were")?;
    look("cannot read data/chat.db", "a database of Parlour's")?;
    std::fs::remove_file(world.database())?;
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/src/store/fixtures/version2.sql");
    let database = rusqlite::Connection::open(world.database())?;
    database.execute_batch(&std::fs::read_to_string(old)?)?;
    look("is of version 2", "start this version of the server once")?;
    database.pragma_update(None, "user_version", 99)?;
    look("is of version 99", "a newer one")
}
