//! Starting where there is no room, or where the database is not what it was: a clear error, and nothing changed.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Result, ensure};
use nix::errno::Errno;
use parlour_tests::disk::{Call, Failing, full};
use parlour_tests::{Finished, Process, World, run_to_end, wait_until};
use rusqlite::Connection;

/// A server that does not start.
fn refused(world: &World, on: Option<&parlour_tests::Disk>) -> Result<Finished> {
    let command = world.server_command("127.0.0.1:0")?;
    let mut command = match on {
        Some(disk) => disk.under(&command)?,
        None => command,
    };
    let finished = run_to_end("server", &mut command, "")?;
    ensure!(finished.code == 2, "{finished:#?}");
    finished.error()?;
    ensure!(!finished.hint().is_empty(), "{finished:#?}");
    Ok(finished)
}

#[test]
fn a_server_or_ttp_that_starts_on_a_full_disk_says_so_and_starts_when_there_is_room() -> Result<()> {
    let mut world = World::with().people().prepare()?;
    std::fs::remove_dir_all(world.path("data"))?;
    let disk = world.disk("server")?;
    disk.fails(&full())?;
    let finished = refused(&world, Some(&disk))?;
    ensure!(finished.error()? == "error: no space left on data", "{finished:#?}");
    ensure!(finished.hint() == "hint: free some space there, or choose another directory with --data");
    disk.heals()?;
    world.put_server_on(&disk);
    world.start_ttp()?;
    world.start_server()?;
    world.stop_server()?;
    // With something in it as well.
    disk.fails(&full())?;
    let finished = refused(&world, Some(&disk))?;
    ensure!(finished.error()? == "error: no space left on data", "{finished:#?}");
    disk.heals()?;
    world.start_server()?;

    let disk = world.disk("ttp")?;
    world.stop_ttp()?;
    disk.fails(&full())?;
    let mut command = world.command("parlour-ttp")?;
    let mut command = disk.under(command.args(["serve", "--keys", "keys"]))?;
    let finished = run_to_end("ttp", &mut command, "")?;
    ensure!(finished.code == 2, "{finished:#?}");
    ensure!(finished.error()? == "error: no space left for the database", "{finished:#?}");
    ensure!(finished.hint() == "hint: free some space where the folder of keys is", "{finished:#?}");
    disk.heals()?;
    world.start_ttp()?;
    let mut zoe = world.registered("zoe")?;
    ensure!(zoe.leave()? == 0);
    Ok(())
}

#[test]
fn a_database_that_cannot_be_brought_up_to_date_stays_what_it_was_until_it_can() -> Result<()> {
    let mut world = World::with().people().prepare()?;
    std::fs::remove_dir_all(world.path("data"))?;
    std::fs::DirBuilder::new().mode(0o700).create(world.path("data"))?;
    let dump = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/src/store/fixtures/version1.sql");
    Connection::open(world.database())?.execute_batch(&std::fs::read_to_string(dump)?)?;
    let texts = |world: &World| -> Result<Vec<Option<String>>> {
        let database = Connection::open(world.database())?;
        let mut select = database.prepare("SELECT text FROM messages ORDER BY conversation, seq")?;
        Ok(select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    };
    let before = texts(&world)?;
    ensure!(before.len() == 6);
    let disk = world.disk("server")?;
    let (mut last, mut refusals) = (0, 0);
    // Each time a little further on, until there is room enough.
    for after in (1..).step_by(4) {
        disk.fails(&[Failing::always(Call::Write, Errno::ENOSPC).only(after..=u64::MAX)])?;
        let mut command = disk.under(&world.server_command("127.0.0.1:0")?)?;
        let mut server = Process::start("server", &mut command, Stdio::null())?;
        wait_until("a server that ends or listens", || {
            Ok(server.has_ended()? || !server.out.so_far().is_empty())
        })?;
        if !server.has_ended()? {
            server.crash()?;
            break;
        }
        refusals += 1;
        server.wait()?;
        ensure!(server.errors().contains("error: no space left on data\n"), "{}", server.errors());
        ensure!(texts(&world)? == before, "after {after} writes");
        let database = Connection::open(world.database())?;
        let version: u64 = database.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        ensure!(version >= last, "{version} after {last}");
        last = version;
    }
    ensure!(refusals > 3, "{refusals}");
    disk.heals()?;
    world.put_server_on(&disk);
    world.start_server()?;
    world.stop_server()?;
    ensure!(texts(&world)? == before);
    Ok(())
}
