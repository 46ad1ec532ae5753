//! Mallory has taken a program over from inside, or puts paths where names belong. She cannot touch other
//! files or gain rights: Landlock and seccomp refuse.

mod acts;
#[cfg(target_arch = "x86_64")]
mod injected;
mod paths;

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use anyhow::Result;
use parlour_tests::World;
use socket2::{Domain, Protocol, Socket, Type};

/// The outcome of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is done.
    Done,
    /// It is an error, and the program goes on.
    Refused,
    /// The process is ended in the act.
    Killed,
}

/// A face of the client, or a one-shot command, which has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Face {
    Terminal,
    Plain,
    Json,
    OneShot,
}

impl Face {
    const ALL: [Self; 4] = [Self::Terminal, Self::Plain, Self::Json, Self::OneShot];

    /// The options that choose it. On a terminal none is needed.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &["--plain"],
            Self::Json => &["--json"],
            Self::Terminal | Self::OneShot => &[],
        }
    }
}

/// A TCP socket that is not connected, for a standard stream.
fn socket() -> Result<Stdio> {
    Ok(OwnedFd::from(Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?).into())
}

/// A world with a file that belongs to no program, and a listener at an address that belongs to none either.
fn world() -> Result<(World, TcpListener)> {
    let world = World::with().people().prepare()?;
    std::fs::write(world.path("diary"), "dear diary")?;
    std::fs::create_dir_all(world.path("data"))?;
    for folder in ["data", "keys/ttp", "people/sam"] {
        std::os::unix::fs::symlink(world.path("diary"), world.path(folder).join("link"))?;
    }
    Ok((world, TcpListener::bind("127.0.0.1:0")?))
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

/// Sam's client at this server.
fn sam(world: &World, server: &str, face: Face) -> Result<Command> {
    let mut command = world.command("parlour")?;
    command.args([server, "--keys", "people/sam", "--ca"]).arg(world.root()).args(face.options());
    Ok(command)
}

fn client(world: &World, server: &str, face: Face) -> Result<Command> {
    let mut command = sam(world, server, face)?;
    command.arg("probe");
    Ok(command)
}

fn broker(world: &World) -> Result<Command> {
    let mut command = sam(world, "localhost:1", Face::OneShot)?;
    command.arg("probe-broker");
    Ok(command)
}
