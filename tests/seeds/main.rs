//! Replays the fuzzers' seeds and findings on every run: each file in `fuzz/seeds/TARGET/` goes through the
//! function of its target.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use parlour_tests::fuzzed::{TARGETS, Target};

/// The largest seed in bytes, because committed files must stay small.
const LARGEST_SEED: u64 = 8_192;
const MOST_SEEDS: usize = 100;
const ALL_SEEDS: u64 = 500_000;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn names_in(folder: &Path) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Runs a target on all its seeds; returns their number and their bytes.
fn replay(name: &str, target: Target) -> Result<(usize, u64)> {
    let folder = fuzz().join("seeds").join(name);
    let seeds = names_in(&folder)?;
    ensure!((3..=MOST_SEEDS).contains(&seeds.len()), "{name} has {} seeds", seeds.len());
    let mut total = 0;
    for seed in &seeds {
        let bytes = fs::read(folder.join(seed))?;
        let length = bytes.len() as u64;
        ensure!(length <= LARGEST_SEED, "{name}/{seed} has {length} bytes");
        // Shown when the target panics.
        println!("fuzz/seeds/{name}/{seed}");
        target(&bytes);
        total += length;
    }
    Ok((seeds.len(), total))
}

#[test]
fn every_input_that_was_found_holds_now() -> Result<()> {
    let mut all = 0;
    for (name, target) in TARGETS {
        let (seeds, bytes) = replay(name, target)?;
        println!("{name}: {seeds} seeds, {bytes} bytes");
        all += bytes;
    }
    ensure!(all <= ALL_SEEDS, "{all} bytes of seeds are too many to be committed");
    Ok(())
}

#[test]
fn each_target_has_a_function_a_program_and_seeds_and_nothing_else_has() -> Result<()> {
    let functions: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    ensure!(functions.len() == TARGETS.len(), "a name stands twice in the table");
    ensure!(names_in(&fuzz().join("seeds"))? == functions, "fuzz/seeds has other folders");
    let files: BTreeSet<String> = functions.iter().map(|name| format!("{name}.rs")).collect();
    ensure!(names_in(&fuzz().join("fuzz_targets"))? == files, "fuzz/fuzz_targets has other files");
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml"))?;
    let named = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/"));
    let named: BTreeSet<String> = named.map(|line| line.trim_end_matches('"').to_owned()).collect();
    ensure!(named == files, "fuzz/Cargo.toml names {named:?}");
    for name in &functions {
        let program = fs::read_to_string(fuzz().join("fuzz_targets").join(format!("{name}.rs")))?;
        ensure!(program.contains(&format!("parlour_tests::fuzzed::{name}(bytes)")), "{name}: {program}");
    }
    Ok(())
}

/// Otherwise a table with the wrong function, or with one that reads nothing, would pass.
#[test]
fn the_seeds_reach_the_code_that_they_are_for() -> Result<()> {
    let read = |seed: &str| fs::read(fuzz().join("seeds").join(seed));
    let text = |seed: &str| -> Result<String> { Ok(String::from_utf8(read(seed)?)?) };
    let enrolment = text("request/enrolment")?;
    ensure!(parlour_envelope::VerifiedEnrolment::read(&enrolment, &parlour_envelope::AwsLc).is_ok());
    ensure!(parlour_protocol::SealedMessage::from_json(&text("sealed/message-first")?).is_ok());
    ensure!(parlour_keylog::Leaf::decode(&read("leaf/enrolment")?).is_ok());
    ensure!(parlour_keylog::Leaf::decode(&read("leaf/renewal")?).is_ok());
    ensure!(parlour_keylog::Leaf::decode(&read("leaf/revocation")?).is_ok());
    ensure!(parlour_keylog::DeviceCertificate::from_der(&read("certificate/device")?).is_ok());
    ensure!(
        parlour_keylog::RootCertificate::from_der(&read("certificate/root")?, &parlour_envelope::AwsLc)
            .is_ok()
    );
    let whole = read("backup/whole")?;
    let files = ["chat.db", "second"];
    let taken = parlour_upkeep::archive::read_tar(
        Path::new("whole"),
        whole.as_slice(),
        "parlour-server",
        &files,
        |_, _| Ok(()),
    );
    ensure!(taken.is_ok(), "{taken:?}");
    Ok(())
}
