//! What the operator's programs are told: right to the number, of nobody by name, to this machine alone, and
//! without harm to anybody, whatever they ask.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use parlour_tests::scrape::{Scrape, ask, get};
use parlour_tests::{DEADLINE, Process, World, run_to_end, wait_until};
use rusqlite::Connection;
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
            // Two others hear what is public, one what is private.
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
fn commits_bytes_certificates_and_the_process_are_told_as_they_are() -> Result<()> {
    let world = World::with().people().metrics().start()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
    let before = world.scrape()?;
    let mut sam = world.logged_in_line("sam")?;
    let text = "x".repeat(8_000);
    for _ in 0..5 {
        sam.ask(&text, "{} sam: xxx{}")?;
    }
    let after = world.scrape()?;
    let grown = |series: &str| Ok::<_, anyhow::Error>(after.get(series)? - before.get(series)?);
    let commits = grown("parlour_commit_duration_seconds_count")?;
    // Five messages one after the other, a probe, and what the audit log has of the login.
    ensure!((6.0..=9.0).contains(&commits), "{commits} commits");
    ensure!((commits - grown("parlour_commit_writes_count")?).abs() < f64::EPSILON);
    ensure!(grown("parlour_commit_writes_sum")? >= 6.0);
    ensure!((commits - grown(r#"parlour_commit_duration_seconds_bucket{le="+Inf"}"#)?).abs() < f64::EPSILON);
    let took = grown("parlour_commit_duration_seconds_sum")?;
    ensure!(took > 0.0 && took < DEADLINE.as_secs_f64(), "{took}");
    // Every message goes in once and comes back once, in TLS, which adds little.
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
    ensure!((20.0..24.0).contains(&(more - open)), "{more} after {open}");
    drop(flood);
    Ok(())
}

#[test]
fn what_fails_is_counted_by_its_reason() -> Result<()> {
    let mut world = World::with()
        .people()
        .metrics()
        .limit("handshake_seconds=1")
        .limit("failed_logins_per_minute=4")
        .start()?;
    let refused = "error: invalid credentials";
    world.line()?.ask("/login sam AAAA", refused)?;
    world.line_as("sam")?.ask("/login sam AAAA", refused)?;
    world.line_as("sam")?.ask("/login sam AAAA", refused)?;
    world.line_as("sam")?.ask("/login erik AAAA", refused)?;
    world.line_as("sam")?.ask("/login sam AAAA", "error: too many attempts {}")?;
    // What is no TLS, what goes away, what says nothing.
    let mut junk = TcpStream::connect(world.address()?)?;
    junk.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    // It may be reset.
    let _ = junk.read(&mut [0; 100]);
    let mut gone = TcpStream::connect(world.address()?)?;
    gone.write_all(&[0x16, 0x03, 0x01])?;
    drop(gone);
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
            (r#"parlour_limits_hit_total{limit="handshake_seconds"}"#, 1.0),
            (r#"parlour_audit_events_total{kind="login_failed"}"#, 4.0),
            (r#"parlour_audit_events_total{kind="registration_refused"}"#, 1.0),
            ("parlour_registrations_total", 0.0),
            ("parlour_logins_total", 0.0),
        ],
    )?;
    drop(silent);
    // With a certificate that has run out.
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
        .limit("commands_per_second=1000")
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
    world.line()?.expect("goodbye: too many connections")?;
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
    // Faster than the burst, so it is slowed down; and erik does not read.
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
fn ready_is_who_can_write_and_does_not_stop_and_healthy_who_serves() -> Result<()> {
    let mut world = World::with()
        .people()
        .metrics()
        .limit("outgoing_queue_bytes=100000000")
        .limit("command_burst=100000")
        .start()?;
    let operator = world.metrics()?;
    wait_until("the TTP", || Ok(get(operator, "/readyz")?.body == "ready\nTTP: connected\n"))?;
    ensure!(get(operator, "/healthz")?.body == "ok\n");

    // Without a TTP chat goes on.
    world.stop_ttp()?;
    wait_until("the TTP is gone", || Ok(get(operator, "/readyz")?.body.contains("TTP: not connected")))?;
    let ready = get(operator, "/readyz")?;
    ensure!(ready.status == 200 && ready.body.starts_with("ready\n"), "{ready:?}");
    expect(&world, &[("parlour_ttp_connected", 0.0), ("parlour_ready", 1.0)])?;

    // Somebody else holds the database, so nothing can be written.
    let database = Connection::open(world.database())?;
    database.execute_batch("BEGIN IMMEDIATE")?;
    wait_until("not ready", || Ok(get(operator, "/readyz")?.status == 503))?;
    let unready = get(operator, "/readyz")?;
    let reasons: Vec<&str> = unready.body.lines().collect();
    ensure!(reasons.len() == 2 && reasons[0].starts_with("the database takes no writes: "), "{unready:?}");
    expect(&world, &[("parlour_ready", 0.0)])?;
    ensure!(get(operator, "/healthz")?.status == 200);
    database.execute_batch("ROLLBACK")?;
    wait_until("ready again", || Ok(get(operator, "/readyz")?.status == 200))?;

    // What fails is counted, and is over when it is over.
    database.execute_batch(
        "CREATE TRIGGER full BEFORE INSERT ON messages BEGIN SELECT RAISE(ABORT, 'no room'); END",
    )?;
    let mut sam = world.logged_in_line("sam")?;
    sam.ask("hello", "error: internal error, incident {}")?;
    expect(
        &world,
        &[
            ("parlour_commit_failures_total", 1.0),
            (r#"parlour_errors_total{code="internal"}"#, 1.0),
            (r#"parlour_messages_total{kind="public"}"#, 0.0),
        ],
    )?;
    database.execute_batch("DROP TRIGGER full")?;
    drop(database);

    // A session that does not take its last words holds the end up.
    let held = world.logged_in_stream("erik")?;
    let text = "x".repeat(8_000);
    wait_until("something waits for erik", || {
        for _ in 0..20 {
            sam.ask(&text, "{} sam: xxx{}")?;
        }
        let scrape = world.scrape()?;
        let waiting = scrape.get("parlour_outgoing_waiting_bytes")?;
        ensure!((waiting - scrape.get("parlour_outgoing_longest_bytes")?).abs() < f64::EPSILON);
        Ok(waiting > 100_000.0)
    })?;
    world.server()?.signal(Signal::SIGTERM)?;
    wait_until("stopping", || Ok(get(operator, "/readyz")?.status == 503))?;
    let stopping = get(operator, "/readyz")?;
    ensure!(stopping.body.starts_with("the server is stopping\n"), "{stopping:?}");
    ensure!(get(operator, "/healthz")?.status == 200);
    drop(held);
    ensure!(world.server()?.wait()?.success());
    ensure!(TcpStream::connect(operator).is_err(), "the address is still served");
    Ok(())
}

#[test]
fn the_address_is_this_machines_alone_and_one_servers() -> Result<()> {
    let mut world = World::with().metrics().prepare()?;
    let refuse = |world: &World, metrics: &str, said: &str, hint: &str| {
        let mut command = world.server_command("127.0.0.1:0")?;
        let finished = run_to_end("server", command.args(["--metrics", metrics]), "")?;
        ensure!(finished.code == 2 && finished.out.is_empty(), "{finished:#?}");
        ensure!(finished.error()?.contains(said) && finished.hint().contains(hint), "{finished:#?}");
        Ok(())
    };
    let alone = "error: metrics are for this machine alone, and others reach ";
    refuse(&world, "0.0.0.0:0", alone, "a reverse proxy or an ssh tunnel")?;
    refuse(&world, "[::]:0", alone, "a reverse proxy or an ssh tunnel")?;
    refuse(&world, "192.0.2.1:9275", alone, "a reverse proxy or an ssh tunnel")?;
    refuse(&world, "nonsense", "'nonsense' is no address", "HOST:PORT")?;
    ensure!(!world.path("data").exists(), "something was made");

    world.start_server()?;
    let taken = world.metrics()?.to_string();
    refuse(&world, &taken, &format!("error: cannot listen on {taken} for metrics: "), "with --metrics")?;
    // `check` knows its own server, and who else listens.
    let check = |world: &World, arguments: &[&str]| {
        let mut command = world.command("parlour-server")?;
        run_to_end("server", command.arg("check").args(arguments), "")
    };
    let line = |finished: &parlour_tests::Finished, said: &str| {
        ensure!(finished.out.iter().any(|line| line.contains(said)), "{finished:#?}");
        Ok::<_, anyhow::Error>(())
    };
    let ours = check(&world, &["--metrics", &taken, "--data", "data"])?;
    line(&ours, &format!("the server listens on {taken}"))?;
    let unknown = check(&world, &["--metrics", &taken])?;
    line(&unknown, &format!("another program listens on {taken}"))?;
    line(&check(&world, &["--metrics", "0.0.0.0:9275"])?, "metrics are for this machine alone")?;
    world.stop_server()?;
    line(&check(&world, &["--metrics", &taken, "--data", "data"])?, &format!("{taken} is free"))?;

    // From the file, with an address of IPv6 where there is one.
    for address in ["127.0.0.1:0", "[::1]:0"] {
        if TcpListener::bind(address).is_err() {
            continue;
        }
        std::fs::write(world.path("server.toml"), format!("metrics = \"{address}\""))?;
        let mut command = world.server_command("127.0.0.1:0")?;
        command.args(["--config", "server.toml"]);
        let mut server = Process::start("server", &mut command, Stdio::null())?;
        server.out.expect("listening on 127.0.0.1:{}")?;
        let line = server.out.expect("metrics on {}")?;
        let told: SocketAddr = line.trim_start_matches("metrics on ").parse()?;
        ensure!(get(told, "/healthz")?.body == "ok\n");
        server.signal(Signal::SIGTERM)?;
        ensure!(server.wait()?.success());
    }
    // Nobody listens unless it is asked for.
    let mut silent = Process::start("server", &mut world.server_command("127.0.0.1:0")?, Stdio::null())?;
    silent.out.expect("listening on {}")?;
    silent.signal(Signal::SIGTERM)?;
    silent.wait()?;
    silent.out.expect_end()
}

#[test]
fn whatever_is_asked_costs_little_and_ends_soon() -> Result<()> {
    let world = World::with().people().metrics().start()?;
    let operator = world.metrics()?;
    let mut sam = world.logged_in_line("sam")?;
    let request = |first: &str, rest: &str| format!("{first} HTTP/1.1\r\nHost: localhost\r\n{rest}\r\n");
    for (asked, status) in [
        (request("GET /", ""), 404),
        (request("GET /metrics/../healthz", ""), 404),
        (request("GET /metrics?x=%00", ""), 200),
        (request("POST /metrics", "Content-Length: 0\r\n"), 405),
        (request("DELETE /healthz", ""), 405),
        (request("OPTIONS /readyz", ""), 405),
        (request("GET /healthz", &format!("X: {}\r\n", "x".repeat(20_000))), 431),
        (request("GET /healthz", &"X: y\r\n".repeat(1_000)), 431),
        (request(&format!("GET /{}", "x".repeat(5_000)), ""), 404),
        ("nonsense\r\n\r\n".to_owned(), 400),
        // The first of two is answered, and the second is not.
        (request("GET /healthz", "") + &request("GET /readyz", ""), 200),
    ] {
        let first = asked.chars().take(40).collect::<String>();
        match ask(operator, asked.as_bytes()) {
            Ok(answer) => {
                ensure!(answer.status == status, "{first}: {answer:?}");
                ensure!(answer.head.contains("connection: close"), "{first}: {answer:?}");
                ensure!(!answer.body.contains("HTTP/1.1"), "{first}: {answer:?}");
            }
            // What it had no room for may still be on its way, which resets the connection.
            Err(error) => ensure!(status == 431, "{first}: {error:?}"),
        }
    }
    let head = ask(operator, request("HEAD /metrics", "").as_bytes())?;
    ensure!(head.status == 200 && head.body.is_empty(), "{head:?}");

    // Who says nothing, or little by little, has a bounded number of places for a bounded time.
    let before = world.scrape()?.get("process_open_fds")?;
    let begun = Instant::now();
    let mut slow = Vec::new();
    for number in 0..40 {
        let mut stream = TcpStream::connect(operator)?;
        if number % 2 == 0 {
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ")?;
        }
        slow.push(stream);
    }
    sam.ask("hello", "{} sam: hello")?;
    ensure!(begun.elapsed() < Duration::from_secs(2), "chat waited for {:?}", begun.elapsed());
    let during = world.scrape()?.get("process_open_fds")?;
    ensure!(during - before < 16.0, "{during} files after {before}");
    ensure!(begun.elapsed() < Duration::from_secs(18), "it took {:?}", begun.elapsed());
    for mut stream in slow {
        stream.set_read_timeout(Some(DEADLINE))?;
        // A reset is an end as well; a timeout is none.
        if let Err(error) = stream.read_to_end(&mut Vec::new()) {
            ensure!(error.kind() != std::io::ErrorKind::WouldBlock, "a connection does not end");
        }
    }
    Ok(())
}

#[test]
fn nobody_and_nothing_that_is_said_is_named_and_what_is_told_does_not_grow() -> Result<()> {
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

/// Every expression in a dashboard.
fn expressions(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            if let Some(serde_json::Value::String(expression)) = members.get("expr") {
                found.push(expression.clone());
            }
            members.values().for_each(|member| expressions(member, found));
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

/// The metrics' names in an expression, and the labels that are asked for by `name="word"`.
fn asked_for(expression: &str) -> (Vec<&str>, Vec<String>) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = expression.split(|c| !is_word(c));
    let names = names.filter(|name| name.starts_with("parlour_") || name.starts_with("process_")).collect();
    let mut labels = Vec::new();
    let mut rest = expression;
    while let Some((before, after)) = rest.split_once("=\"") {
        let (value, after) = after.split_once('"').unwrap_or((after, ""));
        let name = before.rsplit(|c| !is_word(c)).next().unwrap_or_default();
        labels.push(format!("{name}=\"{value}\""));
        rest = after;
    }
    (names, labels)
}

#[test]
fn dashboard_and_alerts_ask_for_what_there_is_and_the_dashboard_shows_all_of_it() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let dashboard = std::fs::read_to_string(folder.join("operations/grafana-dashboard.json"))?;
    let mut shown = Vec::new();
    expressions(&serde_json::from_str(&dashboard)?, &mut shown);
    let alerts = std::fs::read_to_string(folder.join("operations/alerts.yml"))?;
    let alerted: Vec<String> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr:"))
        .map(|expression| expression.trim().to_owned())
        .collect();
    ensure!(shown.len() > 20 && alerted.len() > 10, "{} and {}", shown.len(), alerted.len());
    ensure!(
        alerts.matches("- alert:").count() == alerted.len(),
        "an alert without an expression of one line"
    );

    let world = World::with().metrics().start()?;
    let scrape = Scrape::of(world.metrics()?)?;
    for expression in shown.iter().chain(&alerted) {
        let (names, labels) = asked_for(expression);
        ensure!(!names.is_empty() || expression.contains("up{"), "nothing of ours: {expression}");
        for name in names {
            ensure!(scrape.names().any(|known| known == name), "no {name}: {expression}");
        }
        for label in labels.iter().filter(|label| !label.starts_with("job=")) {
            ensure!(scrape.text.contains(label), "no {label}: {expression}");
        }
    }
    let documentation = std::fs::read_to_string(folder.join("operations.md"))?;
    let shown = shown.join("\n");
    for name in scrape.names() {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        let documented = histogram.unwrap_or(name);
        ensure!(documentation.contains(&format!("`{documented}`")), "{name} is not in docs/operations.md");
        let parts = if histogram.is_some() { ["_bucket", "_sum", "_count"].as_slice() } else { &[""] };
        let asked = asked_for(&shown).0;
        let is_shown = parts.iter().any(|part| asked.contains(&format!("{documented}{part}").as_str()));
        ensure!(is_shown, "{name} is not in the dashboard");
    }
    Ok(())
}
