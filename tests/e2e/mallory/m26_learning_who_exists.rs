//! 26: learn about the system or who exists, beyond the fixed strings of the protocol.
//!
//! Bites: the server's log, which only the operator reads, has different reasons for these refusals; and the
//! search for revealing words finds them there. With a special answer for a login without a certificate, the
//! answers differed and the test failed.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Result, ensure};
use parlour_tests::{DEADLINE, Line, World};

use super::{fails, user};

#[test]
fn every_failed_login_reads_the_same_whoever_exists() -> Result<()> {
    let world = World::peopled()?;
    world.run_ttp(&["revoke", "erik"])?;
    super::wait_for_log(&world, "a device was revoked")?;
    let mut answers = Vec::new();
    // An existing user, an unknown one, and one whose device is revoked; tried by a guest and by another user.
    for name in ["sam", "nobody", "erik"] {
        for mut line in [world.line()?, world.line_as("anna")?] {
            line.say(&format!("/login {name} AAAA"))?;
            answers.push(line.lines.rest()?);
        }
    }
    let mut line = world.line_as("erik")?;
    let signature = line.signature(&world.profile("erik"), &user("erik")?)?;
    line.say(&format!("/login erik {signature}"))?;
    answers.push(line.lines.rest()?);
    ensure!(answers.iter().all(|answer| answer == &["error: invalid credentials"]), "{answers:#?}");
    for reason in ["no client certificate", "the certificate is for anna", "the device is revoked"] {
        super::wait_for_log(&world, &format!("fault={reason}"))?;
    }
    Ok(())
}

/// Words that reveal the program, its parts, its machine or its files.
fn tells_of_the_system(said: &str, world: &World) -> Option<String> {
    let folder = world.folder().display().to_string();
    let words = [
        "parlour-",
        "sqlite",
        "rustls",
        "tokio",
        "webpki",
        "src/",
        ".rs",
        "chat.db",
        "ttp.sock",
        "keys/",
        "/tmp",
        "/home",
        "thread",
        "panic",
        "os error",
        "errno",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        &folder,
    ];
    let said = said.to_lowercase();
    words.into_iter().find(|word| said.contains(*word)).map(str::to_owned)
}

#[test]
fn no_answer_tells_of_version_path_or_parts() -> Result<()> {
    let mut world = World::with().people().limit("failed_logins_per_minute=1000").start()?;
    let mut said = String::new();
    let mut hear = |line: &mut Line, commands: &[&str]| -> Result<()> {
        for command in commands {
            line.say(command)?;
        }
        line.say("/exit")?;
        said.push_str(&line.lines.rest()?.join("\n"));
        Ok(())
    };
    let commands = [
        "/help",
        "/version",
        "/status",
        "/register zoe x.y.z",
        "/register sam x.eyJuYW1lIjoic2FtIn0.y",
        "\u{7}",
    ];
    hear(&mut world.line()?, &commands)?;
    hear(
        &mut world.logged_in_line("sam")?,
        &["/users", "/help", "@sam x", "@nobody {}", "/debug", "", "@", "/login x"],
    )?;
    let json = [
        "/dialect json",
        "{}",
        "[",
        "{\"id\":1,\"cmd\":\"history\",\"conversation\":\"../etc\"}",
        "{\"id\":2,\"cmd\":\"post\",\"to\":\"#lobby\",\"message_id\":\"x\"}",
        "{\"id\":3,\"cmd\":\"account\",\"name\":\"a/b\"}",
        "{\"id\":4,\"cmd\":\"renew\",\"request\":\"x\"}",
        "{\"id\":5,\"cmd\":\"exit\"}",
    ];
    hear(&mut world.logged_in_line("anna")?, &json)?;
    // When the TTP is not running, and when the database is damaged.
    world.kill_ttp()?;
    hear(&mut world.line()?, &["/register zoe x.eyJuYW1lIjoiem9lIn0.y"])?;
    rusqlite::Connection::open(world.database())?.execute("DROP TABLE messages", [])?;
    hear(
        &mut world.logged_in_line("erik")?,
        &[
            "hello",
            "/dialect json",
            "{\"id\":1,\"cmd\":\"history\",\"conversation\":\"#lobby\"}",
            "{\"id\":5,\"cmd\":\"exit\"}",
        ],
    )?;
    ensure!(said.contains("internal error, incident "), "{said}");
    ensure!(said.contains("error: certificates cannot be issued now"), "{said}");
    let told = tells_of_the_system(&said, &world);
    ensure!(told.is_none(), "{told:?} in {said}");
    ensure!(tells_of_the_system(&world.server_log(), &world).is_some(), "the search finds nothing");
    Ok(())
}

#[test]
fn a_user_whom_the_server_does_not_know_is_refused_like_any_other() -> Result<()> {
    let mut world = World::with().people().prepare()?;
    std::fs::remove_dir_all(world.path("data"))?;
    world.start_server()?;
    let mut line = world.line_as("sam")?;
    let signature = line.signature(&world.profile("sam"), &user("sam")?)?;
    fails(&world, &mut line, "sam", &signature, "no such account")
}

#[test]
fn a_stranger_who_does_not_speak_tls_is_told_nothing() -> Result<()> {
    let world = World::peopled()?;
    for bytes in [
        b"/login sam AAAA\n".as_slice(),
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 600],
        b"\x16\x03\x01\x00\x05hello",
    ] {
        let mut stream = TcpStream::connect(world.address()?)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.write_all(bytes)?;
        let mut heard = Vec::new();
        // A reset ends it as well.
        if let Err(error) = stream.read_to_end(&mut heard) {
            ensure!(error.kind() != std::io::ErrorKind::WouldBlock, "it does not end: {bytes:?}");
        }
        // A TLS alert, or nothing.
        ensure!(heard.is_empty() || heard.starts_with(&[0x15, 0x03]), "{heard:?}");
        ensure!(heard.len() <= 7, "{heard:?}");
    }
    world.logged_in_line("sam")?.ask("/users", "sam")?;
    Ok(())
}
