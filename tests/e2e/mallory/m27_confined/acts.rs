//! Acts that a program tries from inside, once it has confined itself.

use std::fs::File;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::signal::Signal;
use nix::unistd::ttyname;
use socket2::{Domain, Protocol, Socket, Type};

use super::Fate::{self, Done, Killed, Refused};
use super::{Face, authority, broker, client, server, socket, world};

/// An act in the words of `probe`, and its fate.
type Act = (String, Fate);

/// The standard streams of a program.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Streams {
    /// A socket that is not connected as input, and pipes.
    Pipes,
    /// A terminal for all three.
    Terminal,
}

/// Runs a program that starts and confines itself as always, and then tries an act.
fn fate(program: &mut Command, act: &str, streams: Streams) -> Result<Fate> {
    program.args(act.split(' '));
    let (status, errors) = match streams {
        Streams::Pipes => {
            let output = program.stdin(socket()?).output()?;
            (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
        }
        Streams::Terminal => on_a_terminal(program)?,
    };
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(Done),
        (_, Some(signal)) if signal == Signal::SIGSYS as i32 => Ok(Killed),
        (Some(2), _) => {
            ensure!(errors.contains("error: the system refused: "), "it did not come so far: {errors}");
            Ok(Refused)
        }
        _ => anyhow::bail!("{status}: {errors}"),
    }
}

/// Runs a program on a terminal of its own. Returns how it ended and all that was shown there.
fn on_a_terminal(program: &mut Command) -> Result<(ExitStatus, String)> {
    let OpenptyResult { master, slave } = openpty(None, None)?;
    let end = || slave.try_clone().map(Stdio::from);
    let mut child = program.stdin(end()?).stdout(end()?).stderr(end()?).spawn()?;
    // The terminal ends when nobody has its other end any more.
    program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    drop(slave);
    let mut shown = Vec::new();
    let mut chunk = [0; 4_096];
    let mut screen = File::from(master);
    while let Ok(count @ 1..) = screen.read(&mut chunk) {
        shown.extend_from_slice(chunk.get(..count).unwrap_or_default());
    }
    Ok((child.wait()?, String::from_utf8_lossy(&shown).into_owned()))
}

/// Tries each act in a confined program, where it must have this fate, and without the sandbox, where it must be
/// done: otherwise the first attempt would prove nothing.
fn try_all(program: impl Fn() -> Result<Command>, streams: Streams, acts: &[Act]) -> Result<()> {
    for (act, expected) in acts {
        let found = fate(&mut program()?, act, streams).with_context(|| act.clone())?;
        ensure!(found == *expected, "{act}: {found:?} instead of {expected:?}");
        let free = fate(program()?.arg("--no-sandbox"), act, streams);
        let free = free.with_context(|| format!("{act} without the sandbox"))?;
        ensure!(free == Done, "{act} without the sandbox: {free:?}");
    }
    Ok(())
}

fn acts<const N: usize>(acts: [(&str, Fate); N]) -> Vec<Act> {
    acts.map(|(act, fate)| (act.to_owned(), fate)).into()
}

/// The acts that every program is denied. Landlock refuses files, `way` is how system calls are denied.
fn denied_to_all(way: Fate, elsewhere: &TcpListener) -> Result<Vec<Act>> {
    let elsewhere = elsewhere.local_addr()?;
    let ourselves = std::process::id();
    Ok(acts([
        ("read diary", Refused),
        ("write new", Refused),
        ("truncate diary", way),
        ("execute /bin/true", way),
        ("spawn /bin/true", way),
        ("trace", way),
        (&format!("signal {ourselves}"), way),
        (&format!("connect {elsewhere}"), way),
        ("listen", way),
    ]))
}

/// Denied as well: a connection without `connect`, with the socket on standard input.
fn by_an_open_socket(way: Fate, elsewhere: &TcpListener) -> Result<Vec<Act>> {
    let elsewhere = elsewhere.local_addr()?;
    Ok(acts([(&format!("fast-open {elsewhere}"), way), (&format!("fast-open-message {elsewhere}"), way)]))
}

/// All acts that a server program is denied.
fn denied_to_servers(elsewhere: &TcpListener) -> Result<Vec<Act>> {
    let own = acts([("read /etc/hostname", Refused), ("socket", Killed), ("listen-unbound", Killed)]);
    Ok([denied_to_all(Killed, elsewhere)?, by_an_open_socket(Killed, elsewhere)?, own].concat())
}

/// The path of another terminal of the user, which exists as long as its two ends are open.
fn other_terminal() -> Result<(OpenptyResult, String)> {
    let ends = openpty(None, None)?;
    let path = ttyname(&ends.slave)?.to_str().context("a path")?.to_owned();
    Ok((ends, path))
}

#[test]
fn a_server_that_was_taken_over_reaches_its_data_and_nothing_else() -> Result<()> {
    let (world, elsewhere) = world()?;
    let own = acts([
        ("write data/new", Done),
        ("read keys/server/server.key", Done),
        ("write keys/server/server.key.new", Refused),
        ("read keys/ttp/ca.key", Refused),
        ("read data/link", Refused),
        ("write data/link", Refused),
        ("read /proc/self/environ", Refused),
    ]);
    try_all(|| server(&world), Streams::Pipes, &[own, denied_to_servers(&elsewhere)?].concat())
}

#[test]
fn a_ttp_that_was_taken_over_reaches_its_own_folder_and_nothing_else() -> Result<()> {
    let (world, elsewhere) = world()?;
    let own = acts([
        ("write keys/ttp/new", Done),
        ("read keys/server/server.key", Refused),
        ("write keys/server/new", Refused),
        ("write keys/ttp/link", Refused),
    ]);
    try_all(|| authority(&world), Streams::Pipes, &[own, denied_to_servers(&elsewhere)?].concat())
}

/// Tries a client that was taken over, started as for this face.
fn client_is_confined(face: Face) -> Result<()> {
    let (world, elsewhere) = world()?;
    let own = TcpListener::bind("127.0.0.1:0")?;
    let server = own.local_addr()?.to_string();
    let (_ends, terminal) = other_terminal()?;
    // As that of tmux, through which a shell could be had outside.
    let socket = world.path("socket");
    let _local = UnixListener::bind(&socket)?;
    let mut tried = acts([
        ("write people/sam/new", Done),
        ("read people/sam/sam/account.key", Done),
        ("read people/erik/erik/account.key", Refused),
        ("write people/sam/link", Refused),
        ("read /etc/passwd", Refused),
        (&format!("connect {server}"), Done),
        (&format!("open {terminal}"), Refused),
        (&format!("connect-local {}", socket.display()), Refused),
    ]);
    tried.append(&mut denied_to_all(Refused, &elsewhere)?);
    let streams = if face == Face::Terminal { Streams::Terminal } else { Streams::Pipes };
    if streams == Streams::Pipes {
        tried.append(&mut by_an_open_socket(Refused, &elsewhere)?);
        tried.append(&mut acts([("listen-unbound", Refused)]));
    }
    try_all(|| client(&world, &server, face), streams, &tried)
}

#[test]
fn a_client_on_a_terminal_that_was_taken_over_reaches_its_keys_and_its_server_and_nothing_else() -> Result<()>
{
    client_is_confined(Face::Terminal)
}

#[test]
fn a_plain_client_that_was_taken_over_reaches_its_keys_and_its_server_and_nothing_else() -> Result<()> {
    client_is_confined(Face::Plain)
}

#[test]
fn a_json_client_that_was_taken_over_reaches_its_keys_and_its_server_and_nothing_else() -> Result<()> {
    client_is_confined(Face::Json)
}

#[test]
fn a_one_shot_client_that_was_taken_over_reaches_its_keys_and_its_server_and_nothing_else() -> Result<()> {
    client_is_confined(Face::OneShot)
}

#[test]
fn a_broker_that_was_taken_over_reads_no_key_writes_nothing_and_connects_to_no_server() -> Result<()> {
    let (world, elsewhere) = world()?;
    let (_ends, terminal) = other_terminal()?;
    let own = acts([
        ("read people/sam/sam/account.key", Refused),
        ("write people/sam/new", Refused),
        ("write people/sam/sam/new", Refused),
        ("read people/sam/link", Refused),
        (&format!("open {terminal}"), Refused),
        // It stays possible, as docs/threat-model.md says.
        ("listen-unbound", Done),
    ]);
    let denied = [denied_to_all(Refused, &elsewhere)?, by_an_open_socket(Refused, &elsewhere)?];
    try_all(|| broker(&world), Streams::Pipes, &[own, denied.concat()].concat())
}

#[test]
fn a_client_that_was_taken_over_connects_by_no_other_protocol_than_tcp() -> Result<()> {
    let (world, elsewhere) = world()?;
    if Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP)).is_err() {
        println!("skipped: this kernel has no multipath TCP");
        return Ok(());
    }
    let tried = acts([(&format!("multipath {}", elsewhere.local_addr()?), Refused)]);
    for face in Face::ALL {
        let streams = if face == Face::Terminal { Streams::Terminal } else { Streams::Pipes };
        try_all(|| client(&world, "localhost:1", face), streams, &tried)?;
    }
    Ok(())
}
