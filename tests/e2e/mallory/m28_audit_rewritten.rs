//! Claim 28: rewriting the audit log is noticed, and no input from a stranger forges an entry.

use std::path::Path;

use anyhow::{Result, ensure};
use parlour_tests::{Finished, World, wait_until};
use rusqlite::Connection;

/// Checks the chain in a copy of the database after this change.
fn check_after(world: &World, tampering: &str) -> Result<Finished> {
    let copy = world.path("copy");
    let _ = std::fs::remove_dir_all(&copy); // of the attempt before
    std::fs::create_dir(&copy)?;
    std::fs::copy(world.database(), copy.join("chat.db"))?;
    let database = Connection::open(copy.join("chat.db"))?;
    // Triggers of the database do not stop somebody who has the file.
    for trigger in ["audit_keeps", "audit_stays", "audit_ends_stay", "audit_ends_grow"] {
        database.execute_batch(&format!("DROP TRIGGER {trigger}"))?;
    }
    database.execute_batch(tampering)?;
    drop(database);
    verify(world, &copy, &[])
}

fn verify(world: &World, data: &Path, arguments: &[&str]) -> Result<Finished> {
    let mut command = world.command("parlour-server")?;
    command.args(["audit", "verify", "--data"]).arg(data).args(arguments);
    parlour_tests::run_to_end("audit", &mut command, "")
}

#[test]
fn a_rewritten_audit_log_does_not_pass_the_check() -> Result<()> {
    let mut world = World::peopled()?;
    for _ in 0..2 {
        world.line_as("sam")?.ask("/login sam AAAA", "error: invalid credentials")?;
        world.line()?.ask("/login erik AAAA", "error: invalid credentials")?;
        world.logged_in_line("sam")?;
        world.stop_server()?;
        world.start_server()?;
    }
    world.stop_server()?;
    let entries = world.audit_entries(&[])?;
    let newest = entries.len();
    ensure!(newest >= 10, "{entries:#?}");
    let columns = "time, kind, user, device, address, detail, times, hash";
    let nothing = check_after(&world, "")?;
    ensure!(nothing.code == 0 && nothing.out[0].starts_with(&format!("{newest} entries, newest hash ")));
    for (tampering, number) in [
        ("UPDATE audit SET user = 'mallory' WHERE number = 4".to_owned(), 4),
        ("UPDATE audit SET time = time - 3600000 WHERE number = 4".to_owned(), 4),
        ("UPDATE audit SET detail = detail || char(10) || '2026-11-21 login sam' WHERE number = 4".to_owned(), 4),
        ("DELETE FROM audit WHERE number = 4".to_owned(), 4),
        ("DELETE FROM audit WHERE number = 4; UPDATE audit SET number = number - 1 WHERE number > 4".to_owned(), 4),
        (format!("DELETE FROM audit WHERE number = {newest}"), newest),
        ("DELETE FROM audit".to_owned(), 1),
        (format!("INSERT INTO audit SELECT {newest} + 1, {columns} FROM audit WHERE number = 4"), newest + 1),
        ("UPDATE audit_ends SET removed_number = 4, removed_hash = (SELECT hash FROM audit WHERE number = 4);
          DELETE FROM audit WHERE number <= 4".to_owned(), 4),
    ] {
        let finished = check_after(&world, &tampering)?;
        ensure!(finished.code == 1, "{tampering}: {finished:#?}");
        let said = format!("entry {number} ");
        ensure!(finished.out.len() == 1 && finished.out[0].starts_with(&said), "{tampering}: {finished:#?}");
    }
    // A line break in the file does not add a line to the output.
    ensure!(check_after(&world, "UPDATE audit SET user = 'sam' || char(10) || 'x' || char(27)")?.code == 1);
    let mut command = world.command("parlour-server")?;
    command.args(["audit", "--data", "copy"]);
    let printed = parlour_tests::run_to_end("audit", &mut command, "")?;
    ensure!(printed.out.len() == newest, "{printed:#?}");
    ensure!(!printed.out.iter().any(|line| line.contains('\u{1b}')), "{printed:#?}");

    // The newest entry removed consistently: the hash that an operator noted elsewhere no longer matches.
    let noted = world.audit(&["verify"])?.out[0].rsplit(' ').next().unwrap_or_default().to_owned();
    ensure!(verify(&world, &world.path("data"), &["--expect", &noted])?.code == 0);
    let cut = check_after(
        &world,
        &format!(
            "DELETE FROM audit WHERE number = {newest}; UPDATE audit_ends SET newest_number = {newest} - 1,
             newest_hash = (SELECT hash FROM audit WHERE number = {newest} - 1)"
        ),
    )?;
    ensure!(cut.code == 0, "{cut:#?}");
    let cut = verify(&world, &world.path("copy"), &["--expect", &noted])?;
    ensure!(cut.code == 1 && cut.out[0].contains("not the expected one"), "{cut:#?}");
    Ok(())
}

#[test]
fn no_line_of_a_stranger_forges_an_entry() -> Result<()> {
    let world = World::peopled()?;
    let before = world.audit_entries(&[])?.len();
    let mut line = world.line()?;
    let forged = "2026-11-21T10:00:00.000Z login user=anna";
    for text in [
        format!("/login sam\u{2028}{forged} AAAA"),
        format!("/login sam\r{forged} AAAA"),
        format!("/register zoe\u{85}{forged} a.b.c"),
        format!("/register zoe a\u{2028}{forged}.b.c"),
    ] {
        line.ask(&text, "error: {}")?;
    }
    // A line break in json, in every field that a guest can set.
    line.ask("/dialect json", r#"{"dialect":"json"}"#)?;
    let broken = format!("zoe\n{forged}");
    for command in [
        serde_json::json!({"id": 1, "cmd": "register", "name": broken, "request": broken}),
        serde_json::json!({"id": 1, "cmd": "register", "name": "zoe", "request": broken}),
        serde_json::json!({"id": 1, "cmd": "renew", "request": broken}),
        serde_json::json!({"id": 1, "cmd": "login", "name": broken, "signature": broken}),
    ] {
        let reply = line.call(&command)?;
        ensure!(reply.get("error").is_some(), "{reply}");
    }
    wait_until("the refusals in the audit log", || {
        Ok(!world.audit_entries(&["--kind", "renewal_refused"])?.is_empty())
    })?;
    let entries = world.audit_entries(&[])?;
    let printed = world.audit(&[])?;
    ensure!(printed.out.len() == entries.len() && entries.len() > before, "{printed:#?}");
    ensure!(
        !printed.out.iter().any(|line| line.contains("user=anna")
            && line.contains(" login ")
            && line.contains("2026-11-21T10:00:00.000Z")),
        "{printed:#?}"
    );
    ensure!(world.audit(&["verify"])?.code == 0);
    Ok(())
}
