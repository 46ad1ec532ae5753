//! Backups: private keys are written nowhere in clear, and an older database is understood.

use std::fs;
use std::path::{Path, PathBuf};

use crate::world::{Run, World};

fn run(world: &World, temporary: &Path, arguments: &[&str]) -> Run {
    let output = world.command(arguments).env("TMPDIR", temporary).output().unwrap();
    Run::of(&output)
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.append(&mut files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn backup_and_verify_need_no_folder_for_temporary_files_and_leave_no_key_in_clear() {
    let world = World::new();
    let nowhere = world.path("no-such-folder");
    let recipient = run(&world, &nowhere, &["backup-key", "backup.key"]);
    let recipient = recipient.out.trim();
    let made = run(&world, &nowhere, &["backup", "ttp.age", "--recipient", recipient]);
    assert_eq!(made.status, 0, "{made:?}");
    let verified = run(&world, &nowhere, &["verify", "ttp.age", "--identity", "backup.key"]);
    assert_eq!(verified.status, 0, "{verified:?}");
    assert!(verified.out.starts_with("ttp.age is good, made "), "{verified:?}");
    assert!(!nowhere.exists());
    let restored = ["restore", "ttp.age", "--identity", "backup.key", "--keys", "restored"];
    let restored = run(&world, &nowhere, &restored);
    assert_eq!(restored.status, 0, "{restored:?}");
    for name in ["ca.key", "ca.crt", "log.key"] {
        assert_eq!(world.text(&format!("restored/ttp/{name}")), world.text(&format!("keys/ttp/{name}")));
    }
    assert_eq!((world.mode("restored/ttp"), world.mode("restored/ttp/ca.key")), (0o711, 0o600));
    assert_eq!(world.mode("restored/ttp/ca.crt"), 0o644);
    // The keys are in their folders, and nowhere else.
    for path in files(&world.path("")) {
        let holds = fs::read(&path).unwrap().windows(11).any(|part| part == b"PRIVATE KEY");
        let may = path.ends_with("ttp/ca.key") || path.ends_with("ttp/log.key");
        assert!(!holds || may, "{}", path.display());
    }
}

#[test]
fn a_restored_authority_has_the_certificate_of_its_log_again() {
    let world = World::new();
    let recipient = run(&world, &world.path(""), &["backup-key", "backup.key"]);
    let before = world.text("keys/ttp/log.crt");
    world.succeed(&["backup", "ttp.age", "--recipient", recipient.out.trim()]);
    fs::rename(world.path("keys/ttp"), world.path("lost")).unwrap();
    world.succeed(&["restore", "ttp.age", "--identity", "backup.key"]);
    drop(world.serve());
    assert_eq!(world.text("keys/ttp/log.crt"), before);
}
