//! The limits: what is above them is refused, slowed down or cut off, and nobody else notices.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use parlour_tests::line::{self, Stream};
use parlour_tests::{DEADLINE, Line, World, wait_until};
use serde_json::{Value, json};
use socket2::SockRef;

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

/// A connection on which somebody is logged in in plain, and which reads no further by itself.
fn deaf(world: &World, name: &str) -> Result<Stream> {
    let profile = world.profile(name);
    let (certificate, key) = (profile.join("device.crt"), profile.join("device.key"));
    let config = line::config(&world.root(), Some((&certificate, &key)))?;
    let mut stream = line::connect(world.address()?, config)?;
    let signature = line::signature(&key, &name.parse()?, &line::exporter(&stream)?)?;
    stream.write_all(format!("/login {name} {signature}\n").as_bytes())?;
    // What others say may come before the answer.
    let mut heard = Vec::new();
    while !heard.ends_with(b"Authentication Succeeded\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        heard.push(byte[0]);
    }
    Ok(stream)
}

/// What still comes, up to the end of the connection.
fn rest(stream: &mut Stream) -> Result<String> {
    stream.sock.set_read_timeout(Some(DEADLINE))?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 16_384];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                anyhow::bail!("the connection does not end")
            }
            // Cut off in the middle of something.
            Err(_) => break,
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[test]
fn who_does_not_read_is_cut_off_and_everyone_else_goes_on() -> Result<()> {
    let world =
        World::with().people().limit("commands_per_second=100000").limit("command_burst=100000").start()?;
    let mut slow = deaf(&world, "erik")?;
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
    let heard = rest(&mut slow)?;
    let lines: Vec<&str> = heard.lines().collect();
    wait_until("the reason in the audit log", || {
        let limited = world.audit_entries(&["--kind", "rate_limit", "--user", "erik"])?;
        Ok(limited.iter().any(|entry| entry["detail"] == "slow reader"))
    })?;
    // What the system had taken before, then the reason if there was room for it.
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
fn who_asks_much_and_reads_late_gets_every_answer() -> Result<()> {
    // More answers than the system takes, and fewer questions.
    const QUESTIONS: usize = 30_000;
    let world = World::with()
        .people()
        .limit("outgoing_queue_bytes=65536")
        .limit("commands_per_second=100000")
        .limit("command_burst=100000")
        .start()?;
    let mut late = deaf(&world, "erik")?;
    let questions = "/help\n".repeat(QUESTIONS);
    late.write_all(questions.as_bytes())?;
    late.write_all(b"/exit\n")?;
    late.flush()?;
    let mut sam = world.logged_in_line("sam")?;
    sam.ask("/users", "erik sam")?;
    let heard = rest(&mut late)?;
    let answers = heard.lines().filter(|line| line.starts_with("/register NAME")).count();
    ensure!(answers == QUESTIONS && heard.lines().count() == QUESTIONS, "{answers} answers");
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
    let mut third = world.line()?;
    third.expect("goodbye: too many connections")?;
    third.lines.expect_end()?;
    // Those who have a certificate have places of their own.
    let mut sam = world.logged_in_line("sam")?;
    let mut erik = None;
    wait_until("a place for erik", || {
        erik = world.logged_in_line("erik").ok();
        Ok(erik.is_some())
    })?;
    ensure!(world.line_as("anna").is_err(), "a fifth connection was let in");
    first.ask("/help", "/register {}")?;
    sam.ask("/users", "erik sam")?;
    drop(erik);
    drop(second);
    wait_until("a place for another guest", || {
        let Ok(mut line) = world.line() else { return Ok(false) };
        Ok(line.ask("/help", "/register {}").is_ok())
    })?;
    wait_until("a place for anna", || Ok(world.logged_in_line("anna").is_ok()))?;
    Ok(())
}

/// How long a bare TCP connection lives on which this is sent.
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
fn who_does_not_shake_hands_log_in_speak_or_answer_in_time_is_cut_off_with_the_reason() -> Result<()> {
    let world = World::with()
        .people()
        .limit("handshake_seconds=1")
        .limit("login_seconds=1")
        .limit("guest_idle_seconds=1")
        .limit("ping_seconds=1")
        .limit("dead_seconds=2")
        .start()?;
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
    ensure!(begun.elapsed() < Duration::from_secs(4), "it took {:?}", begun.elapsed());
    dead.lines.event("ping")?;
    let goodbye = dead.lines.event("goodbye")?;
    ensure!(goodbye["reason"] == "dead", "{goodbye}");
    dead.lines.expect_end()?;
    for life in [silent, begun_hello] {
        let life = life.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
        ensure!((Duration::from_millis(900)..Duration::from_secs(4)).contains(&life), "{life:?}");
    }

    // A guest who speaks stays, and so does a client that answers, long after their time without it.
    let mut busy = world.line()?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        busy.ask("/help", "/register {}")?;
    }
    let users = robot.call(&json!({"id": 1, "do": "users"}))?;
    ensure!(users["users"] == json!(["erik"]), "{users}");
    ensure!(world.server_log().matches("logged in user=erik").count() == 1, "erik was cut off");
    Ok(())
}

#[test]
fn who_is_too_fast_is_slowed_down_and_refused_nothing() -> Result<()> {
    let world = World::with().people().limit("commands_per_second=50").limit("command_burst=10").start()?;
    let mut sam = world.logged_in_line("sam")?;
    let mut erik = world.logged_in_line("erik")?;
    let begun = Instant::now();
    let lines: Vec<String> = (1..=85).map(|n| format!("message {n}\n")).collect();
    sam.send(lines.concat().as_bytes())?;
    // Others are not slowed down with her.
    let mut others = Duration::ZERO;
    for n in 1..=85 {
        sam.expect(&format!("{{}} sam: message {n}"))?;
        if n == 20 {
            let asked = Instant::now();
            erik.say("/users")?;
            erik.lines.wait_for("erik sam")?;
            others = asked.elapsed();
        }
    }
    // The burst was begun by the login.
    ensure!(begun.elapsed() >= Duration::from_millis(1_400), "85 lines took {:?}", begun.elapsed());
    ensure!(others < Duration::from_secs(1), "erik waited {others:?}");
    Ok(())
}

#[test]
fn registrations_and_renewals_above_their_rate_are_refused() -> Result<()> {
    let world =
        World::with().people().limit("registrations_per_hour=2").limit("renewals_per_hour=2").start()?;
    // Whether the request is any good does not matter; whether its name is, is seen for nothing.
    let request = |line: &mut Line, pattern: &str| {
        // {"name":"zoe"} in base64url.
        line.ask("/register zoe x.eyJuYW1lIjoiem9lIn0.y", pattern).map(|_| ())
    };
    let too_many = "error: too many attempts from this address, try again in {} seconds";
    let mut line = world.line()?;
    line.ask("/register nobody x.y.z", "error: certificate request refused")?;
    line.ask("/register anna x.eyJuYW1lIjoiem9lIn0.y", "error: invalid command format")?;
    request(&mut line, "error: certificate request refused")?;
    request(&mut line, "error: certificate request refused")?;
    request(&mut line, too_many)?;
    // Also on another connection.
    let mut line = world.line()?;
    request(&mut line, too_many)?;
    line.ask("/dialect json", r#"{"dialect":"json"}"#)?;
    for (id, code) in [(1, "request_refused"), (2, "request_refused"), (3, "too_many")] {
        let reply = line.call(&json!({"id": id, "cmd": "renew", "request": "x.y.z"}))?;
        ensure!(reply["error"]["code"] == code, "{reply}");
    }
    // It has nothing to do with logging in and talking.
    world.logged_in_line("sam")?.ask("hello", "{} sam: hello")?;
    Ok(())
}

#[test]
fn each_of_many_commands_gets_exactly_one_reply_in_their_order() -> Result<()> {
    const ROUNDS: usize = 60;
    let world = World::with()
        .people()
        .limit("commands_per_second=100000")
        .limit("command_burst=100000")
        .limit("posts_in_flight=8")
        .start()?;
    let mut sam = world.json_line("sam")?;
    let mut erik = world.logged_in_line("erik")?;
    let (mut commands, mut expected) = (String::new(), Vec::new());
    let mut add = |command: Value, reply: &str| {
        let id = json!(expected.len());
        let mut command = command;
        command["id"] = id.clone();
        commands.push_str(&command.to_string());
        commands.push('\n');
        expected.push((id, reply.to_owned()));
    };
    for round in 0..ROUNDS {
        let message = |n: usize| format!("0197741c-9a80-7000-{n:04x}-{round:012x}");
        let post = |n: usize, to: &str| json!({"cmd": "post", "to": to, "message_id": message(n), "text": format!("{round}.{n}")});
        add(post(0, "#lobby"), "posted");
        add(post(1, "#lobby"), "posted");
        add(post(2, "#other"), "conversation_not_found");
        add(json!({"cmd": "users"}), "users");
        add(post(3, "#lobby"), "posted");
        add(json!({"cmd": "dance"}), "unknown_command");
        add(json!({"cmd": "login", "name": "sam", "signature": "AAAA"}), "not_now");
        add(json!({"cmd": "history"}), "format");
        add(post(4, "@erik"), "must_be_sealed");
        add(json!({"cmd": "account", "name": "nobody"}), "user_not_found");
        add(json!({"cmd": "history", "conversation": "#lobby", "limit": 1}), "history");
        add(json!({"cmd": "pong"}), "pong");
        // The same again: the same answer.
        add(post(3, "#lobby"), "posted");
    }
    sam.send(commands.as_bytes())?;
    for (id, reply) in &expected {
        let line = sam.lines.json()?;
        ensure!(line.get("event").is_none(), "{line}");
        let said = line["ok"].as_str().or(line["error"]["code"].as_str()).unwrap_or_default();
        ensure!(line["id"] == *id && said == reply, "{id} {reply}: {line}");
    }
    sam.say(&json!({"id": "last", "cmd": "exit"}).to_string())?;
    ensure!(sam.lines.json()? == json!({"id": "last", "ok": "goodbye"}));
    sam.lines.expect_end()?;
    for round in 0..ROUNDS {
        for n in [0, 1, 3] {
            erik.expect(&format!("{{}} sam: {round}.{n}"))?;
        }
    }
    erik.ask("/users", "erik")?;
    Ok(())
}

#[test]
fn a_connection_that_breaks_in_the_middle_of_everything_ends_nothing_but_itself() -> Result<()> {
    let world =
        World::with().people().limit("commands_per_second=100000").limit("command_burst=100000").start()?;
    let mut erik = world.logged_in_line("erik")?;
    for _ in 0..20 {
        let mut sam = deaf(&world, "sam")?;
        sam.write_all("what I say while I fall\n".repeat(40).as_bytes())?;
        sam.flush()?;
        erik.expect("{} sam: what I say while I fall")?;
        // A reset, with what was said still being stored.
        SockRef::from(&sam.sock).set_linger(Some(Duration::ZERO))?;
        drop(sam);
        wait_until("sam is gone", || {
            erik.say("/users")?;
            Ok(erik.lines.wait_for("{}erik{}").is_ok_and(|users| users == "erik"))
        })?;
    }
    // That no task panicked is seen at the end of every world.
    Ok(())
}

#[test]
fn a_burst_of_long_messages_reaches_who_reads_once_and_in_order() -> Result<()> {
    let world = World::peopled()?;
    let mut anna = world.robot("anna", &["--user", "anna"])?;
    anna.process.out.event("backlog")?;
    let sam = world.logged_in_line("sam")?;
    // All that the burst allows, and in all more than a session's queue holds.
    let lines: Vec<String> = (1..=55).map(|n| format!("{n:0>8192}\n")).collect();
    sam.send(lines.concat().as_bytes())?;
    // Whether it is too much for a queue depends on how busy this machine is. Anna does not notice.
    for line in &lines {
        let event = anna.process.out.event("message")?;
        ensure!(event["message"]["text"] == line.trim_end(), "{event}");
    }
    anna.call(&json!({"id": 1, "do": "users"}))?;
    Ok(())
}
