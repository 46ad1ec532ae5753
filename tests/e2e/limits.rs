//! The limits: anything above them is refused, slowed down or cut off, and nobody else is affected.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Result, ensure};
use parlour_tests::line::{self};
use parlour_tests::{Process, World, run_to_end, wait_until};
use rusqlite::Connection;
use serde_json::{Value, json};

#[test]
fn a_client_that_asks_much_and_reads_late_gets_every_answer() -> Result<()> {
    // More answers than the system accepts, and fewer questions.
    const QUESTIONS: usize = 30_000;
    let world = World::with()
        .people()
        .limit("outgoing_queue_bytes=65536")
        .limit("commands_per_second=100000")
        .limit("command_burst=100000")
        .start()?;
    let mut late = world.logged_in_stream("erik")?;
    let questions = "/help\n".repeat(QUESTIONS);
    late.write_all(questions.as_bytes())?;
    late.write_all(b"/exit\n")?;
    late.flush()?;
    let mut sam = world.logged_in_line("sam")?;
    sam.ask("/users", "erik sam")?;
    let heard = line::rest(&mut late)?;
    let answers = heard.lines().filter(|line| line.starts_with("/register NAME")).count();
    ensure!(answers == QUESTIONS && heard.lines().count() == QUESTIONS, "{answers} answers");
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
        // The same again gets the same answer.
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
fn messages_under_way_are_bounded_in_bytes_over_all_sessions_and_none_of_them_is_refused() -> Result<()> {
    const EACH: usize = 60;
    let world = World::with()
        .people()
        .metrics()
        .limit("posts_in_flight=1000")
        .limit("posts_in_flight_bytes=1048576")
        .limit("commands_per_second=100000")
        .limit("command_burst=100000")
        .limit("outgoing_queue_bytes=67108864")
        .start()?;
    let mut lines =
        [world.logged_in_line("sam")?, world.logged_in_line("erik")?, world.logged_in_line("anna")?];
    // As long as this holds the database nothing can be stored, so that messages gather.
    let database = Connection::open(world.database())?;
    database.execute_batch("BEGIN IMMEDIATE")?;
    let texts = (1..=EACH).map(|n| format!("{n:0>8192}\n")).collect::<Vec<_>>().concat();
    let texts = texts.as_bytes();
    std::thread::scope(|scope| -> Result<()> {
        let sending = lines.each_mut().map(|line| scope.spawn(move || line.send(texts)));
        let waited = wait_until("a session waits for room", || {
            Ok(world.scrape()?.get(r#"parlour_limits_hit_total{limit="posts_in_flight_bytes"}"#)? >= 1.0)
        });
        database.execute_batch("ROLLBACK")?;
        for sent in sending {
            sent.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??;
        }
        waited
    })?;
    for line in &mut lines {
        let mut heard = BTreeMap::new();
        for _ in 0..3 * EACH {
            let said = line.expect("{} {}: {}")?;
            let (head, text) = said.rsplit_once(": ").unwrap_or_default();
            let next = heard.entry(head.rsplit_once(' ').unwrap_or_default().1.to_owned()).or_insert(0);
            *next += 1;
            ensure!(text == format!("{next:0>8192}"), "{head}: {next}");
        }
        ensure!(heard.values().all(|count| *count == EACH) && heard.len() == 3, "{heard:?}");
    }
    Ok(())
}

#[test]
fn a_burst_of_long_messages_reaches_a_reader_once_and_in_order() -> Result<()> {
    let world = World::peopled()?;
    let mut anna = world.robot("anna", &["--user", "anna"])?;
    anna.process.out.event("backlog")?;
    let sam = world.logged_in_line("sam")?;
    // All that the burst allows, and more in total than a session's queue holds.
    let lines: Vec<String> = (1..=55).map(|n| format!("{n:0>8192}\n")).collect();
    sam.send(lines.concat().as_bytes())?;
    // It depends on the load of this machine if this fills a queue. Anna is not affected.
    for line in &lines {
        let event = anna.process.out.event("message")?;
        ensure!(event["message"]["text"] == line.trim_end(), "{event}");
    }
    anna.call(&json!({"id": 1, "do": "users"}))?;
    Ok(())
}

/// The files in a folder, with their lengths.
fn lengths(folder: &Path) -> Result<BTreeMap<String, u64>> {
    let mut lengths = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        lengths.insert(entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len());
    }
    Ok(lengths)
}

#[test]
fn log_files_are_bounded_also_when_a_stranger_fills_them() -> Result<()> {
    let world = World::with().prepare()?;
    let folder = world.path("logs");
    std::fs::create_dir(&folder)?;
    let mut command = world.server_command("127.0.0.1:0")?;
    command.args(["--log-file", "logs/server.log", "--limit", "log_bytes=4096", "--limit", "log_files=2"]);
    let mut server = Process::start("server", &mut command, Stdio::null())?;
    let address = server.out.expect("listening on {}")?;
    let address = address.trim_start_matches("listening on ");
    wait_until("the oldest log file went", || {
        for _ in 0..50 {
            TcpStream::connect(address)?.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
        }
        let started = std::fs::read_to_string(folder.join("server.log.2"));
        Ok(started.is_ok_and(|text| !text.contains("confined")))
    })?;
    server.signal(nix::sys::signal::Signal::SIGTERM)?;
    ensure!(server.wait()?.success());
    let lengths = lengths(&folder)?;
    ensure!(lengths.keys().eq(["server.log", "server.log.1", "server.log.2"]), "{lengths:?}");
    ensure!(lengths.values().all(|length| *length <= 4_096), "{lengths:?}");
    ensure!(server.errors().is_empty(), "standard error got {}", server.errors());
    let log = std::fs::read_to_string(folder.join("server.log"))?;
    ensure!(log.lines().last().is_some_and(|line| line.contains("stopped")), "{log}");

    let mut ttp = world.command("parlour-ttp")?;
    ttp.args(["serve", "--keys", "keys", "--log-file", "logs/ttp.log"]);
    let mut ttp = Process::start("ttp", &mut ttp, Stdio::null())?;
    ttp.out.expect("serving on {}")?;
    let log = std::fs::read_to_string(folder.join("ttp.log"))?;
    ensure!(log.contains("confined"), "{log}");
    ttp.signal(nix::sys::signal::Signal::SIGTERM)?;
    ensure!(ttp.wait()?.success());

    for program in ["parlour-server", "parlour-ttp"] {
        let run = if program == "parlour-ttp" { "serve" } else { "run" };
        let mut command = world.command(program)?;
        let finished = run_to_end(program, command.args([run, "--log-file", "nowhere/a.log"]), "")?;
        ensure!(finished.code == 2, "{finished:#?}");
        ensure!(
            finished.error()?.starts_with("error: cannot write the log nowhere/a.log: "),
            "{finished:#?}"
        );
        ensure!(finished.hint().starts_with("hint: --log-file takes a file in a folder"), "{finished:#?}");
    }
    Ok(())
}
