//! Counting with valgrind's callgrind: this program runs itself under it, a process for each path.
//!
//! A library for this (gungraun) needs its runner installed in the very same version, and keeps what it compares
//! with in the build folder. Without it there is little to do, and the counts can be committed.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use parlour_bench::hot_paths::{HotPath, Work};

/// Rounds before counting begins: memory is asked for, statements are prepared.
const WARM_UP: u32 = 10;

/// Rounds that are counted.
const ROUNDS: u32 = 100;

/// Where callgrind writes, beside this program: `callgrind_annotate` shows which functions it was.
const PROFILES: &str = "callgrind";

/// The function that hashes, in aws-lc, is left out: most processors have instructions for it, which valgrind has
/// not, so that it would be three quarters of a sealed message's commit and hide what happens to the rest.
const LEFT_OUT: &str = "sha256_block_data_order";

/// Runs a path; only what [`counted`] calls is counted.
pub(crate) fn run(path: &HotPath) -> Result<()> {
    let mut work = path.prepare()?;
    for _ in 0..WARM_UP {
        work()?;
    }
    counted(&mut work)
}

/// Callgrind is told this name, so it has to be there as a function of its own.
#[inline(never)]
fn counted(work: &mut Work) -> Result<()> {
    (0..ROUNDS).try_for_each(|_| work())
}

/// The instructions of one round of a path.
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
        // The same words wherever this lies: they are in memory in front of everything else, and how that is
        // aligned makes a difference of up to one in a hundred.
        .args([concat!("./", env!("CARGO_BIN_NAME")), "run", path.name])
        .current_dir(folder);
    output(&mut valgrind).with_context(|| format!("{path}"))?;
    let profile = std::fs::read_to_string(folder.join(profile))?;
    let total = total(&profile).with_context(|| format!("{path}"))?;
    ensure!(total > 0, "{path}: nothing was counted");
    Ok(total / u64::from(ROUNDS))
}

/// What all functions in a profile cost by themselves, without the one that is left out.
fn total(profile: &str) -> Result<u64> {
    let (mut total, mut counts) = (0, true);
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        if let Some(function) = line.strip_prefix("fn=") {
            counts = !function.contains(LEFT_OUT);
        } else if line.starts_with("calls=") {
            lines.next(); // what the called function costs stands under its own name, too
        } else if counts
            && let Some((position, cost)) = line.split_once(' ')
            && position.parse::<u32>().is_ok()
        {
            total += cost.parse::<u64>()?;
        }
    }
    Ok(total)
}

/// What counts depend on besides our own code.
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
