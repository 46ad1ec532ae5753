//! A very large number of lines that a well-behaved program would never send, through one running server.
//!
//! `PARLOUR_LINES` sets the number and `PARLOUR_SEED` the seed; `make soak-lines` sends ten million.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use parlour_protocol::{Command, Dialect};
use parlour_tests::{Author, Flood, Garbage, Source, World, run_to_end, wait_until};
use serde_json::{Value, json};

/// The default number of lines.
const LINES: u64 = 20_000;

/// Lines before the server's memory is measured: caches and pools fill up first.
const WARM_UP: u64 = 200_000;

/// The acceptable rise of memory in KiB.
const MOST_RISE: i64 = 8_192;

/// Lines that are sent at once, and their approximate size in bytes.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 200_000;

/// Resources of the server's process.
#[derive(Debug, Clone, Copy)]
struct Holdings {
    memory: i64,
    threads: i64,
    files: usize,
}

impl Holdings {
    fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let number = |name: &str| -> Result<i64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("a line of status")?;
            Ok(line.trim().trim_end_matches(" kB").parse()?)
        };
        let files = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
        Ok(Self { memory: number("VmRSS:")?, threads: number("Threads:")?, files })
    }
}

/// Correct lines from which the others are made: for guests and for users, in both dialects.
struct Good {
    plain: Vec<String>,
    json: Vec<String>,
}

impl Good {
    fn new(world: &World) -> Result<Self> {
        let (mut sam, anna) = (Author::of(world, "sam")?, Author::of(world, "anna")?);
        let to_anna = sam.write(&anna, "hello")?;
        let mut anna = anna;
        let to_sam = anna.write(&sam, "hello")?;
        let plain = [
            "/users",
            "/help",
            "/nonsense",
            "/register zoe x.eyJuYW1lIjoiem9lIn0.y",
            "/login sam AAAA",
            "/dialect plain",
            "@nobody hello",
            "@sam {}",
            "hello",
        ];
        let mut plain: Vec<String> = plain.map(str::to_owned).to_vec();
        plain.push(format!("@anna {}", to_anna.sealed));
        let json = [
            to_sam.post(1),
            json!({"id": 2, "cmd": "history", "conversation": "#lobby", "after": 0, "limit": 1}),
            json!({"id": 2, "cmd": "history", "conversation": "@sam", "before": 9, "limit": 1}),
            json!({"id": "x", "cmd": "account", "name": "erik"}),
            json!({"id": 3, "cmd": "post", "to": "#lobby", "text": "hi", "message_id": to_sam.id}),
            json!({"id": 4, "cmd": "conversations"}),
            json!({"id": 5, "cmd": "renew", "request": "x.y.z"}),
            json!({"id": 6, "cmd": "login", "name": "sam", "signature": "AAAA"}),
            json!({"id": 7, "cmd": "pong"}),
            json!({"id": 8, "cmd": "users"}),
            json!({"id": 9, "cmd": "dance", "with": ["sam", {"erik": null}]}),
            json!({"id": 10, "cmd": "help"}),
            json!({"id": 11, "cmd": "dialect", "dialect": "json"}),
        ];
        Ok(Self { plain, json: json.iter().map(Value::to_string).collect() })
    }
}

/// Sends lines, one connection after another.
struct Sender<'a> {
    source: Source,
    good: Vec<&'a str>,
    garbage: Garbage,
    /// The number of lines that all senders should send together, and the number sent so far.
    goal: u64,
    sent: &'a AtomicU64,
    tally: Tally,
}

/// Counts of lines.
#[derive(Default, Clone, Copy)]
struct Tally {
    connections: u64,
    accepted: u64,
    events: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.accepted += other.accepted;
        self.events += other.events;
    }
}

impl Sender<'_> {
    /// Sends, and stops the other senders if that fails.
    fn run_or_stop(&mut self) -> Result<()> {
        let outcome = self.run();
        if outcome.is_err() {
            self.sent.store(u64::MAX, Ordering::Relaxed);
        }
        outcome
    }

    /// Sends until all senders have sent enough.
    fn run(&mut self) -> Result<()> {
        while self.sent.load(Ordering::Relaxed) < self.goal {
            let mut flood = self.source.open()?;
            while self.sent.load(Ordering::Relaxed) < self.goal {
                let batch = self.batch(&flood);
                let before = flood.lines;
                let stays = flood.send(&batch)?;
                self.sent.fetch_add(flood.lines - before, Ordering::Relaxed);
                if !stays {
                    break;
                }
            }
            let (accepted, events) = (flood.accepted, flood.events);
            self.tally += Tally { connections: 1, accepted, events };
        }
        Ok(())
    }

    fn batch(&mut self, flood: &Flood) -> Vec<u8> {
        let mut batch = Vec::new();
        for _ in 0..BATCH {
            let line = self.line(flood);
            batch.extend_from_slice(&line);
            if batch.len() > BATCH_BYTES {
                break;
            }
        }
        batch
    }

    fn line(&mut self, flood: &Flood) -> Vec<u8> {
        if self.garbage.once_in(20_000) {
            return self.garbage.too_long();
        }
        loop {
            let good = self.garbage.one_of(&self.good);
            let line = if self.garbage.once_in(5) {
                format!("{good}\n").into_bytes()
            } else {
                self.garbage.spoil(good)
            };
            // Commands that store, leave or ask the TTP take longer than all others.
            let rare = match flood.reads(&line) {
                Some(Command::Post(_) | Command::Register { .. } | Command::Renew { .. }) => 5,
                Some(Command::Exit | Command::Login { .. } | Command::Dialect(_)) => 500,
                _ => 1,
            };
            if self.garbage.once_in(rare) {
                return line;
            }
        }
    }
}

/// Two users and two guests, one of each in each dialect, send lines while erik keeps chatting.
fn flood(world: &World, good: &Good, garbage: &mut Garbage, lines: u64) -> Result<Tally> {
    let sent = AtomicU64::new(0);
    let [plain, json] =
        [&good.plain, &good.json].map(|lines| lines.iter().map(String::as_str).collect::<Vec<_>>());
    let who = [
        (Some("sam"), Dialect::Plain, &plain),
        (Some("anna"), Dialect::Json, &json),
        (None, Dialect::Plain, &plain),
        (None, Dialect::Json, &json),
    ];
    let mut senders = Vec::new();
    for (name, dialect, good) in who {
        let source = Source::new(world, name, dialect)?;
        let (good, garbage, tally) = (good.clone(), garbage.quick(), Tally::default());
        senders.push(Sender { source, good, garbage, goal: lines, sent: &sent, tally });
    }
    let bystander = Source::new(world, Some("erik"), Dialect::Json)?;
    std::thread::scope(|scope| {
        let running: Vec<_> = senders.iter_mut().map(|sender| scope.spawn(|| sender.run_or_stop())).collect();
        let chatting = chat(&bystander, &sent, lines);
        for thread in running {
            thread.join().map_err(|_| anyhow!("a sender panicked"))??;
        }
        chatting
    })?;
    let mut tally = Tally::default();
    for sender in &senders {
        tally += sender.tally;
    }
    Ok(tally)
}

/// Posts again and again and waits for each answer, until the lines were sent.
fn chat(source: &Source, sent: &AtomicU64, lines: u64) -> Result<()> {
    let mut erik = source.open()?;
    while sent.load(Ordering::Relaxed) < lines {
        let post = json!({"id": 1, "cmd": "post", "to": "#lobby", "text": "still here",
            "message_id": format!("0197741c-9a80-7000-8000-{:012x}", rand::random::<u64>() >> 16)});
        ensure!(erik.send(format!("{post}\n").as_bytes())?, "erik was sent away");
        std::thread::park_timeout(Duration::from_millis(50));
    }
    ensure!(erik.lines > 1, "erik said hardly anything");
    Ok(())
}

/// The server's resources without connections: waits until the number of its files no longer falls.
fn settled(pid: u32) -> Result<Holdings> {
    let mut last = Holdings::of(pid)?;
    let mut same = 0;
    wait_until("the server is at rest", || {
        let now = Holdings::of(pid)?;
        same = if now.files == last.files { same + 1 } else { 0 };
        last = now;
        Ok(same > 50)
    })?;
    Ok(last)
}

/// Waits until there are as few threads and files as before, and returns the server's resources then.
fn at_rest(pid: u32, before: &Holdings) -> Result<Holdings> {
    wait_until("threads and files are given back", || {
        let now = Holdings::of(pid)?;
        Ok(now.files <= before.files && now.threads <= before.threads)
    })
    .with_context(|| format!("{before:?}, {:?}", Holdings::of(pid)))?;
    Holdings::of(pid)
}

#[test]
fn a_flood_of_lines_that_make_no_sense_leaves_nothing_behind() -> Result<()> {
    let lines = std::env::var("PARLOUR_LINES").map_or(Ok(LINES), |lines| lines.replace('_', "").parse())?;
    let mut world = World::with()
        .people()
        .limit("commands_per_second=10000000")
        .limit("command_burst=10000000")
        .limit("failed_logins_per_minute=1000000")
        .start()?;
    let good = Good::new(&world)?;
    let mut garbage = Garbage::new();
    let pid = world.server()?.pid();
    // The database's threads start with the first request to it.
    flood(&world, &good, &mut garbage, 1_000)?;
    let begun = settled(pid)?;
    flood(&world, &good, &mut garbage, WARM_UP.min(lines / 2))?;
    let warm = at_rest(pid, &begun)?;
    let start = Instant::now();
    let tally = flood(&world, &good, &mut garbage, lines)?;
    let seconds = start.elapsed().as_secs_f64();
    let end = at_rest(pid, &begun)?;
    let rise = end.memory - warm.memory;
    println!(
        "{lines} lines over {} connections in {seconds:.1} s, {} accepted, {} events heard; memory {} KiB, \
         {rise:+} KiB after the warm-up; {} threads, {} files",
        tally.connections, tally.accepted, tally.events, end.memory, end.threads, end.files
    );
    ensure!(tally.accepted > lines / 50 && tally.events > 0, "hardly anything was understood");
    ensure!(world.server()?.pid() == pid && !world.server()?.has_ended()?, "the server is not the same");
    ensure!(!world.server_log().contains("panicked"), "a task panicked");
    ensure!(rise < MOST_RISE, "memory rose by {rise} KiB, at most {MOST_RISE}");
    world.stop_server()?;
    whole(&world)
}

/// Checks that everything stored matches its hashes.
fn whole(world: &World) -> Result<()> {
    let mut command = world.command("parlour-server")?;
    let checked = run_to_end("check", command.args(["check", "--json", "--data", "data"]), "")?;
    let findings: Vec<Value> =
        checked.out.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
    let database = findings.iter().find(|finding| finding["what"] == "database").context("the database")?;
    ensure!(database["state"] == "well", "{database}");
    println!("{database}");
    Ok(())
}
