//! Mallory has taken a program over from inside, or puts paths where names belong. She cannot touch other
//! files or gain rights: Landlock and seccomp refuse.

#[cfg(target_arch = "x86_64")]
mod injected;

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::signal::Signal;
use nix::unistd::ttyname;
use parlour_tests::World;
use serde_json::json;
use socket2::{Domain, Protocol, Socket, Type};

/// What becomes of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is done.
    Done,
    /// It is an error, and the program goes on.
    Refused,
    /// The process is ended where it stands.
    Killed,
}
use Fate::{Done, Killed, Refused};

/// A TCP socket that is not connected, for a standard stream.
fn socket() -> Result<Stdio> {
    Ok(OwnedFd::from(Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?).into())
}

/// A program that starts and confines itself as always, and then tries something.
fn fate(program: &mut Command, act: &[&str]) -> Result<Fate> {
    let output = program.args(act).stdin(socket()?).output()?;
    let status = output.status;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(Done),
        (_, Some(signal)) if signal == Signal::SIGSYS as i32 => Ok(Killed),
        (Some(2), _) => {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(errors.contains("error: the system refused: "), "it did not come so far: {errors}");
            Ok(Refused)
        }
        _ => anyhow::bail!("{status}: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// Tries each act in a program as it is, where it must have this fate, and without the sandbox, where it
/// must be done: else it would show nothing.
fn try_all(mut program: impl FnMut() -> Result<Command>, acts: &[(&[&str], Fate)]) -> Result<()> {
    for (act, expected) in acts {
        let found = fate(&mut program()?, act).with_context(|| format!("{act:?}"))?;
        ensure!(found == *expected, "{act:?}: {found:?} instead of {expected:?}");
        let free = fate(program()?.arg("--no-sandbox"), act).with_context(|| format!("{act:?} free"))?;
        ensure!(free == Done, "{act:?} without the sandbox: {free:?}");
    }
    Ok(())
}

/// A world with a file that is nobody's business, and somebody who listens.
fn world() -> Result<(World, TcpListener)> {
    let world = World::with().people().prepare()?;
    std::fs::write(world.path("diary"), "dear diary")?;
    std::fs::create_dir_all(world.path("data"))?;
    for folder in ["data", "keys/ttp", "people/sam"] {
        std::os::unix::fs::symlink(world.path("diary"), world.path(folder).join("link"))?;
    }
    Ok((world, TcpListener::bind("127.0.0.1:0")?))
}

/// A process that is not the program's.
fn ourselves() -> String {
    std::process::id().to_string()
}

fn server(world: &World) -> Result<Command> {
    let mut command = world.command("parlour-server")?;
    command.args(["probe", "--listen", "127.0.0.1:0", "--keys", "keys/server", "--data", "data"]);
    Ok(command)
}

fn authority(world: &World) -> Result<Command> {
    let mut command = world.command("parlour-ttp")?;
    command.args(["probe", "--keys", "keys"]);
    Ok(command)
}

fn client(world: &World, server: &str) -> Result<Command> {
    client_or_broker(world, server, "probe")
}

fn broker(world: &World) -> Result<Command> {
    client_or_broker(world, "localhost:1", "probe-broker")
}

fn client_or_broker(world: &World, server: &str, probe: &str) -> Result<Command> {
    let mut command = world.command("parlour")?;
    command.args([server, "--keys", "people/sam", "--ca"]).arg(world.root()).arg(probe);
    Ok(command)
}

/// The path of another terminal of the user, which is there as long as what comes with it.
fn other_terminal() -> Result<(OpenptyResult, String)> {
    let ends = openpty(None, None)?;
    let path = ttyname(&ends.slave)?.to_str().context("a path")?.to_owned();
    Ok((ends, path))
}

#[test]
fn a_server_that_was_taken_over_reaches_its_data_and_nothing_else() -> Result<()> {
    let (world, listening) = world()?;
    let elsewhere = listening.local_addr()?.to_string();
    try_all(
        || server(&world),
        &[
            (&["write", "data/new"], Done),
            (&["read", "keys/server/server.key"], Done),
            (&["write", "keys/server/server.key.new"], Refused),
            (&["read", "keys/ttp/ca.key"], Refused),
            (&["read", "diary"], Refused),
            (&["read", "data/link"], Refused),
            (&["write", "data/link"], Refused),
            (&["write", "new"], Refused),
            (&["read", "/etc/hostname"], Refused),
            (&["read", "/proc/self/environ"], Refused),
            (&["truncate", "diary"], Killed),
            (&["execute", "/bin/true"], Killed),
            (&["spawn", "/bin/true"], Killed),
            (&["trace"], Killed),
            (&["signal", &ourselves()], Killed),
            (&["connect", &elsewhere], Killed),
            (&["fast-open", &elsewhere], Killed),
            (&["fast-open-message", &elsewhere], Killed),
            (&["socket"], Killed),
            (&["listen"], Killed),
            (&["listen-unbound"], Killed),
        ],
    )
}

#[test]
fn a_ttp_that_was_taken_over_reaches_its_own_folder_and_nothing_else() -> Result<()> {
    let (world, listening) = world()?;
    let elsewhere = listening.local_addr()?.to_string();
    try_all(
        || authority(&world),
        &[
            (&["write", "keys/ttp/new"], Done),
            (&["read", "keys/server/server.key"], Refused),
            (&["write", "keys/server/new"], Refused),
            (&["write", "keys/ttp/link"], Refused),
            (&["read", "diary"], Refused),
            (&["write", "new"], Refused),
            (&["read", "/etc/hostname"], Refused),
            (&["truncate", "diary"], Killed),
            (&["execute", "/bin/true"], Killed),
            (&["spawn", "/bin/true"], Killed),
            (&["trace"], Killed),
            (&["signal", &ourselves()], Killed),
            (&["connect", &elsewhere], Killed),
            (&["fast-open", &elsewhere], Killed),
            (&["fast-open-message", &elsewhere], Killed),
            (&["socket"], Killed),
            (&["listen"], Killed),
            (&["listen-unbound"], Killed),
        ],
    )
}

#[test]
fn a_client_that_was_taken_over_reaches_its_keys_and_its_server_and_nothing_else() -> Result<()> {
    let (world, listening) = world()?;
    let own = TcpListener::bind("127.0.0.1:0")?;
    let server = own.local_addr()?.to_string();
    let elsewhere = listening.local_addr()?.to_string();
    let (_ends, terminal) = other_terminal()?;
    let _local = UnixListener::bind(world.path("socket"))?;
    let socket = world.path("socket").display().to_string();
    try_all(
        || client(&world, &server),
        &[
            (&["write", "people/sam/new"], Done),
            (&["read", "people/sam/sam/account.key"], Done),
            (&["read", "people/erik/erik/account.key"], Refused),
            (&["write", "people/sam/link"], Refused),
            (&["read", "diary"], Refused),
            (&["write", "new"], Refused),
            (&["truncate", "diary"], Refused),
            (&["execute", "/bin/true"], Refused),
            (&["spawn", "/bin/true"], Refused),
            (&["trace"], Refused),
            (&["signal", &ourselves()], Refused),
            (&["connect", &server], Done),
            (&["connect", &elsewhere], Refused),
            (&["fast-open", &elsewhere], Refused),
            (&["fast-open-message", &elsewhere], Refused),
            (&["listen"], Refused),
            (&["listen-unbound"], Refused),
            (&["read", "/etc/passwd"], Refused),
            (&["open", &terminal], Refused),
            // As that of tmux, through which a shell could be had outside.
            (&["connect-local", &socket], Refused),
        ],
    )
}

#[test]
fn a_broker_that_was_taken_over_reads_no_key_writes_nothing_and_connects_to_no_server() -> Result<()> {
    let (world, listening) = world()?;
    let elsewhere = listening.local_addr()?.to_string();
    let (_ends, terminal) = other_terminal()?;
    try_all(
        || broker(&world),
        &[
            (&["read", "people/sam/sam/account.key"], Refused),
            (&["write", "people/sam/new"], Refused),
            (&["write", "people/sam/sam/new"], Refused),
            (&["read", "people/sam/link"], Refused),
            (&["read", "diary"], Refused),
            (&["write", "new"], Refused),
            (&["truncate", "diary"], Refused),
            (&["execute", "/bin/true"], Refused),
            (&["spawn", "/bin/true"], Refused),
            (&["trace"], Refused),
            (&["signal", &ourselves()], Refused),
            (&["connect", &elsewhere], Refused),
            (&["fast-open", &elsewhere], Refused),
            (&["fast-open-message", &elsewhere], Refused),
            (&["listen"], Refused),
            (&["open", &terminal], Refused),
            // What stays open, as docs/threat-model.md says.
            (&["listen-unbound"], Done),
        ],
    )
}

#[test]
fn a_client_that_was_taken_over_connects_by_no_other_protocol_than_tcp() -> Result<()> {
    let (world, listening) = world()?;
    let elsewhere = listening.local_addr()?.to_string();
    if Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP)).is_err() {
        println!("skipped: this kernel has no multipath TCP");
        return Ok(());
    }
    try_all(|| client(&world, "localhost:1"), &[(&["multipath", &elsewhere], Refused)])
}

#[test]
fn a_path_in_the_place_of_a_name_is_refused_and_makes_no_file() -> Result<()> {
    let world = World::peopled()?;
    let before = files(&world)?;
    let paths =
        ["../sam", "/etc/passwd", "..", ".", "sam/../erik", "a\\b", "~", "file:///etc/passwd", "%2e%2e%2f"];
    let mut guest = world.line()?;
    let mut sam = world.json_line("sam")?;
    let mut erik = world.logged_in_line("erik")?;
    for path in paths {
        guest.ask(&format!("/register {path} a.b.c"), "error: {}")?;
        guest.ask(&format!("/login {path} AAAA"), "error: {}")?;
        let id = "01a1fdab-1471-7725-b0bb-a37fc1d39b82";
        erik.ask(&format!("@{path} x"), "error: {}")?;
        for command in [
            json!({"id": 1, "cmd": "post", "to": format!("#{path}"), "message_id": id, "text": "x"}),
            json!({"id": 1, "cmd": "post", "to": format!("@{path}"), "message_id": id, "sealed": {}}),
            json!({"id": 1, "cmd": "post", "to": "#lobby", "message_id": path, "text": "x"}),
            json!({"id": 1, "cmd": "history", "conversation": format!("@{path}"), "limit": 1}),
            json!({"id": 1, "cmd": "history", "conversation": format!("#{path}"), "limit": 1}),
            json!({"id": 1, "cmd": "account", "name": path}),
            json!({"id": 1, "cmd": "dialect", "dialect": path}),
            json!({"id": 1, "cmd": path}),
        ] {
            let answer = sam.call(&command)?;
            ensure!(answer.get("error").is_some(), "{command}: {answer}");
        }
    }
    ensure!(files(&world)? == before, "files came or went: {before:#?}");
    Ok(())
}

/// Every file of server and TTP, but for those that SQLite keeps beside its databases.
fn files(world: &World) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![world.folder().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if !entry.file_name().to_string_lossy().contains(".db-") {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}
