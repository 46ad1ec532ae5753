//! Other programs that some tests need. In continuous integration they must exist; elsewhere a test that misses
//! one says so and passes.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

/// OpenSSL's program.
pub fn openssl() -> Result<Option<PathBuf>> {
    found(PathBuf::from("openssl"), &["version"], "apt-get install openssl")
}

/// A Python with jwcrypto: `python3`, or the one in `PARLOUR_PYTHON`.
pub fn jwcrypto() -> Result<Option<PathBuf>> {
    let python = std::env::var_os("PARLOUR_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    found(python, &["-c", "import jwcrypto, cryptography"], "pip install jwcrypto")
}

fn found(program: PathBuf, arguments: &[&str], remedy: &str) -> Result<Option<PathBuf>> {
    let works = Command::new(&program).args(arguments).output().is_ok_and(|output| output.status.success());
    if works {
        return Ok(Some(program));
    }
    let call = format!("{} {}", program.display(), arguments.join(" "));
    ensure!(std::env::var_os("CI").is_none(), "`{call}` must work here: {remedy}");
    println!("skipped: `{call}` does not work; {remedy}");
    Ok(None)
}
