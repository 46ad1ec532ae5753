//! `parlour-bench`: runs every scenario against the server and against the bare reference, in turns, and
//! prints one table. The target runs alone on CPU 0, the load generator alone on CPU 1, where there are two.

mod machine;
mod people;
mod report;
mod scenarios;
mod target;
mod visitor;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;
use parlour_protocol::Dialect;

use crate::people::People;
use crate::report::{Growth, Row};
use crate::scenarios::{Stage, channel, direct, growth, hostile, idle, latency, login};
use crate::target::Kind;

/// Measures the server against the practical limit.
#[derive(Parser)]
struct Arguments {
    /// One short repetition of everything
    #[arg(long)]
    quick: bool,
    /// Only the scenarios whose names hold this
    #[arg(long, default_value = "")]
    only: String,
    /// Where the figures go for programs
    #[arg(long, default_value = "var/bench/latest.json")]
    json: PathBuf,
}

type Scenario = (&'static str, &'static str, Option<f64>, fn(&Stage<'_>, Kind) -> Result<f64>);

const CPU: &str = "CPU s per million deliveries";

const SCENARIOS: &[Scenario] = &[
    ("channel_200_saturated", CPU, Some(1.3), |s, k| channel::run(channel::saturated(s, k, 200))),
    ("channel_1000_saturated", CPU, Some(1.3), |s, k| channel::run(channel::saturated(s, k, 1_000))),
    ("channel_200_single", CPU, Some(1.2), |s, k| channel::run(channel::single(s, k, 200))),
    ("direct_pingpong", CPU, Some(2.5), |s, k| channel::run(direct::pairs(s, k, 1))),
    ("direct_pipelined", CPU, Some(2.5), |s, k| channel::run(direct::pairs(s, k, 16))),
    ("channel_200_single_json", CPU, None, |s, k| channel::run(channel::single(&in_json(s), k, 200))),
    ("direct_pingpong_json", CPU, None, |s, k| channel::run(direct::pairs(&in_json(s), k, 1))),
    ("handshake_login", "CPU s per 1000", Some(1.6), |s, k| channel::run(login::handshakes(s, k, false))),
    ("handshake_login_hybrid", "CPU s per 1000", None, |s, k| channel::run(login::handshakes(s, k, true))),
    ("idle_memory", "KiB per connection", Some(0.95), |s, k| channel::run(idle::memory(s, k))),
    ("latency_p50", "microseconds", Some(1.5), |s, k| Ok(channel::run(latency::percentiles(s, k))?.0)),
    ("latency_p99", "microseconds", Some(1.5), |s, k| Ok(channel::run(latency::percentiles(s, k))?.1)),
];

fn in_json<'a>(stage: &Stage<'a>) -> Stage<'a> {
    Stage { dialect: Dialect::Json, ..*stage }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        anyhow::bail!("TLS was set up twice");
    }
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let cpus = (std::thread::available_parallelism()?.get() >= 2).then_some("0");
    if cpus.is_some() {
        let mut own = CpuSet::new();
        own.set(1)?;
        sched_setaffinity(Pid::from_raw(0), &own)?;
    }
    let folder = tempfile::tempdir()?;
    let people = People::settle(&folder.path().join("keys"))?;
    let time = Duration::from_secs(if arguments.quick { 2 } else { 5 });
    let stage = Stage {
        folder: folder.path(),
        people: &people,
        time,
        quick: arguments.quick,
        cpus,
        dialect: Dialect::Plain,
    };
    let repetitions = if arguments.quick { 1 } else { 3 };
    let mut rows = Vec::new();
    for (name, unit, goal, scenario) in SCENARIOS.iter().filter(|row| row.0.contains(&arguments.only)) {
        let mut row = Row { name, unit, ours: Vec::new(), bare: Vec::new(), goal: *goal };
        for _ in 0..repetitions {
            row.bare.push(scenario(&stage, Kind::Bare).with_context(|| format!("{name} on bare"))?);
            row.ours.push(scenario(&stage, Kind::Ours).with_context(|| format!("{name} on ours"))?);
        }
        eprintln!("{name}: ours {:?}, bare {:?}", row.ours, row.bare);
        rows.push(row);
    }
    let growths = grow(&stage, &arguments.only)?;
    let machine = machine::description();
    println!("{}", report::markdown(&rows, &growths, &machine));
    if let Some(parent) = arguments.json.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let document = serde_json::to_string_pretty(&report::document(&rows, &growths, &machine))?;
    std::fs::write(&arguments.json, document + "\n")?;
    Ok(())
}

/// How costs grow: each of the groups whose name is asked for.
fn grow(stage: &Stage<'_>, only: &str) -> Result<Vec<Growth>> {
    let mut growths = Vec::new();
    if "growth_members".contains(only) {
        growths.push(channel::run(growth::members(stage))?);
    }
    if "growth_cores".contains(only) && stage.cpus.is_some() {
        growths.push(channel::run(growth::cores(stage))?);
    }
    if "growth_stored".contains(only) {
        growths.extend(channel::run(growth::stored(stage))?);
    }
    if "hostile_handshakes".contains(only) {
        growths.push(channel::run(hostile::handshakes(stage))?);
    }
    if "hostile_readers".contains(only) {
        growths.extend(channel::run(hostile::readers(stage))?);
    }
    Ok(growths)
}
