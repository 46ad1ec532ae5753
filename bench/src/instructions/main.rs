//! `instructions`: counts the instructions of every hot path under valgrind, where a busy machine does not change
//! the count, and compares them with the committed ones.
//!
//! Libraries that choose their code by processor choose the same everywhere: valgrind simulates a processor with
//! AVX2 if the real one has it, as every x86-64 server does. Counts from other architectures cannot be compared. A
//! new compiler or C library may change all counts; then they are committed anew.

mod callgrind;
mod counts;

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};
use parlour_bench::hot_paths::COUNTED;

use crate::counts::Counts;

/// Counts the instructions of every hot path.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

/// The committed counts.
const COMMITTED: &str = "bench/instructions.txt";

#[derive(Subcommand)]
enum Task {
    /// Compare the counts with the committed ones, and fail when one has risen
    Check,
    /// Write the committed counts anew
    Update,
    /// Run one path; used under valgrind
    Run {
        /// Its name
        path: String,
    },
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().task {
        Task::Run { path } => {
            let path = COUNTED.iter().find(|known| known.name == path).context("no such path")?;
            callgrind::run(path)?;
        }
        Task::Update => {
            let text = count()?.to_text(&callgrind::taken_with()?);
            std::fs::write(COMMITTED, text).context(COMMITTED)?;
        }
        Task::Check => {
            let text = std::fs::read_to_string(COMMITTED).context(COMMITTED)?;
            let comparison = Counts::from_text(&text)?.compare(&count()?);
            print!("{comparison}");
            if !comparison.holds() {
                eprintln!("error: instructions have risen, or the paths are not those in {COMMITTED}");
                eprintln!("hint: if that is meant, commit what `make instructions UPDATE=1` writes");
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn count() -> Result<Counts> {
    ensure!(cfg!(target_arch = "x86_64"), "the committed counts are those of x86-64");
    COUNTED.iter().map(|path| Ok((path.name.to_owned(), callgrind::count(path)?))).collect()
}
