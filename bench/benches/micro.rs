//! `make micro`: times each hot path.

use std::process::exit;

use anyhow::Result;
use divan::Bencher;
use parlour_bench::hot_paths::{COUNTED, HotPath, TIMED};

fn main() {
    divan::main();
}

#[divan::bench(args = COUNTED.iter().chain(TIMED))]
fn hot_path(bencher: Bencher<'_, '_>, path: &HotPath) {
    let mut work = or_exit(path, path.prepare());
    bencher.bench_local(|| or_exit(path, work()));
}

/// A path that fails would be timed as if it had done its work.
fn or_exit<T>(path: &HotPath, outcome: Result<T>) -> T {
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {path}: {error:#}");
        exit(1)
    })
}
