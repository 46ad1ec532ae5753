//! `parlour-bench`: runs every scenario against the server and against the bare reference, in turns, and prints
//! one table. With two CPUs, the target runs alone on CPU 0 and the load generator alone on CPU 1.

mod machine;
mod peers;
mod people;
mod report;
mod scenarios;
mod speech;
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

use crate::peers::Program;
use crate::people::People;
use crate::report::{Figures, Growth, Row};
use crate::scenarios::{Stage, channel, direct, growth, hostile, idle, latency, login};
use crate::target::Kind;

/// Measures the server against the practical limit.
#[derive(Parser)]
struct Arguments {
    /// One short repetition of everything
    #[arg(long)]
    quick: bool,
    /// Only the scenarios whose names contain this
    #[arg(long, default_value = "")]
    only: String,
    /// Measure ngircd and nats-server too, where they are installed
    #[arg(long)]
    peers: bool,
    /// The file for the figures in JSON
    #[arg(long, default_value = "var/bench/latest.json")]
    json: PathBuf,
}

/// A scenario, with its name and its goal.
struct Scenario {
    name: &'static str,
    unit: &'static str,
    /// The number of messages under way, in total.
    window: &'static str,
    goal: Option<f64>,
    /// True if other programs can do the same.
    for_peers: bool,
    run: fn(&Stage<'_>, Kind) -> Result<Figures>,
}

impl Scenario {
    /// A scenario in a channel.
    const fn channel(
        name: &'static str,
        window: &'static str,
        goal: Option<f64>,
        run: fn(&Stage<'_>, Kind) -> Result<Figures>,
    ) -> Self {
        Self { name, unit: CPU, window, goal, for_peers: true, run }
    }

    /// A scenario that other programs cannot do in the same way.
    const fn own(
        name: &'static str,
        (unit, window): (&'static str, &'static str),
        goal: Option<f64>,
        run: fn(&Stage<'_>, Kind) -> Result<Figures>,
    ) -> Self {
        Self { name, unit, window, goal, for_peers: false, run }
    }
}

const CPU: &str = "CPU s per million deliveries";
const MICROS: &str = "microseconds";

const SCENARIOS: &[Scenario] = &[
    Scenario::channel("channel_200_saturated", channel::IN_FLIGHT_TEXT, Some(1.3), |s, k| {
        channel::run(channel::saturated(s, k, 200))
    }),
    Scenario::channel("channel_1000_saturated", channel::IN_FLIGHT_TEXT, Some(1.3), |s, k| {
        channel::run(channel::saturated(s, k, 1_000))
    }),
    Scenario::channel("channel_200_single", "1", Some(1.2), |s, k| channel::run(channel::single(s, k, 200))),
    Scenario::own("direct_pingpong", (CPU, "50"), Some(3.0), |s, k| channel::run(direct::pairs(s, k, 1))),
    Scenario::own("direct_pipelined", (CPU, "800"), Some(3.0), |s, k| channel::run(direct::pairs(s, k, 16))),
    Scenario::own("channel_200_single_json", (CPU, "1"), None, |s, k| {
        channel::run(channel::single(&in_json(s), k, 200))
    }),
    Scenario::own("direct_pingpong_json", (CPU, "50"), None, |s, k| {
        channel::run(direct::pairs(&in_json(s), k, 1))
    }),
    Scenario::own("handshake_login", ("CPU s per 1000", ""), Some(1.6), |s, k| {
        channel::run(login::handshakes(s, k, false))
    }),
    Scenario::own("handshake_login_hybrid", ("CPU s per 1000", ""), None, |s, k| {
        channel::run(login::handshakes(s, k, true))
    }),
    Scenario::own("idle_memory", ("KiB per connection", ""), Some(0.95), |s, k| {
        channel::run(idle::memory(s, k))
    }),
    Scenario::own("latency_p50", (MICROS, "50 a second"), Some(1.5), |s, k| {
        Ok(channel::run(latency::percentiles(s, k))?.0.into())
    }),
    Scenario::own("latency_p99", (MICROS, "50 a second"), Some(1.5), |s, k| {
        Ok(channel::run(latency::percentiles(s, k))?.1.into())
    }),
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
    let peers = if arguments.peers { installed() } else { Vec::new() };
    let mut rows = Vec::new();
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.name.contains(&arguments.only)) {
        rows.push(measure(scenario, &stage, repetitions, &peers)?);
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

/// The other programs that are installed.
fn installed() -> Vec<Program> {
    let there = |program: &Program| {
        let found = program.path().is_some();
        if !found {
            eprintln!("{0} is not installed and is left out (Debian: apt-get install {0})", program.name());
        }
        found
    };
    Program::ALL.into_iter().filter(there).collect()
}

/// Measures the reference, our server and the other programs in turns.
fn measure(scenario: &Scenario, stage: &Stage<'_>, repetitions: u32, peers: &[Program]) -> Result<Row> {
    let Scenario { name, unit, window, goal, for_peers, run } = *scenario;
    let peers: &[Program] = if for_peers { peers } else { &[] };
    let mut row = Row {
        name,
        window,
        unit,
        ours: Vec::new(),
        bare: Vec::new(),
        peers: peers.iter().map(|program| (program.name(), Vec::new())).collect(),
        goal,
    };
    for _ in 0..repetitions {
        row.bare.push(run(stage, Kind::Bare).with_context(|| format!("{name} on bare"))?);
        row.ours.push(run(stage, Kind::Ours).with_context(|| format!("{name} on ours"))?);
        for (program, (label, figures)) in peers.iter().zip(&mut row.peers) {
            figures.push(run(stage, Kind::Peer(*program)).with_context(|| format!("{name} on {label}"))?);
        }
    }
    eprintln!("{name}: ours {:?}, bare {:?}", row.ours, row.bare);
    Ok(row)
}

/// Measures how costs grow, for each group whose name is asked for.
fn grow(stage: &Stage<'_>, only: &str) -> Result<Vec<Growth>> {
    let mut growths = Vec::new();
    if "growth_members".contains(only) {
        growths.extend(channel::unhurried(growth::members(stage))?);
    }
    if "growth_cores".contains(only) && stage.cpus.is_some() {
        growths.push(channel::unhurried(growth::cores(stage))?);
    }
    if "growth_stored".contains(only) {
        growths.extend(channel::unhurried(growth::stored(stage))?);
    }
    if "hostile_handshakes".contains(only) {
        growths.push(channel::unhurried(hostile::handshakes(stage))?);
    }
    if "hostile_readers".contains(only) {
        growths.extend(channel::unhurried(hostile::readers(stage))?);
    }
    Ok(growths)
}
