//! Forbidden acts, tried from inside: what shows that a sandbox holds.

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

/// For a connection.
const PATIENCE: Duration = Duration::from_secs(5);

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
    /// Open a device to write to it
    Open {
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
    /// Signal another process, which does not notice
    Signal {
        /// Its number.
        process: i32,
    },
    /// Connect by TCP
    Connect {
        /// Where to.
        address: SocketAddr,
    },
    /// Connect to a Unix socket
    ConnectLocal {
        /// Where it is.
        path: PathBuf,
    },
    /// Listen on a free TCP port
    Listen,
    /// Make a TCP socket
    Socket,
    /// Connect by multipath TCP, which Landlock does not take for TCP
    Multipath {
        /// Where to.
        address: SocketAddr,
    },
    /// Connect the TCP socket on standard input without `connect`: by sending (TCP fast open)
    FastOpen {
        /// Where to.
        address: SocketAddr,
    },
    /// The same with `sendmsg`
    FastOpenMessage {
        /// Where to.
        address: SocketAddr,
    },
    /// Listen on the TCP socket on standard input without `bind`: the system picks the port
    ListenUnbound,
}

impl Probe {
    /// Tries it. Where seccomp refuses, this does not return: the process is killed.
    pub fn attempt(&self) -> io::Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Write { path } => std::fs::write(path, WRITTEN),
            Self::Read { path } => std::fs::read(path).map(drop),
            Self::Open { path } => OpenOptions::new().write(true).open(path).map(drop),
            Self::Truncate { path } => nix::unistd::truncate(path, 0).map_err(io::Error::from),
            // Does not return where it is allowed.
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
