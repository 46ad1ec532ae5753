//! A TTP whose disk is full or loses data: it issues no certificate without recording it, and no name becomes
//! unusable.

use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use parlour_tests::disk::{Call, Failing, full};
use parlour_tests::{Client, Disk, Process, World, run_to_end, wait_until};
use rusqlite::Connection;

const REFUSED: &str = "error: certificates cannot be issued now, try again later";

/// A world whose TTP is on a disk that can fail, and zoe, who is a guest.
fn world() -> Result<(World, Disk, Client)> {
    let mut world = World::with().people().prepare()?;
    let disk = world.disk("ttp")?;
    world.put_ttp_on(&disk);
    world.start_ttp()?;
    world.start_server()?;
    let zoe = world.client("zoe")?;
    Ok((world, disk, zoe))
}

/// The numbers of certificates and leaves that the TTP has recorded.
fn recorded(world: &World) -> Result<(u64, u64)> {
    let database = Connection::open(world.path("keys/ttp/ttp.db"))?;
    let count = |table| database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
    Ok((count("certificates")?, count("leaves")?))
}

fn is_well(world: &World) -> Result<()> {
    let mut command = world.command("parlour-ttp")?;
    let finished = run_to_end("check", command.args(["check", "--keys", "keys"]), "")?;
    ensure!(
        finished.out.iter().any(|line| line.starts_with("well") && line.contains("database")),
        "{finished:#?}"
    );
    Ok(())
}

/// Checks that the TTP's log has this text once.
fn said_once(world: &World, text: &str) -> Result<()> {
    wait_until(text, || Ok(world.ttp()?.errors().contains(text)))?;
    let log = world.ttp()?.errors();
    ensure!(log.matches(text).count() == 1, "{log}");
    Ok(())
}

#[test]
fn a_ttp_without_room_issues_nothing_and_goes_on_when_there_is_some() -> Result<()> {
    let (world, disk, mut zoe) = world()?;
    let before = recorded(&world)?;
    disk.fails(&full())?;
    for _ in 0..3 {
        zoe.ask("/register zoe", REFUSED)?;
    }
    ensure!(disk.failures()? > 0 && recorded(&world)? == before);
    said_once(&world, "no space left for the database: nothing can be issued now")?;
    disk.heals()?;
    zoe.ask("/register zoe", "Registration Succeeded")?;
    zoe.expect("Authentication Succeeded")?;
    ensure!(recorded(&world)? == (before.0 + 2, before.1 + 1));
    is_well(&world)
}

#[test]
fn a_ttp_whose_disk_loses_data_issues_nothing_until_its_next_start() -> Result<()> {
    let (mut world, disk, mut zoe) = world()?;
    let before = recorded(&world)?;
    disk.fails(&[Failing::always(Call::Sync, Errno::EIO).only(1..=1)])?;
    for _ in 0..3 {
        zoe.ask("/register zoe", REFUSED)?;
    }
    ensure!(disk.failures()? == 1 && recorded(&world)? == before);
    said_once(&world, "nothing more is issued until this program is started again")?;
    world.kill_ttp()?;
    disk.heals()?;
    world.start_ttp()?;
    zoe.ask("/register zoe", "Registration Succeeded")
        .with_context(|| world.ttp().map(Process::errors).unwrap_or_default())?;
    zoe.expect("Authentication Succeeded")?;
    // Even if the first attempt was found on the disk, there is one account and one pair of certificates.
    ensure!(recorded(&world)? == (before.0 + 2, before.1 + 1));
    is_well(&world)
}
