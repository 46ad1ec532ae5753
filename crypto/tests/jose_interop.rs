//! A JOSE library in another language opens what we seal, and we open what it seals.
#![cfg(test)]

mod case;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn jwcrypto_opens_our_vectors_and_we_open_what_it_seals() {
    let python = env::var("PARLOUR_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    if !has_jwcrypto(&python) {
        assert!(env::var_os("CI").is_none(), "CI must have jwcrypto: pip install jwcrypto");
        eprintln!("skipped: {python} has no jwcrypto; PARLOUR_PYTHON can name an interpreter that has it");
        return;
    }
    run(&python, &[]);
    let sealed = empty_folder();
    run(&python, &[Path::new("--seal"), &sealed]);
    let mut checked = 0;
    for entry in fs::read_dir(sealed).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        case::check(&serde_json::from_slice(&fs::read(path).unwrap()).unwrap());
        checked += 1;
    }
    assert!(checked >= 6, "only {checked} messages were sealed");
}

fn has_jwcrypto(python: &str) -> bool {
    Command::new(python)
        .args(["-c", "import jwcrypto, cryptography"])
        .output()
        .is_ok_and(|output| output.status.success())
}

fn run(python: &str, arguments: &[&Path]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/check_jose.py");
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    println!("{said}");
}

fn empty_folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sealed-by-jwcrypto");
    // An earlier run may have left it.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}
