//! The time of operations that people wait for, one after the other. A busy machine is slower, which is no fault
//! of the programs: each measurement is repeated a few times, until it is fast enough.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::unistd::geteuid;
use parlour_tests::{World, in_time};

/// The most repetitions of a measurement.
const ROUNDS: usize = 5;

/// Held by the test that measures.
static MEASURING: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    MEASURING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Does something so many times, and takes the time of each.
fn timed(times: usize, mut act: impl FnMut() -> Result<()>) -> Result<Vec<Duration>> {
    (0..times)
        .map(|_| {
            let begun = Instant::now();
            act()?;
            Ok(begun.elapsed())
        })
        .collect()
}

/// Measures until the median of a round is below `most`; fails with the best median if none is.
fn is_below(what: &str, most: Duration, mut measure: impl FnMut() -> Result<Vec<Duration>>) -> Result<()> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        best = best.min(median(measure()?));
        println!("{what}: {best:?}, at most {most:?}");
        if best < most {
            return Ok(());
        }
    }
    in_time(what, best, most)
}

#[test]
fn the_server_is_ready_in_a_fifth_of_a_second() -> Result<()> {
    let _alone = alone();
    let mut world = World::peopled()?;
    is_below("from start to ready", Duration::from_millis(200), || {
        (0..3)
            .map(|_| {
                world.kill_server()?;
                let begun = Instant::now();
                world.start_server()?;
                Ok(begun.elapsed())
            })
            .collect()
    })
}

#[test]
fn a_client_is_ready_in_a_quarter_of_a_second() -> Result<()> {
    let _alone = alone();
    let world = World::peopled()?;
    is_below("a one-shot command, from start to end", Duration::from_millis(250), || {
        timed(9, || {
            let finished = world.one_shot("sam", &["users"], "")?;
            ensure!(finished.code == 0, "{finished:#?}");
            Ok(())
        })
    })?;
    is_below("the plain client, from start to logged in", Duration::from_millis(250), || {
        (0..9)
            .map(|_| {
                let begun = Instant::now();
                let mut sam = world.logged_in("sam")?;
                let taken = begun.elapsed();
                ensure!(sam.leave()? == 0, "{}", sam.process.errors());
                Ok(taken)
            })
            .collect()
    })
}

/// The memory that a process takes for itself, in bytes: its own pages, and its part of those that it shares.
fn memory(process: u32) -> Result<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("Pss")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1_024)
}

#[test]
fn a_clients_broker_takes_little_time_and_memory() -> Result<()> {
    // Twice as much as it takes in a build for debugging, and four times as much as in a release.
    const MEMORY: u64 = 10 * 1_024 * 1_024;
    let _alone = alone();
    let world = World::peopled()?;
    for (what, probe) in [("a broker alone", "probe-broker"), ("a broker and its client", "probe")] {
        is_below(&format!("{what}, from start to confined"), Duration::from_millis(100), || {
            timed(21, || {
                let finished = world.one_shot("sam", &[probe, "nothing"], "")?;
                ensure!(finished.code == 0, "{finished:#?}");
                Ok(())
            })
        })?;
    }
    // Only root may look into a process that is confined.
    let open: &[&str] = if geteuid().is_root() { &[] } else { &["--no-sandbox"] };
    let mut sam = world.client_with("sam", &[&["--user", "sam"], open].concat())?;
    sam.expect("Authentication Succeeded")?;
    let (broker, client) = (memory(sam.process.pid())?, memory(sam.pid()?)?);
    println!("memory: the broker {} KiB, its client {} KiB", broker / 1_024, client / 1_024);
    ensure!(broker < MEMORY, "the broker takes {broker} bytes");
    Ok(())
}

#[test]
fn a_name_is_registered_and_logged_in_within_two_seconds() -> Result<()> {
    let _alone = alone();
    let world = World::with().start()?;
    let mut count = 0;
    is_below("from /register to logged in", Duration::from_secs(2), || {
        (0..3)
            .map(|_| {
                count += 1;
                let name = format!("user{count}");
                let mut client = world.client(&name)?;
                client.process.wait_for_error("as a guest")?;
                let begun = Instant::now();
                client.ask(&format!("/register {name}"), "Registration Succeeded")?;
                client.expect("Authentication Succeeded")?;
                Ok(begun.elapsed())
            })
            .collect()
    })
}

#[test]
fn a_message_is_seen_by_the_other_side_within_a_fiftieth_of_a_second() -> Result<()> {
    let _alone = alone();
    // The default rate would slow the commands down, which is not measured here.
    let world = World::with().people().limit("commands_per_second=100000").start()?;
    let mut sam = world.logged_in("sam")?;
    let mut erik = world.logged_in("erik")?;
    for (prefix, what) in [("", "a public message, seen by others"), ("@erik ", "a private one")] {
        let mut count = 0;
        is_below(what, Duration::from_millis(20), || {
            (0..50)
                .map(|_| {
                    count += 1;
                    let line = format!("{prefix}message {count}");
                    let begun = Instant::now();
                    sam.type_line(&line)?;
                    erik.expect(&format!("{{}} sam: {line}"))?;
                    let taken = begun.elapsed();
                    sam.expect(&format!("{{}} sam: {line}"))?;
                    Ok(taken)
                })
                .collect()
        })?;
    }
    Ok(())
}
