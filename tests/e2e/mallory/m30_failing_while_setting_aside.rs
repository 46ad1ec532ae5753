//! 30: make a client lose what it holds, with help of its disk. The client is killed at each of its writes, and has no
//! room for each of them, while it sets aside what a server that was set back does not have.
//!
//! Every so many calls of the client are tried, and all of them with `PARLOUR_FAULTS=all` (`make soak-aside`).
//!
//! Bites: where a generation began by deleting what it replaces, 60 messages were gone at the first point that was tried;
//! where it moved them in two transactions, 30 were gone after a kill, or a full disk, between the two.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use parlour_tests::disk::{Call, Failing};
use parlour_tests::{Client, Disk, World};
use serde_json::{Value, json};

use super::list;
use super::m30_losing_what_it_holds::{all_there, history, read_by_sam, set_back, talk, texts, why};

/// Messages of each conversation that sam has, those of them that the server still has, and those that came since.
const HELD: u64 = 40;
const LEFT: u64 = 10;
const SINCE: u64 = 6;

/// The calls of each kind that are tried, unless all are.
const TRIED: usize = 8;

const CONVERSATIONS: [(&str, &str); 2] = [("@erik", "secret"), ("#lobby", "public")];

const FILES: [&str; 3] = ["local.db", "local.db-wal", "local.db-shm"];

/// Sam's client before it learns that the server was set back.
struct Scene {
    world: World,
    disk: Disk,
}

/// A client's output when it starts with these records, and whether it came to show its messages.
struct Run {
    shown: bool,
    said: Vec<String>,
}

impl Run {
    fn told(&self, words: &str) -> bool {
        self.said.iter().any(|line| line.contains(words))
    }
}

impl Scene {
    fn new() -> Result<Self> {
        let (mut world, mut erik) = read_by_sam(LEFT, HELD)?;
        set_back(&mut world)?;
        talk(&world, &mut erik, 101..=100 + SINCE, ["since", "since"])?;
        let disk = world.disk("client")?;
        std::fs::create_dir(world.path("held"))?;
        let scene = Self { world, disk };
        copy_records(&scene.records(), &scene.world.path("held"))?;
        Ok(scene)
    }

    fn records(&self) -> PathBuf {
        self.world.profile("sam")
    }

    /// Runs the client once, from the records of before, on a disk that fails in these ways.
    fn run(&self, ways: &[Failing]) -> Result<Run> {
        copy_records(&self.world.path("held"), &self.records())?;
        self.disk.fails(ways)?;
        let mut command = self.world.client_command("sam")?;
        let mut command = self.disk.under(command.args(["--json", "--user", "sam"]))?;
        let mut sam = Client::start("sam", &mut command)?;
        let mut said = Vec::new();
        let shown = talk_with(&mut sam, &mut said);
        sam.close();
        sam.process.wait()?;
        said.extend(sam.process.out.rest()?);
        said.extend(sam.process.errors().lines().map(str::to_owned));
        let shown = shown?;
        Ok(Run { shown, said })
    }

    /// Everything that the next client shows, on a disk that works.
    fn look_again(&self) -> Result<()> {
        let mut sam = self.world.robot("sam", &["--user", "sam"])?;
        sam.process.out.event("backlog")?;
        for (name, kind) in CONVERSATIONS {
            check(&history(&mut sam, name)?, kind)?;
            let why = why(&mut sam, name)?;
            let aside: u64 = why.iter().filter_map(|ended| ended["set_aside"].as_u64()).sum();
            ensure!(aside == HELD - LEFT, "{why:?}");
        }
        let errors = sam.process.errors();
        ensure!(!errors.contains("damaged"), "{errors}");
        ensure!(sam.leave()? == 0);
        Ok(())
    }

    /// The number of messages on the disk; counted in a copy, so that nobody mends the file before the client does.
    fn rows(&self) -> Result<u64> {
        let copy = self.world.path("looked-at");
        std::fs::create_dir_all(&copy)?;
        copy_records(&self.records(), &copy)?;
        let database = rusqlite::Connection::open(copy.join("local.db"))?;
        Ok(database.query_row("SELECT count(*) FROM messages", [], |row| row.get(0))?)
    }

    /// The numbers of the calls that are tried, of each kind.
    fn points(&self) -> Result<Vec<(Call, u64)>> {
        let run = self.run(&Call::ALL.map(Failing::never))?;
        ensure!(run.shown, "{:#?}", run.said);
        let everything = std::env::var("PARLOUR_FAULTS").is_ok_and(|faults| faults == "all");
        let mut points = Vec::new();
        for call in Call::ALL {
            let count = self.disk.passed(call)?;
            let step = if everything { 1 } else { count.div_ceil(TRIED).max(1) };
            points.extend((1..=count as u64).step_by(step).map(|number| (call, number)));
            println!("{call:?}: {count} calls, one in {step} is tried");
        }
        self.disk.heals()?;
        Ok(points)
    }
}

/// Looks at what a client shows while its disk fails. False when it ends before it shows anything.
fn talk_with(sam: &mut Client, said: &mut Vec<String>) -> Result<bool> {
    let mut until = |sam: &mut Client, ends: &dyn Fn(&Value) -> bool| -> Result<Option<Value>> {
        while let Some(line) = sam.process.out.next_or_end()? {
            said.push(line.clone());
            let line: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
            if ends(&line) {
                return Ok(Some(line));
            }
        }
        Ok(None)
    };
    let is_backlog = |line: &Value| line["event"] == "backlog" || line.get("error").is_some();
    match until(sam, &is_backlog)? {
        Some(line) if line["event"] == "backlog" => {}
        _ => return Ok(false),
    }
    for (name, kind) in CONVERSATIONS {
        let ask = json!({"id": name, "do": "history", "conversation": name, "limit": 400});
        // A client that is killed takes no more lines.
        if sam.type_line(&ask.to_string()).is_err() {
            return Ok(true);
        }
        let Some(mut page) = until(sam, &|line| line["id"] == name)? else { return Ok(true) };
        check(list(&mut page, "messages"), kind)?;
    }
    Ok(true)
}

/// Copies the files of the records from one folder to another.
fn copy_records(from: &Path, to: &Path) -> Result<()> {
    for file in FILES {
        let (from, to) = (from.join(file), to.join(file));
        if to.exists() {
            std::fs::remove_file(&to)?;
        }
        if from.exists() {
            std::fs::copy(from, to)?;
        }
    }
    Ok(())
}

/// Checks that everything held and everything since is there once.
fn check(messages: &[Value], kind: &str) -> Result<()> {
    all_there(messages, kind, HELD, |number| number > LEFT)?;
    let since: Vec<&str> = texts(messages).into_iter().filter(|text| text.starts_with("since")).collect();
    ensure!(since.len() as u64 == SINCE, "{since:?}");
    Ok(())
}

#[test]
fn a_client_that_is_killed_at_any_write_while_it_sets_things_aside_has_lost_nothing() -> Result<()> {
    let scene = Scene::new()?;
    let points = scene.points()?;
    ensure!(points.len() >= TRIED, "{points:?}");
    for (call, number) in points {
        let before = scene.disk.failures()?;
        scene.run(&[Failing::killed_at(call, number)]).with_context(|| format!("{call:?} {number}"))?;
        ensure!(scene.disk.failures()? == before + 1, "{call:?} {number}: it was not killed");
        scene.disk.heals()?;
        let rows = scene.rows()?;
        ensure!(rows >= 2 * HELD, "{rows} messages are left after a kill at {call:?} {number}");
        scene.look_again().with_context(|| format!("after a kill at {call:?} {number}"))?;
    }
    Ok(())
}

#[test]
fn a_client_without_room_at_any_write_while_it_sets_things_aside_has_lost_nothing_and_says_so() -> Result<()>
{
    let scene = Scene::new()?;
    let points = scene.points()?;
    for (call, number) in points {
        let (error, words) = match call {
            Call::Write => (Errno::ENOSPC, "no space left on this machine"),
            Call::Sync | Call::Resize => (Errno::EIO, "disk I/O error"),
        };
        // For good, and just once.
        for last in [u64::MAX, number] {
            let run = scene.run(&[Failing::always(call, error).only(number..=last)]);
            let run = run.with_context(|| format!("{call:?} {number} to {last}"))?;
            scene.disk.heals()?;
            let rows = scene.rows()?;
            ensure!(rows >= 2 * HELD, "{rows} messages are left after {call:?} {number} to {last}");
            ensure!(
                run.told(words) || (run.shown && rows == 2 * (HELD + SINCE)),
                "{call:?} {number} to {last}: {rows} messages are on the disk, and nothing is said: {:#?}",
                run.said
            );
            scene.look_again().with_context(|| format!("after {call:?} {number} to {last}"))?;
        }
    }
    Ok(())
}
