//! 24: exhaust it: with connections, handshakes, lines, or by not reading.
//!
//! Bites: each test reaches the cap that it is about, and sees it act. With the count by address switched off in
//! `Gate::enter`, none of sixty further connections was refused. A client that bounded what it keeps in messages
//! alone took all that a hostile server said, and did not leave it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use parlour_tests::{Client, DEADLINE, Logins, Operator, World, in_time, line, slowdown, wait_until};
use serde_json::{Value, json};

#[test]
fn a_flood_of_connections_and_endless_lines_keeps_nobody_out() -> Result<()> {
    const FLOOD: usize = 300;
    let world = World::with()
        .people()
        .limit("connections_per_address=330")
        // None of them goes because of its age, however slow the machine is.
        .limit("handshake_seconds=600")
        .start()?;
    let mut erik = world.logged_in_line("erik")?;
    let mut flood = Vec::new();
    for number in 0..FLOOD {
        let mut stream = TcpStream::connect(world.address()?)?;
        if number % 2 == 0 {
            // The beginning of a ClientHello.
            stream.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01])?;
        }
        flood.push(stream);
    }
    // Lines without an end, by guests.
    let endless = world.line()?;
    for _ in 0..64 {
        endless.send("x".repeat(65_536).as_bytes())?;
    }
    let begun = Instant::now();
    let mut sam = world.logged_in_line("sam")?;
    sam.ask("hello", "{} sam: hello")?;
    erik.expect("{} sam: hello")?;
    in_time("logging in and talking", begun.elapsed(), Duration::from_secs(2))?;
    // With more of them than one address may have, those that came first go.
    for _ in 0..60 {
        flood.push(TcpStream::connect(world.address()?)?);
    }
    wait_until("the oldest unfinished handshakes, and no others, made room", || {
        let closed = flood.iter().map(is_closed).collect::<Result<Vec<bool>>>()?;
        let left = closed.iter().filter(|closed| !**closed).count();
        Ok((300..330).contains(&left) && closed.is_sorted_by_key(|closed| !closed))
    })?;
    erik.ask("still here", "{} erik: still here")?;
    Ok(())
}

/// Returns true if the server has closed this connection.
fn is_closed(stream: &TcpStream) -> Result<bool> {
    stream.set_nonblocking(true)?;
    let mut stream = stream;
    match stream.read(&mut [0]) {
        Ok(0) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(false),
        other => anyhow::bail!("a stranger was told something: {other:?}"),
    }
}

#[test]
fn a_line_of_the_longest_length_is_taken_and_one_byte_more_costs_only_that_line() -> Result<()> {
    let world = World::peopled()?;
    let mut plain = world.logged_in_line("sam")?;
    let mut json = world.json_line("erik")?;
    for _ in 0..2 {
        plain.ask(&"x".repeat(65_536), "error: message too long")?;
        plain.ask(&format!("{}\r", "x".repeat(65_536)), "error: message too long")?;
        plain.ask(&"x".repeat(65_537), "error: line too long")?;
        plain.ask(&"x".repeat(3_000_000), "error: line too long")?;
        plain.ask("/users", "erik sam")?;
        let command = json!({"id": 7, "cmd": "users"}).to_string();
        let padded = |length: usize| format!("{command}{}", " ".repeat(length - command.len()));
        json.say(&padded(65_537))?;
        ensure!(json.lines.answer(&Value::Null)?["error"]["code"] == "line_too_long");
        json.say(&padded(65_536))?;
        ensure!(json.lines.answer(&json!(7))?["ok"] == "users");
    }
    // Bytes that come one by one are a line all the same.
    for byte in b"/users\n" {
        plain.send(&[*byte])?;
    }
    plain.expect("erik sam")?;
    Ok(())
}

#[test]
fn a_client_that_does_not_read_is_cut_off_and_everyone_else_goes_on() -> Result<()> {
    let world =
        World::with().people().limit("commands_per_second=100000").limit("command_burst=100000").start()?;
    let mut slow = world.logged_in_stream("erik")?;
    let mut sam = world.logged_in_line("sam")?;
    let mut anna = world.logged_in_line("anna")?;
    anna.ask("/users", "anna erik sam")?;
    // First the system's buffers fill, then the server's queue.
    let text = "x".repeat(8_000);
    let mut said = 0;
    wait_until("erik is offline", || {
        for _ in 0..20 {
            sam.ask(&text, "{} sam: xxx{}")?;
            anna.expect("{} sam: xxx{}")?;
        }
        said += 20;
        Ok(anna.ask("/users", "{}")? == "anna sam")
    })?;
    let heard = line::rest(&mut slow)?;
    let lines: Vec<&str> = heard.lines().collect();
    wait_until("the reason in the audit log", || {
        let limited = world.audit_entries(&["--kind", "rate_limit", "--user", "erik"])?;
        Ok(limited.iter().any(|entry| entry["detail"] == "slow reader"))
    })?;
    // The lines that the system had taken before, then the reason if there was room for it.
    ensure!(lines.len() < said, "nothing was kept from erik");
    let whole = lines.split_last().map_or([].as_slice(), |(_, whole)| whole);
    ensure!(whole.iter().all(|line| line.ends_with(&format!(" sam: {text}"))), "{} lines", lines.len());
    // Erik comes back and finds what was missed.
    let mut erik = world.robot("erik", &["--user", "erik"])?;
    let backlog = erik.process.out.event("backlog")?;
    ensure!(backlog["messages"].as_array().map(Vec::len) == Some(100));
    Ok(())
}

#[test]
fn connections_and_guests_from_one_address_are_bounded_and_places_come_back() -> Result<()> {
    let world =
        World::with().people().limit("connections_per_address=4").limit("guests_per_address=2").start()?;
    let mut first = world.line()?;
    let mut second = world.line()?;
    for line in [&mut first, &mut second] {
        line.ask("/help", "/register {}")?;
    }
    // The guest who has been silent longest gives way to a new one.
    let mut third = world.line()?;
    third.ask("/help", "/register {}")?;
    first.expect("goodbye: too many connections")?;
    first.lines.expect_end()?;
    let mut fourth = world.line()?;
    fourth.ask("/help", "/register {}")?;
    second.expect("goodbye: too many connections")?;
    second.lines.expect_end()?;
    third.ask("/help", "/register {}")?;
    // Those who have a certificate have places of their own.
    let mut sam = world.logged_in_line("sam")?;
    let mut erik = None;
    wait_until("a place for erik", || {
        erik = world.logged_in_line("erik").ok();
        Ok(erik.is_some())
    })?;
    ensure!(world.line_as("anna").is_err(), "a fifth connection was let in");
    fourth.ask("/help", "/register {}")?;
    sam.ask("/users", "erik sam")?;
    drop(erik);
    drop(third);
    wait_until("a place for another guest", || {
        let Ok(mut line) = world.line() else { return Ok(false) };
        Ok(line.ask("/help", "/register {}").is_ok())
    })?;
    fourth.ask("/help", "/register {}")?;
    wait_until("a place for anna", || Ok(world.logged_in_line("anna").is_ok()))?;
    Ok(())
}

#[test]
fn a_full_account_is_refused_until_there_is_more_room() -> Result<()> {
    let mut world = World::with().people().limit("stored_bytes_per_account=65536").start()?;
    let text = "x".repeat(8_000);
    let mut sam = world.logged_in_line("sam")?;
    for _ in 0..7 {
        sam.ask(&text, "{} sam: xxx{}")?;
    }
    for _ in 0..20 {
        sam.ask(&text, "error: no room for more messages of yours")?;
    }
    sam.ask("short", "{} sam: short")?;
    world.logged_in_line("erik")?.ask(&text, "{} erik: xxx{}")?;
    // One entry says it, however often it was tried.
    let limited = world.audit_entries(&["--kind", "rate_limit", "--user", "sam"])?;
    ensure!(limited.len() == 1 && limited[0]["detail"] == "no room for more messages", "{limited:?}");
    // The count outlives the server, also one that is killed.
    world.kill_server()?;
    world.start_server()?;
    let mut sam = world.logged_in_line("sam")?;
    sam.ask(&text, "error: no room for more messages of yours")?;
    sam.ask("short", "{} sam: short")?;
    Ok(())
}

#[test]
fn a_disk_or_database_that_is_full_refuses_messages_and_still_takes_what_matters() -> Result<()> {
    for limit in ["free_disk_bytes=1125899906842624", "database_bytes=1048576"] {
        let world = World::with().people().limit(limit).start()?;
        let mut erik = world.json_line("erik")?;
        let mut sam = world.logged_in_line("sam")?;
        let full = "error: the server cannot store anything now, try again later";
        let text = "x".repeat(8_000);
        wait_until("there is no room", || Ok(sam.ask(&text, "{}")? == full))?;
        sam.ask(&text, full)?;
        // Stored messages can be read, people can log in, and a revocation takes effect.
        let mut anna = world.logged_in_line("anna")?;
        anna.ask("/users", "anna erik sam")?;
        world.run_ttp(&["revoke", "sam"])?;
        sam.expect("goodbye: this device was revoked")?;
        erik.lines.event("revoked")?;
        ensure!(world.logged_in_line("sam").is_err(), "a revoked device came in");
        // It holds before it is kept.
        wait_until("the revocation in the audit log", || {
            Ok(!world.audit_entries(&["--kind", "device_revoked"])?.is_empty())
        })?;
        let warned = world.server_log().matches("no room for more messages: make room").count();
        ensure!(warned == 1, "{warned} warnings:\n{}", world.server_log());
    }
    Ok(())
}

/// The time until the server closes a bare TCP connection on which this is sent.
fn life(address: SocketAddr, bytes: &[u8]) -> Result<Duration> {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(bytes)?;
    let mut heard = Vec::new();
    // A reset ends it as well.
    if let Err(error) = stream.read_to_end(&mut heard) {
        ensure!(!matches!(error.kind(), std::io::ErrorKind::WouldBlock), "it does not end");
    }
    ensure!(!heard.iter().any(u8::is_ascii_lowercase), "something was said in the clear: {heard:?}");
    Ok(begun.elapsed())
}

#[test]
fn a_client_that_does_not_shake_hands_log_in_speak_or_answer_in_time_is_cut_off_with_the_reason() -> Result<()>
{
    // A second suffices on an idle machine. On a busy one twice as much as it needs now, since its load varies.
    let slowdown = slowdown()?;
    let second = if slowdown < 1.5 { 1.0 } else { (2.0 * slowdown).round().min(15.0) };
    let seconds = |name: &str, count: f64| format!("{name}={}", second * count);
    let world = World::with()
        .people()
        .limit(&seconds("handshake_seconds", 1.0))
        .limit(&seconds("login_seconds", 1.0))
        .limit(&seconds("guest_idle_seconds", 1.0))
        .limit(&seconds("ping_seconds", 1.0))
        .limit(&seconds("dead_seconds", 2.0))
        .start()?;
    let second = Duration::from_secs_f64(second);
    let address = world.address()?;
    // The beginning of a ClientHello, and no more.
    let hello = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01];
    let silent = std::thread::spawn(move || life(address, b""));
    let begun_hello = std::thread::spawn(move || life(address, &hello));
    let mut idle = world.line()?;
    let mut no_login = world.line_as("anna")?;
    let mut dead = world.json_line("sam")?;
    let mut robot = world.robot("erik", &["--user", "erik"])?;
    robot.process.out.event("backlog")?;
    let begun = Instant::now();

    idle.expect("goodbye: idle for too long")?;
    idle.lines.expect_end()?;
    no_login.expect("goodbye: no login in time")?;
    no_login.lines.expect_end()?;
    in_time("sending both away", begun.elapsed(), 4 * second)?;
    dead.lines.event("ping")?;
    let goodbye = dead.lines.event("goodbye")?;
    ensure!(goodbye["reason"] == "dead", "{goodbye}");
    dead.lines.expect_end()?;
    for life in [silent, begun_hello] {
        let life = life.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
        ensure!(life >= second.mul_f64(0.9), "it was cut off after {life:?}");
        in_time("cutting it off", life, 4 * second)?;
    }

    // A guest who speaks stays, and so does a client that answers, long after their time without it.
    let mut busy = world.line()?;
    let begun = Instant::now();
    while begun.elapsed() < 2 * second {
        busy.ask("/help", "/register {}")?;
    }
    let users = robot.call(&json!({"id": 1, "do": "users"}))?;
    ensure!(users["users"] == json!(["erik"]), "{users}");
    ensure!(world.server_log().matches("logged in user=erik").count() == 1, "erik was cut off");
    Ok(())
}

/// The most memory that a process has taken so far, in bytes, by proc(5).
fn peak(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1_024)
}

/// This many long messages of the lobby, as events from a server.
fn flood(count: usize) -> Vec<u8> {
    let text = "x".repeat(8_000);
    let told = |seq| {
        let message_id = "01a1fdab-1471-7725-b0bb-a37fc1d39b82";
        let event = json!({"event": "message", "to": "#lobby", "from": "erik", "seq": seq, "time": 1,
            "message_id": message_id, "text": text});
        format!("{event}\n")
    };
    (10..10 + count).map(told).collect::<String>().into_bytes()
}

#[test]
fn a_server_that_talks_without_end_takes_little_of_a_clients_memory() -> Result<()> {
    const MANY: usize = 12_000;
    const MEMORY: u64 = 90 * 1_024 * 1_024;
    let world = World::peopled()?;
    world.logged_in("erik")?.ask("hello", "{} erik: hello")?;
    let logins = AtomicUsize::new(0);
    // First it talks instead of answering the login, then instead of handing out what was missed; then it is honest.
    let operator = Operator::before(&world, "sam", Logins::Anew, move |line| {
        let is = |ok: &str| line.contains(&format!("\"ok\":\"{ok}\""));
        if is("logged_in") {
            logins.fetch_add(1, Ordering::Relaxed);
        }
        match logins.load(Ordering::Relaxed) {
            1 if is("logged_in") => flood(MANY),
            2 if is("conversations") => [line.as_bytes(), b"\n", &flood(MANY / 4)].concat(),
            2 if is("history") => Vec::new(),
            _ => format!("{line}\n").into_bytes(),
        }
    })?;
    let mut command = world.client_command_to("sam", &operator.address())?;
    let mut sam = Client::start("sam", command.args(["--json", "--user", "sam"]))?;
    for _ in 0..2 {
        loop {
            let event = sam.process.out.event("connection")?;
            if event["is"] == "offline" {
                let reason = "the server sent more at once than this client keeps in memory";
                ensure!(event["reason"] == reason && event["retry_seconds"].is_number(), "{event}");
                break;
            }
        }
    }
    let backlog = sam.process.out.event("backlog")?;
    ensure!(backlog["messages"][0]["text"] == "hello", "{backlog}");
    let peak = peak(sam.pid()?)?;
    ensure!(peak < MEMORY, "it took {peak} bytes");
    Ok(())
}

#[test]
fn connections_that_do_not_log_in_keep_nobody_out() -> Result<()> {
    let world =
        World::with().people().limit("connections_per_address=8").limit("login_seconds=3600").start()?;
    let mut sam = world.logged_in_line("sam")?;
    // Anna's device proves its key in each handshake, and does not log in.
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.extend(world.line_as("anna"));
    }
    let mut erik = None;
    wait_until("a place for erik", || {
        erik = world.logged_in_line("erik").ok();
        Ok(erik.is_some())
    })?;
    sam.ask("still here", "{} sam: still here")?;
    Ok(())
}
