//! `check` reports each fault with its remedy, and nothing else.

mod dangers;
mod unseen;

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use parlour_tests::{Finished, World, run_to_end};
use rusqlite::Connection;
use serde_json::Value;

/// The faults found, as `WHAT: PROBLEM`. The disk of the machine that runs the test is ignored.
fn wrong(program: &str, finished: &Finished) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for line in &finished.out {
        let finding: Value = serde_json::from_str(line)?;
        let text = |field| finding.get(field).and_then(Value::as_str);
        if text("state") == Some("wrong") {
            ensure!(text("fix").is_some_and(|fix| !fix.is_empty()), "{line}");
            let (what, problem) = (text("what").context("what")?, text("problem").context("a problem")?);
            wrong.push(format!("{what}: {problem}"));
        }
    }
    let status = i32::from(!wrong.is_empty());
    ensure!(finished.code == status, "{program}: exit status {status} was expected: {finished:#?}");
    wrong.retain(|line| !line.starts_with("disk: "));
    Ok(wrong)
}

fn check(world: &World, program: &str, arguments: &[&str]) -> Result<Finished> {
    let mut command = world.command(program)?;
    run_to_end(program, command.args(["check", "--json"]).args(arguments), "")
}

/// Checks everything of the world's server.
fn server(world: &World, further: &[&str]) -> Result<Vec<String>> {
    let address = world.address()?.to_string();
    let all = ["--listen", &address, "--keys", "keys/server", "--ttp", "keys/ttp/ttp.sock", "--data", "data"];
    wrong("server", &check(world, "parlour-server", &[&all, further].concat())?)
}

/// Checks everything of the world's TTP.
fn ttp(world: &World, further: &[&str]) -> Result<Vec<String>> {
    wrong("ttp", &check(world, "parlour-ttp", &[&["--keys", "keys"], further].concat())?)
}

/// Checks that exactly this fault was found.
fn one(wrong: &[String], expected: &str) -> Result<()> {
    let [found] = wrong else { anyhow::bail!("{expected:?} alone was expected: {wrong:#?}") };
    ensure!(found.starts_with(expected), "{expected:?} was expected: {found}");
    Ok(())
}

fn change(database: &Path, sql: &str) -> Result<()> {
    let database = Connection::open(database)?;
    ensure!(database.execute(sql, [])? > 0, "nothing was changed: {sql}");
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    Ok(std::fs::set_permissions(path, Permissions::from_mode(mode))?)
}

/// A world with messages, whose server is stopped and whose TTP runs.
fn world_with_words() -> Result<World> {
    let mut world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    for text in ["one", "two", "three"] {
        sam.ask(text, &format!("{{}} sam: {text}"))?;
        sam.ask(&format!("@erik {text}"), &format!("{{}} sam: @erik {text}"))?;
    }
    ensure!(sam.leave()? == 0);
    world.stop_server()?;
    Ok(world)
}

#[test]
fn a_world_that_works_is_well_also_while_it_runs() -> Result<()> {
    let mut world = world_with_words()?;
    let stopped = server(&world, &[])?;
    ensure!(stopped.is_empty(), "{stopped:#?}");
    world.start_server()?;
    let (server, ttp) = (server(&world, &[])?, ttp(&world, &[])?);
    ensure!(server.is_empty() && ttp.is_empty(), "{server:#?} {ttp:#?}");
    // The checks have changed nothing.
    let mut erik = world.logged_in("erik")?;
    for text in ["one", "two", "three"] {
        erik.process.out.wait_for(&format!("{{}} sam: @erik {text}"))?;
    }
    erik.ask("@sam hello", "{} erik: @sam hello")?;
    Ok(())
}

#[test]
fn parts_that_were_not_named_are_not_checked_and_the_limits_are_listed() -> Result<()> {
    let world = World::with().prepare()?;
    let mut command = world.command("parlour-server")?;
    let finished = run_to_end("server", command.args(["check", "--limit", "connections=5"]), "")?;
    ensure!(finished.code == 0, "{finished:#?}");
    let (limits, findings): (Vec<_>, Vec<_>) =
        finished.out.iter().partition(|line| line.starts_with("limit "));
    ensure!(findings.iter().all(|line| is_unasked(line)), "{findings:#?}");
    ensure!(limits.iter().any(|line| line.ends_with("connections = 5 (default 10000)")), "{limits:#?}");
    ensure!(limits.iter().any(|line| line.ends_with("guests_per_address = 16")), "{limits:#?}");
    ensure!(!world.path("data").exists() && !world.path("var").exists(), "something was made");

    let mut command = world.command("parlour-ttp")?;
    let finished = run_to_end("ttp", command.arg("check"), "")?;
    ensure!(finished.code == 0, "{finished:#?}");
    ensure!(finished.out.iter().all(|line| is_unasked(line)), "{finished:#?}");

    // A sandbox that is turned off is a fault.
    std::fs::write(world.path("off.toml"), "sandbox = \"off\"")?;
    for program in ["parlour-server", "parlour-ttp"] {
        let mut command = world.command(program)?;
        let finished = run_to_end(program, command.args(["check", "--config", "off.toml"]), "")?;
        ensure!(finished.code == 1, "{finished:#?}");
        let wrong = finished.out.iter().filter(|line| line.starts_with("wrong ")).collect::<Vec<_>>();
        ensure!(
            wrong == ["wrong        sandbox: it is turned off; fix: leave out sandbox = \"off\""],
            "{wrong:?}"
        );
    }
    Ok(())
}

/// Returns true if a line says that nothing was checked, or is about the kernel's sandbox, which needs no
/// configuration.
fn is_unasked(line: &str) -> bool {
    line.starts_with("not checked  ") || line.starts_with("well         sandbox: Landlock ")
}

#[test]
fn each_fault_of_a_server_is_found_alone() -> Result<()> {
    let mut world = world_with_words()?;
    let key = world.path("keys/server/server.key");
    set_mode(&key, 0o644)?;
    one(&server(&world, &[])?, "keys: keys/server/server.key has mode 0644")?;
    set_mode(&key, 0o600)?;

    set_mode(&world.path("data"), 0o777)?;
    one(&server(&world, &[])?, "data: others than its owner can change what is in data")?;
    set_mode(&world.path("data"), 0o700)?;

    let year = "--clock-offset=31536001";
    one(&server(&world, &[year])?, "certificate: keys/server/server.crt expired on ")?;
    let month = "--clock-offset=29376000";
    one(&server(&world, &[month])?, "certificate: keys/server/server.crt expires on ")?;

    let past = ["--data", "data", "--clock-offset=-86400"];
    one(&wrong("server", &check(&world, "parlour-server", &past)?)?, "clock: the newest row is from ")?;

    let taken = TcpListener::bind(world.address()?)?;
    one(&server(&world, &[])?, "port: another program listens on 127.0.0.1:")?;
    // The same when our own server runs on another address.
    drop(taken);
    world.start_server()?;
    let other = TcpListener::bind("127.0.0.1:0")?;
    let address = other.local_addr()?.to_string();
    let on_other = ["--data", "data", "--listen", &address];
    let found = wrong("server", &check(&world, "parlour-server", &on_other)?)?;
    one(&found, "port: another program listens on 127.0.0.1:")?;
    world.stop_server()?;

    world.stop_ttp()?;
    one(&server(&world, &[])?, "ttp: keys/ttp/ttp.sock does not answer")?;
    Ok(())
}

#[test]
fn each_damage_of_a_servers_database_is_found() -> Result<()> {
    let world = world_with_words()?;
    let good = std::fs::read(world.database())?;
    for (sql, found) in [
        (
            "UPDATE messages SET text = 'twp' WHERE text = 'two'",
            "message 2 of \"#lobby\" does not fit its hash",
        ),
        (
            "UPDATE messages SET time = time + 1 WHERE recipient = '@erik' AND seq = 2",
            "message 2 of \"@erik@sam\" does not fit its hash",
        ),
        (
            "DELETE FROM messages WHERE text = 'three'",
            "conversation \"#lobby\" ends at message 2, it should end at 3",
        ),
        ("DELETE FROM messages WHERE text = 'one'", "conversation \"#lobby\" has no message 1"),
        ("UPDATE accounts SET kid = 'x' WHERE name = 'sam'", "the certificate of the account \"sam\""),
        (
            "UPDATE members SET user = 'anna' WHERE user = 'sam'",
            "conversation \"@erik@sam\" has other members",
        ),
    ] {
        change(&world.database(), sql)?;
        one(&server(&world, &[])?, &format!("database: {found}"))?;
        std::fs::write(world.database(), &good)?;
    }
    Connection::open(world.database())?
        .execute_batch("DROP TRIGGER audit_keeps; UPDATE audit SET detail = 'nothing' WHERE number = 2")?;
    one(&server(&world, &[])?, "audit: entry 2 does not fit its hash")?;
    std::fs::write(world.database(), &good)?;
    // A flipped bit in the file itself, in the middle of a text.
    let place = good.windows(5).position(|bytes| bytes == b"three").context("the text in the file")?;
    let mut flipped = good.clone();
    flipped[place] ^= 1;
    std::fs::write(world.database(), flipped)?;
    one(&server(&world, &[])?, "database: message 3 of \"#lobby\" does not fit its hash")?;

    std::fs::write(world.database(), "no database ".repeat(1_000))?;
    one(&server(&world, &[])?, "database: data/chat.db cannot be read: ")?;
    std::fs::remove_file(world.database())?;
    let found = server(&world, &[])?;
    ensure!(found.iter().any(|line| line.starts_with("database: ")), "{found:#?}");
    Ok(())
}

/// Removes the triggers that protect a table from changes; returns the SQL that restores them.
fn without_guards(database: &Connection, table: &str) -> Result<String> {
    let mut select =
        database.prepare("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?1")?;
    let guards = select.query_map([table], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    for guard in ["keep", "stay"] {
        database.execute_batch(&format!("DROP TRIGGER {table}_{guard}"))?;
    }
    Ok(guards.join(";"))
}

#[test]
fn each_fault_of_a_ttp_is_found_and_damage_is_not_served() -> Result<()> {
    let mut world = World::peopled()?;
    world.run_ttp(&["revoke", "anna"])?;
    world.stop_server()?;
    world.stop_ttp()?;
    let clean = ttp(&world, &[])?;
    ensure!(clean.is_empty(), "{clean:#?}");
    for key in ["ca.key", "log.key"] {
        let path = world.path("keys/ttp").join(key);
        set_mode(&path, 0o644)?;
        one(&ttp(&world, &[])?, &format!("keys: keys/ttp/{key} has mode 0644"))?;
        set_mode(&path, 0o600)?;
    }
    one(&ttp(&world, &["--clock-offset=31536001"])?, "certificate: keys/server/server.crt expired on ")?;
    let back = ttp(&world, &["--clock-offset=-864000"])?;
    ensure!(back.iter().any(|line| line.starts_with("clock: the newest row is from ")), "{back:#?}");

    let database = world.path("keys/ttp/ttp.db");
    let good = std::fs::read(&database)?;
    for (table, sql, found) in [
        (
            "accounts",
            "UPDATE accounts SET created = created + 1 WHERE name = 'sam'",
            "accounts: 1 rows are not",
        ),
        (
            "accounts",
            "DELETE FROM accounts WHERE name = 'sam'",
            "a row of devices refers to a row of accounts",
        ),
        ("devices", "UPDATE devices SET seal_key = x'00' WHERE name = 'sam'", "devices: 1 rows are not"),
        (
            "certificates",
            "UPDATE certificates SET not_after = 5 WHERE kind = 'account'",
            "the account certificate",
        ),
        ("certificates", "DELETE FROM certificates WHERE kind = 'account'", "3 certificates of the log are"),
        ("leaves", "DELETE FROM leaves WHERE position = 1", "leaf 1 of the log is missing"),
        ("leaves", "UPDATE leaves SET leaf = CAST(replace(leaf, 'sam', 'tam') AS BLOB)", "leaf "),
        ("answers", "UPDATE answers SET answer = replace(answer, 'MII', 'MIJ')", "answers: "),
        (
            "revocations",
            "UPDATE revocations SET device = (SELECT device FROM devices WHERE name = 'sam'), name = 'sam'",
            "revocations: 1 rows are not",
        ),
        ("revocations", "UPDATE revocations SET number = 7", "revocations: 1 up to number 7"),
    ] {
        // The tables refuse changes, but changing the file bypasses that.
        let changed = Connection::open(&database)?;
        changed.execute_batch("PRAGMA foreign_keys = OFF")?;
        let guards = without_guards(&changed, table)?;
        ensure!(changed.execute(sql, [])? > 0, "nothing was changed: {sql}");
        changed.execute_batch(&guards)?;
        drop(changed);
        let wrong = ttp(&world, &[])?;
        one(&wrong, "database: ")?;
        ensure!(wrong[0].contains(found), "{sql}: {wrong:#?}");
        let refused = world.try_ttp(&["serve"])?;
        let said = String::from_utf8_lossy(&refused.stderr);
        ensure!(
            refused.status.code() == Some(2) && said.contains("the database is damaged: "),
            "{sql}: {said}"
        );
        std::fs::write(&database, &good)?;
    }
    Ok(())
}

#[test]
fn a_check_that_cannot_be_made_ends_with_another_status() -> Result<()> {
    let world = World::with().prepare()?;
    std::fs::write(world.path("odd.toml"), "colour = 1")?;
    for program in ["parlour-server", "parlour-ttp"] {
        for arguments in [["--config", "odd.toml"], ["--config", "missing.toml"], ["--clock-offset", "soon"]]
        {
            let finished = check(&world, program, &arguments)?;
            ensure!(finished.code == 2 && finished.out.is_empty(), "{program} {arguments:?}: {finished:#?}");
            finished.error()?;
        }
    }
    Ok(())
}
