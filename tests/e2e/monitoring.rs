//! The metrics are exact, name nobody, are served to this machine only, and no request for them does any harm.

mod serving;
mod shown;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use parlour_tests::scrape::get;
use parlour_tests::{DEADLINE, World, line, wait_until};
use serde_json::json;

/// Each of these series has this value, now or soon.
fn expect(world: &World, values: &[(&str, f64)]) -> Result<()> {
    let mut wrong = Vec::new();
    let told = wait_until("the numbers", || {
        let scrape = world.scrape()?;
        wrong.clear();
        for (series, value) in values {
            let found = scrape.get(series)?;
            if (found - value).abs() > f64::EPSILON {
                wrong.push(format!("{series} is {found}, not {value}"));
            }
        }
        Ok(wrong.is_empty())
    });
    told.map_err(|error| error.context(format!("{wrong:#?}")))
}

#[test]
fn chat_is_counted_to_the_number() -> Result<()> {
    let world = World::with().people().metrics().start()?;
    expect(&world, &[("parlour_ready", 1.0), ("parlour_ttp_connected", 1.0), ("parlour_logins_total", 0.0)])?;
    let mut sam = world.logged_in("sam")?;
    let mut erik = world.logged_in("erik")?;
    let mut anna = world.logged_in_line("anna")?;
    let mut guest = world.line()?;
    guest.ask("/help", "/register {}")?;
    for text in ["one", "two"] {
        sam.ask(text, &format!("{{}} sam: {text}"))?;
        erik.expect(&format!("{{}} sam: {text}"))?;
        anna.expect(&format!("{{}} sam: {text}"))?;
    }
    for text in ["three", "four", "five"] {
        sam.ask(&format!("@erik {text}"), &format!("{{}} sam: @erik {text}"))?;
        erik.expect(&format!("{{}} sam: @erik {text}"))?;
    }
    anna.ask("/dance", "error: unknown command /dance")?;
    anna.ask("/users", "anna erik sam")?;
    guest.ask("/users", "error: command not currently available")?;
    expect(
        &world,
        &[
            (r#"parlour_messages_total{kind="public"}"#, 2.0),
            (r#"parlour_messages_total{kind="private"}"#, 3.0),
            // A public message goes to two others, a private one to one.
            (r#"parlour_deliveries_total{kind="public"}"#, 4.0),
            (r#"parlour_deliveries_total{kind="private"}"#, 3.0),
            (r#"parlour_commands_total{command="post"}"#, 5.0),
            (r#"parlour_commands_total{command="users"}"#, 2.0),
            (r#"parlour_commands_total{command="login"}"#, 3.0),
            (r#"parlour_errors_total{code="unknown_command"}"#, 1.0),
            (r#"parlour_errors_total{code="not_now"}"#, 1.0),
            ("parlour_logins_total", 3.0),
            ("parlour_handshakes_total", 4.0),
            ("parlour_connections", 4.0),
            (r#"parlour_sessions{kind="user"}"#, 3.0),
            (r#"parlour_sessions{kind="guest"}"#, 1.0),
            ("parlour_writes_waiting", 0.0),
            ("parlour_outgoing_waiting_bytes", 0.0),
            ("parlour_handshakes_under_way", 0.0),
            ("parlour_commit_failures_total", 0.0),
            (r#"parlour_audit_events_total{kind="login"}"#, 3.0),
            (r#"parlour_audit_events_total{kind="started"}"#, 1.0),
        ],
    )?;
    guest.close();
    anna.ask("/exit", "{}").ok();
    let mut zoe = world.registered("zoe")?;
    expect(
        &world,
        &[
            ("parlour_registrations_total", 1.0),
            ("parlour_logins_total", 4.0),
            (r#"parlour_sessions{kind="user"}"#, 3.0),
            (r#"parlour_sessions{kind="guest"}"#, 0.0),
            ("parlour_connections", 3.0),
        ],
    )?;
    zoe.leave()?;
    Ok(())
}

#[test]
fn commits_bytes_certificates_and_the_process_are_shown_as_they_are() -> Result<()> {
    let world = World::with().people().metrics().start()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
    let before = world.scrape()?;
    let mut sam = world.logged_in_line("sam")?;
    let text = "x".repeat(8_000);
    for _ in 0..5 {
        sam.ask(&text, "{} sam: xxx{}")?;
    }
    // Sent bytes are counted after sending.
    let sent = before.get("parlour_sent_bytes_total")?;
    wait_until("the last bytes to be counted", || {
        Ok(world.scrape()?.get("parlour_sent_bytes_total")? - sent >= 40_000.0)
    })?;
    let after = world.scrape()?;
    let grown = |series: &str| Ok::<_, anyhow::Error>(after.get(series)? - before.get(series)?);
    let commits = grown("parlour_commit_duration_seconds_count")?;
    // Five messages one after the other. The audit log's entries about the login may be written with one of them
    // or separately, and so may probes.
    ensure!((5.0..=9.0).contains(&commits), "{commits} commits");
    ensure!((commits - grown("parlour_commit_writes_count")?).abs() < f64::EPSILON);
    ensure!(grown("parlour_commit_writes_sum")? >= 5.0);
    ensure!((commits - grown(r#"parlour_commit_duration_seconds_bucket{le="+Inf"}"#)?).abs() < f64::EPSILON);
    let took = grown("parlour_commit_duration_seconds_sum")?;
    ensure!(took > 0.0 && took < DEADLINE.as_secs_f64(), "{took}");
    // Every message arrives once and is sent once, in TLS, which adds little.
    for series in ["parlour_received_bytes_total", "parlour_sent_bytes_total"] {
        let bytes = grown(series)?;
        ensure!((40_000.0..50_000.0).contains(&bytes), "{series} grew by {bytes}");
    }

    let version = format!("parlour_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    ensure!((after.get(&version)? - 1.0).abs() < f64::EPSILON);
    let days = |certificate: &str| {
        let series = format!("parlour_certificate_expiry_timestamp_seconds{{certificate=\"{certificate}\"}}");
        Ok::<_, anyhow::Error>((after.get(&series)? - now) / 86_400.0)
    };
    ensure!((300.0..400.0).contains(&days("server")?), "{}", after.text);
    ensure!(days("root")? > days("server")?, "{}", after.text);
    // In the sandbox, which is on.
    ensure!(world.server_log().contains("confined sandbox="), "not confined");
    ensure!(after.get("process_resident_memory_bytes")? > 1_000_000.0);
    ensure!(after.get("process_cpu_seconds_total")? > before.get("process_cpu_seconds_total")?);
    ensure!((after.get("process_start_time_seconds")? - now).abs() < 60.0);
    let (open, most) = (after.get("process_open_fds")?, after.get("process_max_fds")?);
    ensure!((10.0..100.0).contains(&open) && most > open, "{open} of {most}");
    let flood = (0..20).map(|_| world.line()).collect::<Result<Vec<_>>>()?;
    let more = world.scrape()?.get("process_open_fds")?;
    // On a busy machine connections of before were still closing when the first number was taken.
    ensure!((16.0..24.0).contains(&(more - open)), "{more} after {open}");
    drop(flood);
    Ok(())
}

#[test]
fn failures_are_counted_by_their_reason() -> Result<()> {
    let mut world = World::with()
        .people()
        .metrics()
        .limit("handshake_seconds=1")
        .limit("failed_logins_per_minute=3")
        .start()?;
    let refused = "error: invalid credentials";
    world.line()?.ask("/login sam AAAA", refused)?;
    world.line_as("sam")?.ask("/login sam AAAA", refused)?;
    world.line_as("sam")?.ask("/login sam AAAA", refused)?;
    world.line_as("sam")?.ask("/login erik AAAA", refused)?;
    world.line_as("sam")?.ask("/login sam AAAA", "error: too many attempts {}")?;
    // A client that does not speak TLS, one that goes away, and one that sends nothing.
    let mut junk = TcpStream::connect(world.address()?)?;
    junk.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    // It may be reset.
    let _ = junk.read(&mut [0; 100]);
    let mut gone = TcpStream::connect(world.address()?)?;
    gone.write_all(&[0x16, 0x03, 0x01])?;
    drop(gone);
    // A client that trusts another root.
    let distrustful = line::config(&world.profile("sam").join("device.crt"), None)?;
    ensure!(line::connect(world.address()?, distrustful).is_err(), "it trusts everybody");
    let silent = TcpStream::connect(world.address()?)?;
    let mut stranger = world.line()?;
    stranger.ask("/register zoe x.y.z", "error: certificate request refused")?;
    expect(
        &world,
        &[
            (r#"parlour_login_failures_total{reason="no_certificate"}"#, 1.0),
            (r#"parlour_login_failures_total{reason="signature"}"#, 2.0),
            (r#"parlour_login_failures_total{reason="other_user"}"#, 1.0),
            (r#"parlour_limits_hit_total{limit="failed_logins_per_minute"}"#, 1.0),
            (r#"parlour_limits_hit_total{limit="lockout_seconds"}"#, 1.0),
            (r#"parlour_errors_total{code="invalid_credentials"}"#, 4.0),
            (r#"parlour_errors_total{code="too_many"}"#, 1.0),
            (r#"parlour_handshake_failures_total{reason="not_tls"}"#, 1.0),
            (r#"parlour_handshake_failures_total{reason="closed"}"#, 1.0),
            (r#"parlour_handshake_failures_total{reason="timeout"}"#, 1.0),
            (r#"parlour_handshake_failures_total{reason="refused_by_client"}"#, 1.0),
            (r#"parlour_limits_hit_total{limit="handshake_seconds"}"#, 1.0),
            (r#"parlour_audit_events_total{kind="login_failed"}"#, 4.0),
            (r#"parlour_audit_events_total{kind="registration_refused"}"#, 1.0),
            ("parlour_registrations_total", 0.0),
            ("parlour_logins_total", 0.0),
        ],
    )?;
    drop(silent);
    // With an expired certificate.
    world.stop_server()?;
    world.set_clock_offset(8 * 24 * 60 * 60);
    world.start_server()?;
    if let Ok(mut line) = world.line_as("sam") {
        ensure!(line.lines.rest()?.is_empty());
    }
    expect(&world, &[(r#"parlour_handshake_failures_total{reason="certificate_expired"}"#, 1.0)])
}

#[test]
fn limits_that_are_met_are_counted_under_their_names() -> Result<()> {
    let world = World::with()
        .people()
        .metrics()
        .limit("registrations_per_hour=1")
        .limit("guests_per_address=2")
        .limit("connections_per_address=4")
        // So few that a busy machine exceeds them too.
        .limit("commands_per_second=200")
        .limit("command_burst=20")
        .limit("outgoing_queue_bytes=65536")
        .start()?;
    let mut line = world.line()?;
    // {"name":"zoe"} in base64url.
    let request = "/register zoe x.eyJuYW1lIjoiem9lIn0.y";
    line.ask(request, "error: certificate request refused")?;
    for _ in 0..3 {
        line.ask(request, "error: too many attempts {}")?;
    }
    line.ask(&"x".repeat(70_000), "error: line too long")?;
    let mut second = world.line()?;
    second.ask("/help", "/register {}")?;
    let mut third = world.line()?;
    third.ask("/help", "/register {}")?;
    line.lines.wait_for("goodbye: too many connections")?;
    let limit = |name: &str| format!("parlour_limits_hit_total{{limit=\"{name}\"}}");
    expect(
        &world,
        &[
            (&limit("registrations_per_hour"), 3.0),
            (&limit("line_bytes"), 1.0),
            (&limit("guests_per_address"), 1.0),
            (r#"parlour_sessions_closed_total{reason="too_many_connections"}"#, 1.0),
            (&limit("connections_per_address"), 0.0),
            ("parlour_connections", 2.0),
        ],
    )?;
    let mut sam = world.logged_in_line("sam")?;
    let slow = world.logged_in_stream("erik")?;
    ensure!(world.line_as("anna").is_err(), "a fifth connection was let in");
    sam.ask(&"x".repeat(8_200), "error: message too long")?;
    expect(
        &world,
        &[
            (&limit("connections_per_address"), 1.0),
            (&limit("text_bytes"), 1.0),
            (&limit("commands_per_second"), 0.0),
        ],
    )?;
    // Faster than the burst allows, so it is slowed down; and erik does not read.
    let texts = format!("{}\n", "x".repeat(8_000)).repeat(200);
    wait_until("erik is cut off", || {
        sam.send(texts.as_bytes())?;
        for _ in 0..200 {
            sam.expect("{} sam: xxx{}")?;
        }
        Ok(world.scrape()?.get(&limit("outgoing_queue_bytes"))? > 0.0)
    })?;
    expect(
        &world,
        &[
            (&limit("outgoing_queue_bytes"), 1.0),
            (r#"parlour_sessions_closed_total{reason="slow_reader"}"#, 1.0),
            (r#"parlour_sessions{kind="user"}"#, 1.0),
        ],
    )?;
    ensure!(world.scrape()?.get(&limit("commands_per_second"))? >= 1.0);
    slow.sock.shutdown(std::net::Shutdown::Both)?;
    Ok(())
}

#[test]
fn metrics_name_no_user_and_no_text_and_their_number_does_not_grow() -> Result<()> {
    const CANARY: &str = "xylophone";
    let world = World::with().people().metrics().limit("failed_logins_per_minute=100").start()?;
    let before: Vec<String> = world.scrape()?.names().map(str::to_owned).collect();
    let mut sam = world.json_line("sam")?;
    let mut erik = world.logged_in("erik")?;
    for number in 0..10 {
        sam.call(&json!({"id": 1, "cmd": "post", "to": "#lobby", "text": format!("{CANARY} {number}")}))?;
        sam.call(&json!({"id": 1, "cmd": format!("{CANARY}{number}")}))?;
        sam.call(&json!({"id": 1, "cmd": "account", "name": format!("{CANARY}{number}")}))?;
        world.line()?.ask(&format!("/login {CANARY}{number} AAAA"), "error: {}")?;
        world.line()?.ask(&format!("/{CANARY}{number}"), "error: {}")?;
    }
    erik.ask(&format!("@sam {CANARY}"), "{}")?;
    let scrape = world.scrape()?;
    let after: Vec<String> = scrape.names().map(str::to_owned).collect();
    ensure!(before == after, "other series than before:\n{}", scrape.text);
    ensure!(after.len() < 250, "{} series", after.len());
    let told = scrape.text + &get(world.metrics()?, "/readyz")?.body;
    let folder = world.folder().to_string_lossy().into_owned();
    for secret in [CANARY, "sam", "erik", "anna", "127.0.0.1", "lobby", &folder] {
        ensure!(!told.contains(secret), "{secret} in\n{told}");
    }
    let scrape = world.scrape()?;
    for word in scrape.label_values() {
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.+Inf".contains(&byte);
        ensure!(word.len() <= 40 && word.bytes().all(plain), "{word}");
    }
    Ok(())
}
