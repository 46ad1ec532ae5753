//! Backups: made under load, verified and restored, and what all users see afterwards.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use parlour_tests::{Finished, World, run_to_end};
use rusqlite::Connection;

/// Makes a key for backups with the program itself, and returns its recipient.
fn key(world: &World, program: &str, file: &str) -> Result<String> {
    let finished = run_to_end(program, world.command(program)?.args(["backup-key", file]), "")?;
    ensure!(finished.code == 0, "{finished:#?}");
    Ok(finished.out.first().context("a recipient")?.clone())
}

/// Runs a command of a program in the world's folder.
fn run(world: &World, program: &str, arguments: &[&str]) -> Result<Finished> {
    run_to_end(program, world.command(program)?.args(arguments), "")
}

/// Runs a command that must succeed.
fn done(world: &World, program: &str, arguments: &[&str]) -> Result<Vec<String>> {
    let finished = run(world, program, arguments)?;
    ensure!(finished.code == 0, "{arguments:?}: {finished:#?}");
    Ok(finished.out)
}

/// Runs a command that must end with this status and one line of error, which is returned.
fn refused(world: &World, program: &str, arguments: &[&str], code: i32) -> Result<String> {
    let finished = run(world, program, arguments)?;
    ensure!(finished.code == code && finished.out.is_empty(), "{arguments:?}: {finished:#?}");
    ensure!(!finished.hint().is_empty(), "{arguments:?}: a hint was expected: {finished:#?}");
    finished.error().map(str::to_owned)
}

/// The names in a folder, hidden ones too.
fn names(folder: &Path) -> Result<Vec<String>> {
    let entries =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = entries.collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

#[test]
fn in_a_drill_everything_is_lost_and_comes_back_and_later_messages_are_missed() -> Result<()> {
    let mut world = World::peopled()?;
    let recipient = key(&world, "parlour-server", "backup.key")?;
    std::fs::write(
        world.path("server.toml"),
        format!("data = \"data\"\nbackup-recipient = \"{recipient}\""),
    )?;
    let mut sam = world.logged_in("sam")?;
    let mut erik = world.logged_in("erik")?;
    for text in ["one", "two"] {
        sam.type_line(text)?;
        sam.process.out.wait_for(&format!("{{}} sam: {text}"))?;
        erik.process.out.wait_for(&format!("{{}} sam: {text}"))?;
        erik.ask(&format!("@sam secret {text}"), &format!("{{}} erik: @sam secret {text}"))?;
    }
    // Under load: sam types ahead, and each line is stored while the backup is made.
    for number in 0..200 {
        sam.type_line(&format!("load {number}"))?;
    }
    sam.process.out.wait_for("{} sam: load 5")?;
    let out = done(&world, "parlour-server", &["backup", "backup.age", "--config", "server.toml"])?;
    ensure!(out.first().is_some_and(|line| line == "wrote backup.age"), "{out:#?}");
    sam.process.out.wait_for("{} sam: load 199")?;
    let out = done(&world, "parlour-server", &["verify", "backup.age", "--identity", "backup.key"])?;
    ensure!(out.iter().any(|line| line.starts_with("3 accounts, 2 conversations, ")), "{out:#?}");
    sam.type_line("too late")?;
    sam.process.out.wait_for("{} sam: too late")?;
    erik.process.out.wait_for("{} sam: too late")?;
    ensure!(sam.leave()? == 0 && erik.leave()? == 0);

    world.stop_server()?;
    std::fs::remove_dir_all(world.path("data"))?;
    done(&world, "parlour-server", &["restore", "backup.age", "--identity", "backup.key", "--data", "data"])?;
    ensure!(names(&world.path("data"))? == ["chat.db", "lock"], "{:?}", names(&world.path("data"))?);
    world.start_server()?;

    // Users who were there miss the messages after the backup, and are told so.
    let mut sam = world.logged_in("sam")?;
    sam.process.wait_for_error("of #lobby, this machine 203: the server has lost some")?;
    sam.type_line("@erik again")?;
    sam.process.out.wait_for("{} sam: @erik again")?;
    ensure!(sam.leave()? == 0);
    // A user with no local records reads everything in the backup.
    std::fs::remove_file(world.profile("erik").join("local.db"))?;
    let mut erik = world.logged_in("erik")?;
    for text in ["secret one", "secret two"] {
        erik.process.out.wait_for(&format!("{{}} erik: @sam {text}"))?;
    }
    erik.process.out.wait_for("{} sam: @erik again")?;
    erik.type_line("all is here")?;
    erik.process.out.wait_for("{} erik: all is here")?;
    Ok(())
}

#[test]
fn a_backup_that_was_changed_is_not_good_and_one_for_another_key_cannot_be_tried() -> Result<()> {
    let world = World::peopled()?;
    let recipient = key(&world, "parlour-server", "backup.key")?;
    key(&world, "parlour-server", "other.key")?;
    done(&world, "parlour-server", &["backup", "a.age", "--data", "data", "--recipient", &recipient])?;
    let verify = |identity: &str| ["verify", "a.age", "--identity", identity].map(str::to_owned);
    let refused = |identity: &str, code: i32| {
        let arguments = verify(identity);
        let arguments = arguments.each_ref().map(String::as_str);
        refused(&world, "parlour-server", &arguments, code)
    };
    ensure!(refused("other.key", 2)? == "error: a.age is not encrypted to this key");
    ensure!(refused("missing.key", 2)?.starts_with("error: cannot use the key missing.key: "));
    let good = std::fs::read(world.path("a.age"))?;
    // The library's own test flips bits all over; here a few places in a real one are enough.
    for part in 0..12 {
        let place = (good.len() - 1) * part / 11;
        let mut bad = good.clone();
        bad[place] ^= 0x10;
        std::fs::write(world.path("a.age"), bad)?;
        refused("backup.key", 1).with_context(|| format!("byte {place}"))?;
    }
    std::fs::write(world.path("a.age"), &good[..good.len() / 2])?;
    refused("backup.key", 1)?;
    // Damaged backups are not restored either, and leave no database.
    let arguments = ["restore", "a.age", "--identity", "backup.key", "--data", "new"];
    refused_restore(&world, &arguments)?;
    Ok(())
}

fn refused_restore(world: &World, arguments: &[&str]) -> Result<()> {
    refused(world, "parlour-server", arguments, 1)?;
    ensure!(!world.path("new").exists(), "{:?}", names(&world.path("new"))?);
    Ok(())
}

#[test]
fn a_changed_audit_log_keeps_no_message_from_being_backed_up_and_is_reported() -> Result<()> {
    let mut world = World::peopled()?;
    let recipient = key(&world, "parlour-server", "backup.key")?;
    let arguments = ["backup", "a.age", "--data", "data", "--recipient", &recipient];
    let told =
        |lines: &[String]| lines.iter().find_map(|line| Some(line.strip_prefix("audit log: ")?.to_owned()));
    let sound = told(&done(&world, "parlour-server", &arguments)?).context("the log is told")?;
    let out = done(&world, "parlour-server", &["verify", "a.age", "--identity", "backup.key"])?;
    ensure!(sound.contains(" entries, newest hash ") && told(&out) == Some(sound), "{out:#?}");
    world.stop_server()?;
    let database = Connection::open(world.database())?;
    database
        .execute_batch("DROP TRIGGER audit_keeps; UPDATE audit SET detail = 'nothing' WHERE number = 2")?;
    drop(database);
    let fault = Some("entry 2 does not fit its hash".to_owned());
    let out = done(&world, "parlour-server", &[&arguments[..], &["--force"]].concat())?;
    ensure!(told(&out) == fault, "{out:#?}");
    let arguments = ["verify", "a.age", "--identity", "backup.key"];
    let said = refused(&world, "parlour-server", &arguments, 1)?;
    ensure!(said == "error: the backup is not sound: audit log: entry 2 does not fit its hash", "{said}");
    let arguments = ["restore", "a.age", "--identity", "backup.key", "--data", "new"];
    ensure!(told(&done(&world, "parlour-server", &arguments)?) == fault);
    Ok(())
}

#[test]
fn nothing_that_exists_is_overwritten() -> Result<()> {
    let mut world = World::peopled()?;
    let recipient = key(&world, "parlour-server", "backup.key")?;
    let error = refused(&world, "parlour-server", &["backup-key", "backup.key"], 2)?;
    ensure!(error.starts_with("error: cannot write backup.key: "), "{error}");

    let error = refused(&world, "parlour-server", &["backup", "a.age", "--data", "data"], 2)?;
    ensure!(error == "error: no recipient is named to encrypt the backup to", "{error}");
    let backup = ["backup", "a.age", "--data", "data", "--recipient", &recipient];
    done(&world, "parlour-server", &backup)?;
    let before = std::fs::read(world.path("a.age"))?;
    ensure!(refused(&world, "parlour-server", &backup, 2)? == "error: a.age is there already");
    ensure!(std::fs::read(world.path("a.age"))? == before, "it was changed");
    done(&world, "parlour-server", &[&backup[..], &["--force"]].concat())?;
    ensure!(std::fs::read(world.path("a.age"))? != before, "it was not replaced");

    let restore = |data: &'static str| ["restore", "a.age", "--identity", "backup.key", "--data", data];
    let database = std::fs::read(world.database())?;
    let there = "error: there is a database in data already";
    ensure!(refused(&world, "parlour-server", &restore("data"), 2)? == there);
    world.stop_server()?;
    ensure!(refused(&world, "parlour-server", &restore("data"), 2)? == there);
    ensure!(!database.is_empty() && world.database().exists(), "the database is gone");
    // A server whose database was removed still owns its folder.
    world.start_server()?;
    for file in ["chat.db", "chat.db-wal", "chat.db-shm"] {
        std::fs::remove_file(world.path("data").join(file))?;
    }
    let error = refused(&world, "parlour-server", &restore("data"), 2)?;
    ensure!(error == "error: data directory data is in use by another server", "{error}");
    Ok(())
}

/// The number of bytes in the largest file beneath `folder` that a process has open, with or without a name.
fn open_beneath(process: u32, folder: &Path) -> Result<u64> {
    let mut most = 0;
    for entry in std::fs::read_dir(format!("/proc/{process}/fd"))? {
        let path = entry?.path();
        if std::fs::read_link(&path).is_ok_and(|target| target.starts_with(folder)) {
            most = most.max(std::fs::metadata(&path).map_or(0, |metadata| metadata.len()));
        }
    }
    Ok(most)
}

#[test]
fn a_verification_leaves_no_message_in_a_file_not_even_when_it_is_killed() -> Result<()> {
    let world = World::peopled()?;
    let recipient = key(&world, "parlour-server", "backup.key")?;
    done(&world, "parlour-server", &["backup", "a.age", "--data", "data", "--recipient", &recipient])?;
    let backup = std::fs::read(world.path("a.age"))?;
    std::fs::create_dir(world.path("temporary"))?;
    let temporary = world.path("temporary").canonicalize()?;
    let pipe = world.path("pipe.age");
    ensure!(Command::new("mkfifo").arg(&pipe).status()?.success());
    // The last bytes never come, so that it waits for them with all others unpacked.
    let mut verifying = world
        .command("parlour-server")?
        .args(["verify", "pipe.age", "--identity", "backup.key"])
        .env("TMPDIR", &temporary)
        .spawn()?;
    let mut writing = std::fs::OpenOptions::new().write(true).open(&pipe)?;
    std::io::Write::write_all(&mut writing, &backup[..backup.len() - 8])?;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while open_beneath(verifying.id(), &temporary)? < 8_192 {
        ensure!(verifying.try_wait()?.is_none(), "it has ended");
        ensure!(std::time::Instant::now() < deadline, "it unpacks nothing");
        std::thread::yield_now();
    }
    let during = names(&temporary)?;
    verifying.kill()?;
    verifying.wait()?;
    // Its folder, in which nobody else can make a file, and nothing in it.
    ensure!(during.len() == 1 && names(&temporary.join(&during[0]))?.is_empty(), "{during:?}");
    ensure!(names(&temporary)? == during, "when it was killed: {:?}", names(&temporary)?);
    std::fs::remove_dir(temporary.join(&during[0]))?;
    // And when it comes to its end.
    let mut command = world.command("parlour-server")?;
    command.args(["verify", "a.age", "--identity", "backup.key"]).env("TMPDIR", &temporary);
    ensure!(run_to_end("parlour-server", &mut command, "")?.code == 0);
    ensure!(names(&temporary)?.is_empty(), "{:?}", names(&temporary)?);
    Ok(())
}

/// The command with a limit on the size of its files, like a disk that fills up.
fn with_room(command: &Command, kibibytes: u64) -> Command {
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {kibibytes}; exec \"$0\" \"$@\""));
    shell.arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    shell
}

#[test]
fn a_full_disk_leaves_no_half_backup_and_no_half_database() -> Result<()> {
    let world = World::peopled()?;
    let recipient = key(&world, "parlour-server", "backup.key")?;
    let mut command = world.command("parlour-server")?;
    command.args(["backup", "a.age", "--data", "data", "--recipient", &recipient]);
    done(&world, "parlour-server", &["backup", "whole.age", "--data", "data", "--recipient", &recipient])?;
    let (before, data) = (names(world.folder())?, names(&world.path("data"))?);
    let whole = std::fs::metadata(world.path("whole.age"))?.len().div_ceil(1_024);
    // First too little space for the copy; then enough for the copy but not for the backup, which is a little
    // longer.
    for room in [8, whole - 2] {
        let finished = run_to_end("server", &mut with_room(&command, room), "")?;
        ensure!(finished.code == 2 && finished.hint().contains("room"), "{room} KiB: {finished:#?}");
        finished.error()?;
        ensure!(names(world.folder())? == before, "{room} KiB: {:?}", names(world.folder())?);
        ensure!(names(&world.path("data"))? == data, "{room} KiB: {:?}", names(&world.path("data"))?);
    }
    let mut command = world.command("parlour-server")?;
    command.args(["restore", "whole.age", "--identity", "backup.key", "--data", "new"]);
    let finished = run_to_end("server", &mut with_room(&command, 8), "")?;
    ensure!(finished.code == 2 && finished.hint().contains("room"), "{finished:#?}");
    ensure!(!world.path("new").exists(), "{:?}", names(&world.path("new"))?);
    // With enough space it works in the same place.
    ensure!(run_to_end("server", &mut command, "")?.code == 0);
    Ok(())
}

#[test]
fn a_ttp_comes_back_with_its_root_and_its_names() -> Result<()> {
    let mut world = World::peopled()?;
    let recipient = key(&world, "parlour-ttp", "backup.key")?;
    let backup = ["backup", "ttp.age", "--keys", "keys", "--recipient", &recipient];
    done(&world, "parlour-ttp", &backup)?;
    ensure!(refused(&world, "parlour-ttp", &backup, 2)? == "error: ttp.age is there already");
    let verify = ["verify", "ttp.age", "--identity", "backup.key"];
    let out = done(&world, "parlour-ttp", &verify)?;
    ensure!(out.iter().any(|line| line.starts_with("3 accounts, 3 answers, 9 certificates")), "{out:#?}");
    let restore = ["restore", "ttp.age", "--identity", "backup.key", "--keys", "keys"];
    ensure!(refused(&world, "parlour-ttp", &restore, 2)? == "error: keys/ttp is there already");
    // A server's backup is not a TTP's.
    done(&world, "parlour-server", &["backup", "s.age", "--data", "data", "--recipient", &recipient])?;
    let foreign = ["verify", "s.age", "--identity", "backup.key"];
    ensure!(
        refused(&world, "parlour-ttp", &foreign, 1)?
            .starts_with("error: s.age is a backup of parlour-server")
    );

    // A backup that cannot be restored leaves no folder behind.
    let elsewhere = ["restore", "s.age", "--identity", "backup.key", "--keys", "elsewhere"];
    refused(&world, "parlour-ttp", &elsewhere, 1)?;
    ensure!(!world.path("elsewhere").exists(), "a folder was left");

    world.stop_ttp()?;
    let lost: PathBuf = world.path("lost");
    std::fs::rename(world.path("keys/ttp"), &lost)?;
    done(&world, "parlour-ttp", &restore)?;
    for file in ["ca.key", "ca.crt", "log.key"] {
        let same = std::fs::read(lost.join(file))? == std::fs::read(world.path("keys/ttp").join(file))?;
        ensure!(same, "{file} is another one");
    }
    let checked = run(&world, "parlour-ttp", &["check", "--keys", "keys"])?;
    ensure!(
        !checked.out.iter().any(|line| line.starts_with("wrong") && !line.contains("disk")),
        "{checked:#?}"
    );
    world.start_ttp()?;
    let mut guest = world.client("stranger")?;
    guest.ask("/register sam", "error: user already exists")?;
    guest.ask("/register stranger", "Registration Succeeded")?;
    guest.expect("Authentication Succeeded")?;
    Ok(())
}
