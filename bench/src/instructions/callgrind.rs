//! Counting with valgrind's callgrind: this program runs itself under it, in one process for each path.
//!
//! A library for this (gungraun) needs its runner installed in exactly the same version, and keeps its baseline in
//! the build folder. Doing it here takes little code, and the counts can be committed.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use parlour_bench::hot_paths::{HotPath, Work};

/// Rounds before counting begins, in which memory is allocated and statements are prepared.
const WARM_UP: u32 = 10;

/// Rounds that are counted.
const ROUNDS: u32 = 100;

/// The folder for callgrind's output, beside this program: `callgrind_annotate` shows the cost of each function.
const PROFILES: &str = "callgrind";

/// aws-lc's hash function, which is left out of the counts. Most processors have instructions for it, which
/// valgrind lacks: it would be three quarters of the commit of a sealed message and hide changes in the rest.
const LEFT_OUT: &str = "sha256_block_data_order";

/// Runs a path; only what [`counted`] calls is counted.
pub(crate) fn run(path: &HotPath) -> Result<()> {
    let mut work = path.prepare()?;
    for _ in 0..WARM_UP {
        work()?;
    }
    counted(&mut work)
}

/// Callgrind is given this name, so it must exist as a separate function.
#[inline(never)]
fn counted(work: &mut Work) -> Result<()> {
    (0..ROUNDS).try_for_each(|_| work())
}

/// The instructions in one round of a path.
pub(crate) fn count(path: &HotPath) -> Result<u64> {
    let program = std::env::current_exe()?;
    let folder = program.parent().context("this program lies in a folder")?;
    std::fs::create_dir_all(folder.join(PROFILES))?;
    let profile = Path::new(PROFILES).join(path.name).with_extension("out");
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--toggle-collect=*::callgrind::counted"])
        .args(["--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        // The same arguments wherever the program lies: they come first in memory, and their alignment changes
        // counts by up to one percent.
        .args([concat!("./", env!("CARGO_BIN_NAME")), "run", path.name])
        .current_dir(folder);
    output(&mut valgrind).with_context(|| format!("{path}"))?;
    let profile = std::fs::read_to_string(folder.join(profile))?;
    let total = total(&profile).with_context(|| format!("{path}"))?;
    ensure!(total > 0, "{path}: nothing was counted");
    Ok(total / u64::from(ROUNDS))
}

/// The cost of all functions in a profile, each without its callees, except for the one that is left out.
fn total(profile: &str) -> Result<u64> {
    let (mut total, mut counts) = (0, true);
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        if let Some(function) = line.strip_prefix("fn=") {
            counts = !function.contains(LEFT_OUT);
        } else if line.starts_with("calls=") {
            lines.next(); // skips the callee's cost, which is also listed under its own name
        } else if counts
            && let Some((position, cost)) = line.split_once(' ')
            && position.parse::<u32>().is_ok()
        {
            total += cost.parse::<u64>()?;
        }
    }
    Ok(total)
}

/// Everything that the counts depend on besides our own code.
pub(crate) fn taken_with() -> Result<String> {
    let version = |program| -> Result<String> {
        let output = output(Command::new(program).arg("--version"))?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    Ok(format!("{}, {}", version("rustc")?, version("valgrind")?))
}

fn output(command: &mut Command) -> Result<Output> {
    let program = command.get_program().to_owned();
    let output = command.output().with_context(|| format!("{} does not start", program.display()))?;
    ensure!(
        output.status.success(),
        "{} failed: {}",
        program.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_has_each_function_once_and_no_hashing() {
        let profile = "events: Ir\n\nfn=commit\n12 300\ncfn=aws_lc_sha256_block_data_order_avx\n\
                       calls=100 0\n12 9000\n13 40\n\nfn=aws_lc_sha256_block_data_order_avx\n0 9000\n\n\
                       fn=write\n7 5\n\ntotals: 9345\n";
        assert_eq!(total(profile).unwrap(), 345);
    }
}
