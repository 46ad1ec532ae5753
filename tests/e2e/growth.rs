//! Lines from the future: every program hears what only a newer peer says. It shows that as unknown, takes none of it
//! for success, and goes on.

#![expect(clippy::indexing_slicing, reason = "an answer in which something is missing fails the test")]

mod clients;
mod goodbyes;
mod outbox;
mod servers;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};
use parlour_tests::{Client, Finished, Logins, Operator, World, edited, run_to_end};
use serde_json::{Value, json};

/// A newer server's words for a code that no program here knows.
const BANNED: &str = "you are banned from #dev";

/// Turns a reply into a refusal with an unknown code.
fn ban(line: &mut Value) {
    let id = line["id"].take();
    *line =
        json!({"id": id, "error": {"code": "banned", "message": BANNED, "seconds": "soon", "until": [1]}});
}

/// A newer server for sam, which refuses with an unknown code whatever would have been answered by one of these.
/// Also counts its refusals.
fn refusing(world: &World, kinds: &'static [&'static str]) -> Result<(Operator, Arc<AtomicUsize>)> {
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let edit = edited(move |line| {
        if line["ok"].as_str().is_some_and(|kind| kinds.contains(&kind)) {
            ban(line);
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    Ok((Operator::before(world, "sam", Logins::Anew, edit)?, refused))
}

/// Runs sam's plain client on this operator's server to its end.
fn plain(world: &World, operator: &Operator, arguments: &[&str], input: &str) -> Result<Finished> {
    let mut command = world.client_command_to("sam", &operator.address())?;
    run_to_end("sam", command.arg("--plain").args(arguments), input)
}

/// Sam's client with its json face on this operator's server, logged in.
fn robot(world: &World, operator: &Operator) -> Result<Client> {
    let mut command = world.client_command_to("sam", &operator.address())?;
    let mut sam = Client::start("sam", command.args(["--json", "--user", "sam"]))?;
    sam.process.out.event("backlog")?;
    Ok(sam)
}

/// Runs one of sam's one-shot commands on this operator's server to its end.
fn one_shot(world: &World, operator: &Operator, arguments: &[&str]) -> Result<Finished> {
    let mut command = world.client_command_to("sam", &operator.address())?;
    run_to_end("sam", command.args(arguments), "")
}

/// The cases of a file of lines from the future: a comment of one word and what it is about, then so many lines.
fn cases(file: &str, lines: usize) -> Result<Vec<(&str, Vec<&str>)>> {
    let all: Vec<&str> = file.lines().collect();
    let cases = all.chunks(lines + 1).map(|case| {
        let (about, lines) = case.split_first().context("an empty case")?;
        let (word, _) =
            about.strip_prefix("# ").and_then(|about| about.split_once(": ")).context("a comment")?;
        Ok((word, lines.to_vec()))
    });
    let cases = cases.collect::<Result<Vec<_>>>()?;
    ensure!(cases.iter().all(|(_, case)| case.len() == lines), "a case lacks a line");
    Ok(cases)
}
