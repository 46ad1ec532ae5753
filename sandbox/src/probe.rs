//! Forbidden acts, tried from inside: what shows that a sandbox holds.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::{Args, Subcommand};

/// Options of the hidden command `probe`.
#[derive(Debug, Clone, Args)]
pub struct ProbeArguments {
    /// What to try.
    #[command(subcommand)]
    pub probe: Probe,
}

/// An act that a confined program cannot do.
#[derive(Debug, Clone, Subcommand)]
pub enum Probe {
    /// Nothing: only confine
    Nothing,
    /// Write a file
    Write {
        /// Which.
        path: PathBuf,
    },
    /// Read a file
    Read {
        /// Which.
        path: PathBuf,
    },
    /// Cut a file to no length
    Truncate {
        /// Which.
        path: PathBuf,
    },
    /// Become another program
    Execute {
        /// Which.
        path: PathBuf,
    },
    /// Start another process
    Spawn {
        /// Which.
        path: PathBuf,
    },
    /// Let the parent trace this process
    Trace,
    /// Connect by TCP
    Connect {
        /// Where to.
        address: SocketAddr,
    },
    /// Listen on a free TCP port
    Listen,
}

impl Probe {
    /// Tries it. Where seccomp refuses, this does not return: the process is killed.
    pub fn attempt(&self) -> io::Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Write { path } => std::fs::write(path, "written by a probe"),
            Self::Read { path } => std::fs::read(path).map(drop),
            Self::Truncate { path } => nix::unistd::truncate(path, 0).map_err(io::Error::from),
            // Does not return where it is allowed.
            Self::Execute { path } => Err(Command::new(path).exec()),
            Self::Spawn { path } => Command::new(path).spawn()?.wait().map(drop),
            Self::Trace => nix::sys::ptrace::traceme().map_err(io::Error::from),
            Self::Connect { address } => {
                TcpStream::connect_timeout(address, Duration::from_secs(5)).map(drop)
            }
            Self::Listen => TcpListener::bind("127.0.0.1:0").map(drop),
        }
    }
}
