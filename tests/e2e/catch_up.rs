//! Returning to a large number of missed private messages: the newest appear at once, the rest is opened on all
//! cores behind them, and nothing is lost when the client is stopped meanwhile.

use std::time::Instant;

use anyhow::{Result, ensure};
use parlour_tests::{Author, Line, Terminal, World, wait_until};
use serde_json::{Value, json};

/// More than ten pages.
const MESSAGES: u64 = 300;

/// The number of messages in the measurement.
const MANY: u64 = 10_000;

/// Erik, who seals for sam and sends as fast as the server accepts.
struct Writer {
    line: Line,
    erik: Author,
    sam: Author,
}

impl Writer {
    fn new(world: &World) -> Result<Self> {
        let (erik, sam) = (Author::of(world, "erik")?, Author::of(world, "sam")?);
        Ok(Self { line: world.json_line("erik")?, erik, sam })
    }

    /// Writes this many more; the server has stored them when this returns.
    fn write(&mut self, count: u64) -> Result<()> {
        for _ in 0..count {
            let n = self.erik.written();
            let letter = self.erik.write(&self.sam, &text(n))?;
            self.line.say(&letter.post(n).to_string())?;
        }
        let last = self.line.lines.answer(&json!(self.erik.written() - 1))?;
        ensure!(last.get("ok") == Some(&json!("posted")), "{last}");
        Ok(())
    }
}

/// The text of the message with this number; without a space, so that a terminal receives it in one piece.
fn text(n: u64) -> String {
    format!("message-{n}")
}

/// A world in which sam has read one message from erik and then missed this many.
fn missed(count: u64) -> Result<World> {
    let world = World::with().people().limit("commands_per_second=1000000").start()?;
    let mut erik = Writer::new(&world)?;
    erik.write(1)?;
    let mut sam = world.logged_in("sam")?;
    sam.expect("{} erik: @sam message-0")?;
    ensure!(sam.leave()? == 0);
    erik.write(count)?;
    erik.line.close();
    Ok(world)
}

/// Reads sam's whole conversation with erik: it must have all of erik's messages, in order, opened and valid.
fn read_all(world: &World, count: u64) -> Result<Vec<Value>> {
    let arguments = ["history", "@erik", "--limit", &(count + 2).to_string(), "--json"];
    let read = world.one_shot("sam", &arguments, "")?;
    let messages: Vec<Value> =
        read.out.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
    let of_erik: Vec<&Value> = messages.iter().filter(|message| message["from"] == "erik").collect();
    ensure!(of_erik.len() as u64 == count + 1, "{} of {}: {}", of_erik.len(), count + 1, read.errors);
    for (message, n) in of_erik.into_iter().zip(0..) {
        ensure!(message["text"] == text(n) && message["seq"] == n + 1, "{n}: {message}");
        ensure!(message["verdict"] == json!({"is": "good"}), "{message}");
    }
    Ok(messages)
}

/// The number of messages on sam's machine.
fn kept(world: &World) -> Result<u64> {
    let database = rusqlite::Connection::open(world.profile("sam").join("local.db"))?;
    Ok(database.query_row("SELECT count(*) FROM messages", [], |row| row.get(0))?)
}

#[test]
fn a_returning_user_is_heard_before_everything_is_opened_and_then_has_it_in_order() -> Result<()> {
    let world = missed(MESSAGES)?;
    let mut erik = world.robot("erik", &["--user", "erik"])?;
    erik.process.out.event("backlog")?;
    let mut sam = world.robot("sam", &["--user", "sam"])?;
    sam.process.out.event("logged_in")?;
    sam.type_line(&json!({"id": 1, "do": "say", "to": "@erik", "text": "I am back"}).to_string())?;
    let heard = erik.process.out.event("message")?["message"].take();
    let so_far = sam.process.out.so_far();
    ensure!(heard["text"] == "I am back" && heard["verdict"] == json!({"is": "good"}), "{heard}");
    ensure!(!so_far.iter().any(|line| line.contains("\"backlog\"")), "erik had to wait: {so_far:#?}");

    let backlog = sam.process.out.event("backlog")?;
    let seqs: Vec<u64> = backlog["messages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|message| message["from"] == "erik")
        .filter_map(|message| message["seq"].as_u64())
        .collect();
    ensure!(seqs.iter().copied().eq(seqs[0]..=MESSAGES + 1) && seqs.len() >= 99, "{seqs:?}");
    let said = sam.process.out.answer(&json!(1))?["message"].take();
    ensure!(said["seq"] == MESSAGES + 2 && said["verdict"] == json!({"is": "good"}), "{said}");
    let all = read_all(&world, MESSAGES)?;
    ensure!(all.last() == Some(&said), "{:?}", all.last());
    // The chain continues.
    let again = sam.call(&json!({"id": 2, "do": "say", "to": "@erik", "text": "and stay"}))?;
    ensure!(again["message"]["verdict"] == json!({"is": "good"}), "{again}");
    ensure!(sam.leave()? == 0 && erik.leave()? == 0);
    Ok(())
}

#[test]
fn a_client_that_is_stopped_while_it_opens_what_was_missed_goes_on_where_it_was() -> Result<()> {
    let world = missed(MESSAGES)?;
    let mut before = kept(&world)?;
    for crashes in [true, false] {
        let mut sam = world.robot("sam", &["--user", "sam"])?;
        wait_until("some more are kept", || Ok(kept(&world)? >= before + 40))?;
        if crashes {
            sam.process.crash()?;
        } else {
            ensure!(sam.leave()? == 0);
        }
        before = kept(&world)?;
        ensure!(before <= MESSAGES, "everything was opened before it was stopped");
    }
    let mut sam = world.logged_in("sam")?;
    for n in MESSAGES - 99..=MESSAGES {
        sam.expect(&format!("{{}} erik: @sam {}", text(n)))?;
    }
    ensure!(sam.leave()? == 0);
    sam.process.out.expect_end()?;
    read_all(&world, MESSAGES).map(|_| ())
}

/// A measurement, to be run by itself with `--nocapture`, and with `PARLOUR_BIN` as the folder of the
/// release programs.
#[test]
#[ignore = "takes half a minute, and the machine for itself"]
fn catch_up_with_ten_thousand_messages_measured() -> Result<()> {
    let world = missed(MANY)?;
    let begun = Instant::now();
    let mut sam = Terminal::start(&world, "sam", &world.address()?.to_string())?;
    // Alt-2 goes to the conversation with erik, as soon as there is one.
    sam.wait_for(&text(MANY), b"\x1b2")?;
    let shown = begun.elapsed();
    sam.wait_for("Authentication", b"")?;
    let opened = begun.elapsed();
    let cores = sam.cpu()? / opened.as_secs_f64();
    println!("newest screen after {shown:?}, all {MANY} opened after {opened:?}, {cores:.2} cores busy");
    drop(sam);
    read_all(&world, MANY).map(|_| ())
}
