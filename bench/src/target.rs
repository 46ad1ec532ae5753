//! The program that is measured: our server, the bare reference, or another program, alone on CPU 0.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::peers::{self, Program};
use crate::scenarios::Stage;

/// The kind of program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `parlour-server`.
    Ours,
    /// The reference.
    Bare,
    /// Another program, for comparison.
    Peer(Program),
}

/// A running program. It is killed when this is dropped.
pub(crate) struct Target {
    pub(crate) kind: Kind,
    /// The address at which it listens.
    pub(crate) address: SocketAddr,
    child: Child,
}

fn program(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let path = here.parent().context("a folder")?.join(name);
    if !path.exists() {
        bail!("{} is not built; run `make bench`", path.display());
    }
    Ok(path)
}

/// The command that runs `program` on the CPUs of the target.
pub(crate) fn alone(stage: &Stage<'_>, program: impl AsRef<OsStr>) -> Command {
    match stage.cpus {
        Some(cpus) => {
            let mut command = Command::new("taskset");
            command.args(["-c", cpus]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// Limits raised so that they never apply; everything else has its default.
const LIMITS: [&str; 11] = [
    "connections=100000",
    "connections_per_address=100000",
    "guests=100000",
    "guests_per_address=100000",
    "stored_bytes_per_account=1125899906842624",
    "commands_per_second=10000000",
    "command_burst=10000000",
    "outgoing_queue_bytes=268435456",
    "posts_in_flight=10000",
    "failed_logins_per_minute=1000000",
    "handshakes=100000",
];

impl Target {
    /// Makes fresh data; the server knows the first `users` users.
    pub(crate) fn prepare(kind: Kind, stage: &Stage<'_>, users: usize) -> Result<()> {
        let data = stage.folder.join("data");
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        if kind == Kind::Ours {
            // The first start creates the database, so that the accounts can be written into it.
            drop(Self::launch(kind, stage)?);
            stage.people.register(&data.join("chat.db"), users)?;
        }
        Ok(())
    }

    /// Starts the program with the existing keys and data.
    pub(crate) fn launch(kind: Kind, stage: &Stage<'_>) -> Result<Self> {
        Self::launch_with(kind, stage, &LIMITS)
    }

    /// Like [`launch`](Self::launch), but raises only these limits.
    pub(crate) fn launch_with(kind: Kind, stage: &Stage<'_>, limits: &[&str]) -> Result<Self> {
        let folder = stage.folder;
        let keys = folder.join("keys/server");
        let name = match kind {
            Kind::Ours => "parlour-server",
            Kind::Bare => "bare",
            Kind::Peer(peer) => {
                let (child, address) = peers::launch(peer, stage)?;
                return Ok(Self { kind, address, child });
            }
        };
        let mut command = alone(stage, program(name)?);
        match kind {
            Kind::Peer(_) => {}
            Kind::Ours => {
                command.args(["run", "--listen", "127.0.0.1:0", "--log-level", "error"]);
                command.arg("--keys").arg(&keys).arg("--data").arg(folder.join("data"));
                command.arg("--ttp").arg(folder.join("keys/ttp/ttp.sock"));
                for limit in limits {
                    command.args(["--limit", limit]);
                }
            }
            Kind::Bare => {
                command.arg(keys.join("server.key")).arg(keys.join("server.crt")).arg(keys.join("ca.crt"));
            }
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let Some(address) = line.trim().strip_prefix("listening on ") else {
            let _ = child.kill();
            bail!("{name} did not start: {line:?}");
        };
        Ok(Self { kind, address: address.parse()?, child })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
