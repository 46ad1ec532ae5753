//! Claim 29: no dependency slips in. The check in `make lint` refuses another registry, a git source and an
//! altered lock file.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

/// A foreign source of dependencies, replaced by local copies so that nothing is fetched.
const ELSEWHERE: &str = r#"
[registries.elsewhere]
index = "https://registry.invalid/index"
[source.elsewhere]
registry = "https://registry.invalid/index"
replace-with = "folder"
[source.git]
git = "https://git.invalid/zzz"
rev = "0123456789012345678901234567890123456789"
replace-with = "folder"
[source.folder]
directory = "folder"
"#;
const CHECKSUM: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A copy of all files that name sources of dependencies; the code is linked.
struct Manifests(TempDir);

impl Manifests {
    fn copy() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let ours = ours();
        for file in ["Cargo.toml", "Cargo.lock", "deny.toml"] {
            fs::copy(ours.join(file), folder.path().join(file)).context(file)?;
        }
        for entry in fs::read_dir(&ours)? {
            let member = entry?.path();
            let manifest = member.join("Cargo.toml");
            let name = member.file_name().context("no name")?;
            if !manifest.exists() || name == "fuzz" {
                continue;
            }
            let copy = folder.path().join(name);
            fs::create_dir(&copy)?;
            for entry in fs::read_dir(&member)? {
                let entry = entry?;
                if entry.file_name() != "Cargo.toml" {
                    symlink(entry.path(), copy.join(entry.file_name()))?;
                }
            }
            fs::copy(manifest, copy.join("Cargo.toml"))?;
        }
        Ok(Self(folder))
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// Changes a file by replacing the first occurrence of a text after another one.
    fn change(&self, file: &str, after: &str, text: &str, by: &str) -> Result<()> {
        let content = fs::read_to_string(self.path(file))?;
        let start = content.find(after).with_context(|| format!("no {after:?} in {file}"))?;
        let (head, tail) = content.split_at(start);
        ensure!(tail.contains(text), "no {text:?} in {file}");
        Ok(fs::write(self.path(file), head.to_owned() + &tail.replacen(text, by, 1))?)
    }

    /// Makes the protocol depend on a crate from elsewhere, as cleanly as cargo itself would.
    fn slip_in(&self, dependency: &str, source: &str, checksum: Option<&str>) -> Result<()> {
        for folder in [".cargo", "folder/zzz/src"] {
            fs::create_dir_all(self.path(folder))?;
        }
        fs::write(self.path(".cargo/config.toml"), ELSEWHERE)?;
        let manifest =
            "[package]\nname = \"zzz\"\nversion = \"1.0.0\"\nedition = \"2024\"\nlicense = \"MIT\"\n";
        fs::write(self.path("folder/zzz/Cargo.toml"), manifest)?;
        fs::write(self.path("folder/zzz/src/lib.rs"), "")?;
        let sums = serde_json::json!({ "files": {}, "package": checksum });
        fs::write(self.path("folder/zzz/.cargo-checksum.json"), sums.to_string())?;

        let section = "[dependencies]\n";
        self.change("protocol/Cargo.toml", section, section, &format!("{section}zzz = {dependency}\n"))?;
        self.change("Cargo.lock", "name = \"parlour-protocol\"", "\n]", "\n \"zzz\",\n]")?;
        let mut lock = fs::read_to_string(self.path("Cargo.lock"))?;
        write!(lock, "\n[[package]]\nname = \"zzz\"\nversion = \"1.0.0\"\nsource = \"{source}\"\n")?;
        if let Some(checksum) = checksum {
            writeln!(lock, "checksum = \"{checksum}\"")?;
        }
        Ok(fs::write(self.path("Cargo.lock"), lock)?)
    }

    /// The result of the check in `make lint`: true if the dependencies pass, and its output.
    fn check(&self) -> Result<(bool, String)> {
        let script = ours().join("scripts/deny.sh");
        let mut command = Command::new(script);
        command.arg(self.0.path()).env_remove("ADVISORIES").stdin(Stdio::null());
        // The cargo that runs this test sets variables for its own workspace.
        command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO");
        let output = command.output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
    }

    fn refused(&self, why: &str) -> Result<()> {
        let (passed, said) = self.check()?;
        ensure!(!passed && said.contains(why), "passed: {passed}, and it said: {said}");
        Ok(())
    }
}

/// The folder of the workspace.
fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Without cargo-deny there is nothing to test, except where it is required.
fn skipped() -> Result<bool> {
    if Command::new("cargo-deny").arg("--version").stdout(Stdio::null()).status().is_ok() {
        return Ok(false);
    }
    ensure!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "cargo-deny is missing");
    eprintln!("skipped: cargo-deny is not installed");
    Ok(true)
}

#[test]
fn our_dependencies_pass() -> Result<()> {
    if skipped()? {
        return Ok(());
    }
    let (passed, said) = Manifests::copy()?.check()?;
    ensure!(passed, "{said}");
    Ok(())
}

#[test]
fn a_dependency_from_another_registry_is_refused() -> Result<()> {
    if skipped()? {
        return Ok(());
    }
    let manifests = Manifests::copy()?;
    let dependency = r#"{ version = "1.0.0", registry = "elsewhere" }"#;
    manifests.slip_in(dependency, "registry+https://registry.invalid/index", Some(CHECKSUM))?;
    manifests.refused("error[source-not-allowed]: detected 'registry' source")
}

#[test]
fn a_dependency_from_a_git_repository_is_refused() -> Result<()> {
    if skipped()? {
        return Ok(());
    }
    let manifests = Manifests::copy()?;
    let rev = "0123456789012345678901234567890123456789";
    let dependency = format!(r#"{{ git = "https://git.invalid/zzz", rev = "{rev}" }}"#);
    manifests.slip_in(&dependency, &format!("git+https://git.invalid/zzz?rev={rev}#{rev}"), None)?;
    manifests.refused("error[source-not-allowed]: detected 'git' source")
}

#[test]
fn a_lock_file_with_an_altered_checksum_is_refused() -> Result<()> {
    if skipped()? {
        return Ok(());
    }
    let manifests = Manifests::copy()?;
    let lock = fs::read_to_string(manifests.path("Cargo.lock"))?;
    let (_, entry) = lock.split_once("name = \"itoa\"").context("no itoa")?;
    let (_, checksum) = entry.split_once("checksum = \"").context("no checksum")?;
    let checksum = checksum.get(..CHECKSUM.len()).context("a short checksum")?;
    manifests.change("Cargo.lock", "name = \"itoa\"", checksum, CHECKSUM)?;
    manifests.refused("changed between lock files")
}

#[test]
fn a_lock_file_that_names_another_source_than_the_manifests_is_refused() -> Result<()> {
    if skipped()? {
        return Ok(());
    }
    let manifests = Manifests::copy()?;
    let lock = fs::read_to_string(manifests.path("Cargo.lock"))?;
    let (_, entry) = lock.split_once("name = \"itoa\"").context("no itoa")?;
    let (_, source) = entry.split_once("source = ").context("no source")?;
    let (source, _) = source.split_once('\n').context("no end")?;
    manifests.change(
        "Cargo.lock",
        "name = \"itoa\"",
        source,
        "\"registry+https://registry.invalid/index\"",
    )?;
    manifests.refused("cannot update the lock file")
}
