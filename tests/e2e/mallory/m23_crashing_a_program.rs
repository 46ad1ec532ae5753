//! 23: crash a program. Both sides receive valid and invalid lines, generated from a seed that a failing test
//! names.
//!
//! A panic would be noticed: every world searches its server's log for one, and these tests search the clients'
//! output.
//!
//! Bites: with an assertion that each command in json has an `id` in the server's `carry_out`, and an `unwrap` in
//! place of the client's `map_err` after `parse_server_line`, both tests saw the panic.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use parlour_tests::{Author, Client, Garbage, Line, Logins, Operator, Terminal, World, slowdown, wait_until};
use serde_json::json;
use socket2::SockRef;

use super::fast;

/// The number of lines that a hostile client sends on a connection, and the number of connections.
const LINES: usize = 150;
const CONNECTIONS: usize = 8;

/// The number of times that a client is started against a hostile server, with each face.
const CLIENTS: usize = 8;

/// Lines that a server accepts, from which the others are made.
fn good_lines(world: &World) -> Result<[String; 14]> {
    let (mut sam, erik) = (Author::of(world, "sam")?, Author::of(world, "erik")?);
    let letter = sam.write(&erik, "hello")?;
    Ok([
        "hello".to_owned(),
        "/users".to_owned(),
        "/help".to_owned(),
        "/register zoe x.eyJuYW1lIjoiem9lIn0.y".to_owned(),
        "/login sam AAAA".to_owned(),
        format!("@erik {}", letter.sealed),
        letter.post(1).to_string(),
        json!({"id": 2, "cmd": "history", "conversation": "#lobby", "after": 0, "limit": 100}).to_string(),
        json!({"id": "x", "cmd": "account", "name": "erik"}).to_string(),
        json!({"id": 3, "cmd": "post", "to": "#lobby", "text": "hi", "message_id": letter.id}).to_string(),
        json!({"id": 4, "cmd": "conversations"}).to_string(),
        json!({"id": 5, "cmd": "renew", "request": "x.y.z"}).to_string(),
        json!({"id": 6, "cmd": "login", "name": "sam", "signature": "AAAA"}).to_string(),
        json!({"id": 7, "cmd": "pong"}).to_string(),
    ])
}

#[test]
fn a_hostile_client_ends_at_most_its_own_session() -> Result<()> {
    let world = World::with()
        .people()
        .limit("commands_per_second=100000")
        .limit("command_burst=100000")
        .limit("failed_logins_per_minute=100000")
        .start()?;
    let lines = good_lines(&world)?;
    let lines = lines.each_ref().map(String::as_str);
    let mut garbage = Garbage::new();
    let mut erik = world.logged_in_line("erik")?;
    for connection in 0..CONNECTIONS {
        let mut line: Line = match connection % 4 {
            0 => world.line()?,
            1 => world.line_as("sam")?,
            2 => world.logged_in_line("sam")?,
            _ => {
                let line = world.logged_in_line("sam")?;
                line.say("/dialect json")?;
                line
            }
        };
        for _ in 0..LINES {
            let spoiled = {
                let line = garbage.one_of(&lines);
                garbage.spoil(line)
            };
            // A wrong login, or an exit among them, ends the session.
            if line.send(&spoiled).is_err() {
                break;
            }
            line.lines.so_far();
        }
        line.close();
        erik.say("/users")?;
        wait_until("erik is answered", || Ok(erik.lines.next_line()?.split(' ').any(|user| user == "erik")))?;
    }
    Ok(())
}

/// A server that spoils one line in a certain number, and counts the spoiled ones.
fn hostile_server(world: &World, spoilt: &Arc<AtomicUsize>) -> Result<Operator> {
    let mut garbage = Garbage::new();
    let spoilt = Arc::clone(spoilt);
    Operator::before(world, "sam", Logins::Anew, move |line| {
        if garbage.once_in(3) {
            spoilt.fetch_add(1, Ordering::Relaxed);
            garbage.spoil(line)
        } else {
            format!("{line}\n").into_bytes()
        }
    })
}

#[test]
fn a_hostile_server_crashes_no_client() -> Result<()> {
    let world = fast()?;
    let mut erik = world.logged_in("erik")?;
    for text in ["@sam one", "@sam two", "three"] {
        erik.ask(text, &format!("{{}} erik: {text}"))?;
    }
    let spoilt = Arc::new(AtomicUsize::new(0));
    let operator = hostile_server(&world, &spoilt)?;
    let a_while = Duration::from_millis(400).mul_f64(slowdown()?.min(5.0));
    for round in 0..CLIENTS * 2 {
        let before = spoilt.load(Ordering::Relaxed);
        let mut command = world.client_command_to("sam", &operator.address())?;
        let face = if round % 2 == 0 { "--plain" } else { "--json" };
        let mut sam = Client::start("sam", command.args([face, "--user", "sam"]))?;
        for line in ["/users", "hello", "@erik hello", "@nobody hello", "/history @erik"] {
            // It may have exited by now: a client leaves a server that makes no sense.
            let _ = sam.type_line(line);
            let _ = sam.type_line(&json!({"id": 1, "do": "say", "to": "@erik", "text": line}).to_string());
        }
        sam.close();
        // From the first spoilt line on, the client has a while to crash.
        let mut met = None;
        wait_until("the client hears a spoilt line", || {
            if spoilt.load(Ordering::Relaxed) > before {
                met.get_or_insert_with(Instant::now);
            }
            Ok(sam.process.has_ended()? || met.is_some_and(|met: Instant| met.elapsed() > a_while))
        })?;
        // A client whose answer was garbled waits for half a minute, which is not a crash.
        if !sam.process.has_ended()? {
            sam.process.crash()?;
        }
        let errors = sam.process.errors();
        ensure!(!errors.contains("panicked"), "{errors}");
    }
    let before = spoilt.load(Ordering::Relaxed);
    let mut terminal = Terminal::start(&world, "sam", &operator.address())?;
    let mut met = None;
    wait_until("the terminal hears a spoilt line", || {
        ensure!(!terminal.bytes().contains("panicked"), "{}", terminal.bytes());
        if spoilt.load(Ordering::Relaxed) > before {
            met.get_or_insert_with(Instant::now);
        }
        Ok(met.is_some_and(|met: Instant| met.elapsed() > 4 * a_while))
    })?;
    drop(terminal);
    ensure!(spoilt.load(Ordering::Relaxed) > CLIENTS, "hardly anything was spoilt");
    // Data kept from the hostile server does not keep it from using an honest one.
    let mut sam = world.robot("sam", &["--user", "sam"])?;
    sam.process.out.event("backlog")?;
    ensure!(sam.call(&json!({"id": 1, "do": "users"}))?["users"] == json!(["erik", "sam"]));
    Ok(())
}

#[test]
fn a_connection_that_breaks_in_the_middle_of_everything_ends_nothing_but_itself() -> Result<()> {
    let world =
        World::with().people().limit("commands_per_second=100000").limit("command_burst=100000").start()?;
    let mut erik = world.logged_in_line("erik")?;
    for _ in 0..20 {
        let mut sam = world.logged_in_stream("sam")?;
        sam.write_all("what I say while I fall\n".repeat(40).as_bytes())?;
        sam.flush()?;
        erik.expect("{} sam: what I say while I fall")?;
        // A reset while its messages are still being stored.
        SockRef::from(&sam.sock).set_linger(Some(Duration::ZERO))?;
        drop(sam);
        wait_until("sam is gone", || {
            erik.say("/users")?;
            Ok(erik.lines.wait_for("{}erik{}").is_ok_and(|users| users == "erik"))
        })?;
    }
    // The end of every world checks that no task panicked.
    Ok(())
}
