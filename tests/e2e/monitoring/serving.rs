//! Liveness, readiness, the addresses of the listener, and odd requests.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use parlour_tests::scrape::{ask, get};
use parlour_tests::{DEADLINE, Process, World, in_time, run_to_end, wait_until};
use rusqlite::Connection;

use super::expect;

#[test]
fn a_server_is_ready_while_it_can_write_and_healthy_while_it_serves() -> Result<()> {
    let mut world = World::with()
        .people()
        .metrics()
        .limit("outgoing_queue_bytes=100000000")
        .limit("command_burst=100000")
        .start()?;
    let operator = world.metrics()?;
    wait_until("the TTP", || Ok(get(operator, "/readyz")?.body == "ready\nTTP: connected\n"))?;
    ensure!(get(operator, "/healthz")?.body == "ok\n");

    // Chat works without a TTP.
    world.stop_ttp()?;
    wait_until("the TTP is gone", || Ok(get(operator, "/readyz")?.body.contains("TTP: not connected")))?;
    let ready = get(operator, "/readyz")?;
    ensure!(ready.status == 200 && ready.body.starts_with("ready\n"), "{ready:?}");
    expect(&world, &[("parlour_ttp_connected", 0.0), ("parlour_ready", 1.0)])?;

    // Another process has locked the database, so nothing can be written.
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

    // Failed writes are counted, and readiness returns when they stop failing.
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

    // A session that does not read its last lines delays the end.
    let held = world.logged_in_stream("erik")?;
    let text = "x".repeat(8_000);
    wait_until("something waits for erik", || {
        for _ in 0..20 {
            sam.ask(&text, "{} sam: xxx{}")?;
        }
        let scrape = world.scrape()?;
        let waiting = scrape.get("parlour_outgoing_waiting_bytes")?;
        let longest = scrape.get("parlour_outgoing_longest_bytes")?;
        ensure!(longest <= waiting, "{longest} of {waiting}");
        Ok(longest > 100_000.0)
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
fn the_address_is_on_this_machine_alone_and_serves_one_server() -> Result<()> {
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
    // `check` recognizes its own server, and other programs on the port.
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

    // The address from the file, with IPv6 where it exists.
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
    // There is no listener unless it is asked for.
    let mut silent = Process::start("server", &mut world.server_command("127.0.0.1:0")?, Stdio::null())?;
    silent.out.expect("listening on {}")?;
    silent.signal(Signal::SIGTERM)?;
    silent.wait()?;
    silent.out.expect_end()
}

#[test]
fn every_question_costs_little_and_ends_soon() -> Result<()> {
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
        // The first of two requests is answered, and the second is not.
        (request("GET /healthz", "") + &request("GET /readyz", ""), 200),
    ] {
        let first = asked.chars().take(40).collect::<String>();
        match ask(operator, asked.as_bytes()) {
            Ok(answer) => {
                ensure!(answer.status == status, "{first}: {answer:?}");
                ensure!(answer.head.contains("connection: close"), "{first}: {answer:?}");
                ensure!(!answer.body.contains("HTTP/1.1"), "{first}: {answer:?}");
            }
            // Bytes that it had no room for may still be on their way, which resets the connection.
            Err(error) => ensure!(status == 431, "{first}: {error:?}"),
        }
    }
    // A page from elsewhere whose name was made to point here may not read what it gets. A browser says that name.
    let port = operator.port();
    for path in ["/metrics", "/readyz", "/healthz", "/none"] {
        for (host, here) in [
            ("localhost".to_owned(), true),
            (format!("localhost:{port}"), true),
            (format!("LocalHost:{port}"), true),
            (format!("127.0.0.1:{port}"), true),
            (format!("127.9.9.9:{port}"), true),
            (format!("[::1]:{port}"), true),
            ("[::1]".to_owned(), true),
            (format!("evil.example.org:{port}"), false),
            (format!("localhost.example.org:{port}"), false),
            ("evil.example.org".to_owned(), false),
            (format!("10.0.0.1:{port}"), false),
            (format!("[::2]:{port}"), false),
            (format!("localhost:{}", port ^ 1), false),
            ("localhost:port".to_owned(), false),
            (format!("user@localhost:{port}"), false),
            (String::new(), false),
        ] {
            let asked = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let answer = ask(operator, asked.as_bytes())?;
            ensure!((answer.status != 421) == here, "{path} of {host}: {answer:?}");
            ensure!(here || !answer.body.contains("parlour_"), "{host}: {answer:?}");
        }
    }
    for hosts in ["", "Host: localhost\r\nHost: evil.example.org\r\n"] {
        let answer = ask(operator, format!("GET /metrics HTTP/1.1\r\n{hosts}\r\n").as_bytes())?;
        ensure!(answer.status == 421, "{hosts}: {answer:?}");
    }
    let target = b"GET http://evil.example.org/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer = ask(operator, target)?;
    ensure!(answer.status == 421, "the host in the target: {answer:?}");
    let head = ask(operator, request("HEAD /metrics", "").as_bytes())?;
    ensure!(head.status == 200 && head.body.is_empty(), "{head:?}");

    // Clients that send nothing, or only little by little, get a limited number of places for a limited time.
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
    in_time("chat", begun.elapsed(), Duration::from_secs(2))?;
    let during = world.scrape()?.get("process_open_fds")?;
    ensure!(during - before < 16.0, "{during} files after {before}");
    in_time("looking beside silent connections", begun.elapsed(), Duration::from_secs(4))?;
    for mut stream in slow {
        stream.set_read_timeout(Some(DEADLINE))?;
        // A reset is an end as well, but a timeout is not.
        if let Err(error) = stream.read_to_end(&mut Vec::new()) {
            ensure!(error.kind() != std::io::ErrorKind::WouldBlock, "a connection does not end");
        }
    }
    Ok(())
}

#[test]
fn silent_connections_do_not_delay_a_probe() -> Result<()> {
    let world = World::with().metrics().start()?;
    let operator = world.metrics()?;
    let mut silent = Vec::new();
    for number in 0..300 {
        let mut stream = TcpStream::connect(operator)?;
        if number % 3 == 0 {
            stream.write_all(b"GET /healthz HTTP/1.1\r\n")?;
        }
        silent.push(stream);
        if number % 50 == 49 {
            let begun = Instant::now();
            ensure!(get(operator, "/healthz")?.body == "ok\n");
            ensure!(get(operator, "/readyz")?.status == 200);
            in_time(&format!("probe {number}"), begun.elapsed(), Duration::from_secs(2))?;
        }
    }
    Ok(())
}
