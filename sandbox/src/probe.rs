//! Tries forbidden acts from inside, to show that the sandbox holds.

use std::fs::OpenOptions;
use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::{Args, Subcommand};
use nix::libc::MSG_FASTOPEN;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use socket2::{Domain, MsgHdr, Protocol, SockRef, Socket, Type};

const WRITTEN: &[u8] = b"written by a probe";

/// The time limit for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Options of the hidden command `probe`.
#[derive(Debug, Clone, Args)]
pub struct ProbeArguments {
    /// The act to try
    #[command(subcommand)]
    pub probe: Probe,
}

/// An act that a confined program cannot do.
#[derive(Debug, Clone, Subcommand)]
pub enum Probe {
    /// Do nothing but confine the process
    Nothing,
    /// Write a file
    Write {
        /// Its path
        path: PathBuf,
    },
    /// Read a file
    Read {
        /// Its path
        path: PathBuf,
    },
    /// Open a device to write to it
    Open {
        /// Its path
        path: PathBuf,
    },
    /// Truncate a file
    Truncate {
        /// Its path
        path: PathBuf,
    },
    /// Become another program
    Execute {
        /// Its path
        path: PathBuf,
    },
    /// Start another process
    Spawn {
        /// Its path
        path: PathBuf,
    },
    /// Let the parent trace this process
    Trace,
    /// Signal another process, which does not notice
    Signal {
        /// Its process id
        process: i32,
    },
    /// Connect by TCP
    Connect {
        /// The address to connect to
        address: SocketAddr,
    },
    /// Connect to a Unix socket
    ConnectLocal {
        /// Its path
        path: PathBuf,
    },
    /// Listen on a free TCP port
    Listen,
    /// Make a TCP socket
    Socket,
    /// Connect by multipath TCP, which Landlock does not take for TCP
    Multipath {
        /// The address to connect to
        address: SocketAddr,
    },
    /// Connect the TCP socket on standard input without `connect`: by sending (TCP fast open)
    FastOpen {
        /// The address to connect to
        address: SocketAddr,
    },
    /// The same with `sendmsg`
    FastOpenMessage {
        /// The address to connect to
        address: SocketAddr,
    },
    /// Listen on the TCP socket on standard input without `bind`: the system picks the port
    ListenUnbound,
}

impl Probe {
    /// Tries the act. Where seccomp refuses, this does not return: the process is killed.
    pub fn attempt(&self) -> io::Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Write { path } => std::fs::write(path, WRITTEN),
            Self::Read { path } => std::fs::read(path).map(drop),
            Self::Open { path } => OpenOptions::new().write(true).open(path).map(drop),
            Self::Truncate { path } => nix::unistd::truncate(path, 0).map_err(io::Error::from),
            // `exec` returns only if it fails.
            Self::Execute { path } => Err(Command::new(path).exec()),
            Self::Spawn { path } => Command::new(path).spawn()?.wait().map(drop),
            Self::Trace => nix::sys::ptrace::traceme().map_err(io::Error::from),
            Self::Signal { process } => kill(Pid::from_raw(*process), None).map_err(io::Error::from),
            Self::Connect { address } => TcpStream::connect_timeout(address, PATIENCE).map(drop),
            Self::ConnectLocal { path } => UnixStream::connect(path).map(drop),
            Self::Listen => TcpListener::bind("127.0.0.1:0").map(drop),
            Self::Socket => Socket::new(Domain::IPV4, Type::STREAM, None).map(drop),
            Self::Multipath { address } => {
                Socket::new(Domain::for_address(*address), Type::STREAM, Some(Protocol::MPTCP))?
                    .connect_timeout(&(*address).into(), PATIENCE)
            }
            Self::FastOpen { address } => SockRef::from(&io::stdin())
                .send_to_with_flags(WRITTEN, &(*address).into(), MSG_FASTOPEN)
                .map(drop),
            Self::FastOpenMessage { address } => {
                let (address, parts) = ((*address).into(), [IoSlice::new(WRITTEN)]);
                let message = MsgHdr::new().with_addr(&address).with_buffers(&parts);
                SockRef::from(&io::stdin()).sendmsg(&message, MSG_FASTOPEN).map(drop)
            }
            Self::ListenUnbound => SockRef::from(&io::stdin()).listen(1),
        }
    }
}
