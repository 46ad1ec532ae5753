//! 16: read a stolen disk.
//!
//! Bites: the same search finds public messages on the server's disk; and with the key that lies beside the
//! records (there is no passphrase yet) the thief of a whole profile reads everything, as the threat model says.

use std::path::Path;

use anyhow::{Result, ensure};
use parlour_tests::{World, run_to_end};

use super::holding;

/// Copies the files of a profile, as a thief of the disk would.
fn copy(from: &Path, to: &Path, without: &str) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.file_name() != without {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[test]
fn messages_are_not_readable_on_the_disks_without_a_key() -> Result<()> {
    let mut world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let (private, public) = ("canary-77d0-in-private", "canary-c4e1-in-public");
    sam.ask(&format!("@erik {private}"), &format!("{{}} sam: @erik {private}"))?;
    sam.ask(public, &format!("{{}} sam: {public}"))?;
    ensure!(sam.leave()? == 0);
    let mut erik = world.logged_in("erik")?;
    erik.expect(&format!("{{}} sam: @erik {private}"))?;
    ensure!(erik.leave()? == 0);
    world.stop_server()?;

    // On the clients' disks not even public messages can be read, nor the names of the users' contacts.
    let people = world.path("people");
    ensure!(holding(&people, &[private, public])?.is_empty());
    let records = std::fs::read(world.profile("sam").join("local.db"))?;
    for name in [b"@erik".as_slice(), b"#lobby"] {
        ensure!(memchr::memmem::find(&records, name).is_none(), "a name stands in the records");
    }
    ensure!(holding(&world.path("data"), &[private])?.is_empty());
    ensure!(!holding(&world.path("data"), &[public])?.is_empty(), "the search finds nothing");
    // No key that opens the stored messages is on the server's disk.
    for folder in ["data", "keys/server"] {
        ensure!(holding(&world.path(folder), &["RSA PRIVATE KEY"])?.is_empty());
    }
    Ok(())
}

#[test]
fn the_records_open_with_their_key_and_with_no_other() -> Result<()> {
    let world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    sam.ask("@erik canary", "{} sam: @erik canary")?;
    ensure!(sam.leave()? == 0);
    let thief = world.path("people/thief");
    let read = || {
        let mut command = world.command("parlour")?;
        command.arg(world.address()?.to_string()).arg("--keys").arg(&thief).arg("--ca").arg(world.root());
        run_to_end("thief", command.args(["--user", "sam", "history", "@erik"]), "")
    };
    copy(&world.profile("sam"), &thief.join("sam"), "local.key")?;
    std::fs::copy(world.profile("erik").join("local.key"), thief.join("sam/local.key"))?;
    let with_another = read()?;
    ensure!(with_another.code != 0 && with_another.out.is_empty(), "{with_another:#?}");
    // This remains possible: the key lies beside the records.
    copy(&world.profile("sam"), &thief.join("sam"), "")?;
    let with_theirs = read()?;
    ensure!(with_theirs.out.iter().any(|line| line.ends_with("@erik canary")), "{with_theirs:#?}");
    Ok(())
}
