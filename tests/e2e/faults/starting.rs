//! Starting without disk space, or with a changed database: a clear error, and no change to any file.

use std::fs::Permissions;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use nix::unistd::{Uid, User, chown, geteuid};
use parlour_tests::disk::{Call, Failing, full};
use parlour_tests::{Finished, Process, World, run_to_end, wait_until};
use rusqlite::Connection;

/// Starts a server, which must fail.
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
    // With data in it as well.
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
    // Each attempt gets a little further, until there is enough space.
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

#[test]
fn a_database_that_this_user_may_not_write_is_refused_and_left_alone() -> Result<()> {
    let mut world = World::peopled()?;
    world.stop_server()?;
    let good = std::fs::read(world.database())?;
    let mut command = world.server_command("127.0.0.1:0")?;
    if geteuid().is_root() {
        // Everything belongs to nobody except the database, which root keeps.
        let user = User::from_name("nobody")?.context("there is no user 'nobody'")?;
        let status = Command::new("chown").args(["-R", "nobody"]).arg(world.folder()).status()?;
        ensure!(status.success());
        chown(&world.database(), Some(Uid::from_raw(0)), None)?;
        ensure!(!user.uid.is_root());
        command.args(["--run-as", "nobody"]);
    } else {
        std::fs::set_permissions(world.database(), Permissions::from_mode(0o400))?;
    }
    let finished = run_to_end("server", &mut command, "")?;
    ensure!(finished.code == 2, "{finished:#?}");
    ensure!(finished.error()?.starts_with("error: cannot open data/chat.db: "), "{finished:#?}");
    ensure!(finished.hint().contains("this user may read and write it"), "{finished:#?}");
    ensure!(std::fs::read(world.database())? == good);
    Ok(())
}

#[test]
fn an_empty_file_or_a_folder_in_the_place_of_the_database_is_refused_and_left_alone() -> Result<()> {
    let mut world = World::peopled()?;
    world.stop_server()?;
    std::fs::write(world.database(), "")?;
    let finished = refused(&world, None)?;
    ensure!(finished.error()? == "error: data/chat.db is empty: it is no database", "{finished:#?}");
    ensure!(finished.hint().contains("parlour-server restore"), "{finished:#?}");
    ensure!(std::fs::metadata(world.database())?.len() == 0);
    std::fs::remove_file(world.database())?;
    std::fs::create_dir(world.database())?;
    let finished = refused(&world, None)?;
    ensure!(finished.error()?.starts_with("error: cannot open data/chat.db: "), "{finished:#?}");
    Ok(())
}

#[test]
fn a_log_that_is_not_the_databases_own_is_named_and_nothing_is_changed() -> Result<()> {
    // Two servers that diverged from the same beginning, so that their files look alike.
    let (mut one, mut other) = (World::peopled()?, World::peopled()?);
    for (world, word) in [(&one, "here"), (&other, "there")] {
        let mut sam = world.logged_in("sam")?;
        for number in 1..=60 {
            sam.ask(&format!("{word} {number}"), &format!("{{}} sam: {word} {number}"))?;
        }
        ensure!(sam.leave()? == 0);
    }
    one.stop_server()?;
    other.stop_server()?;
    other.start_server()?;
    let mut sam = other.logged_in_line("sam")?;
    sam.ask("and more", "{} sam: and more")?;
    other.kill_server()?;
    std::fs::copy(other.path("data/chat.db-wal"), one.path("data/chat.db-wal"))?;
    let good = std::fs::read(one.database())?;
    let finished = refused(&one, None)?;
    let error = finished.error()?;
    ensure!(
        error.starts_with("error: data/chat.db and its log data/chat.db-wal do not fit each other: "),
        "{error}"
    );
    ensure!(
        finished.hint().contains("nothing was changed") && finished.hint().contains("move that file away")
    );
    ensure!(std::fs::read(one.database())? == good, "the database was changed");
    std::fs::remove_file(one.path("data/chat.db-wal"))?;
    one.start_server()?;
    let mut erik = one.logged_in("erik")?;
    for number in 1..=60 {
        erik.expect(&format!("{{}} sam: here {number}"))?;
    }
    Ok(())
}
