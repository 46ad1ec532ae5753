//! Other programs that relay messages, measured by the same generator: an IRC server and a message broker, from
//! Debian. Each is started for one measurement, on an address of this machine, and killed after it.

mod nats;
mod ngircd;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::scenarios::Stage;

/// The time limit for a program to accept connections.
const PATIENCE: Duration = Duration::from_secs(10);

/// The program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// An IRC server. It stores nothing and acknowledges nothing.
    Ngircd,
    /// A message broker, in a mode that stores nothing and acknowledges nothing.
    Nats,
}

impl Program {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Ngircd, Self::Nats];

    /// The name of the program, and of its package in Debian.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ngircd => "ngircd",
            Self::Nats => "nats-server",
        }
    }

    /// The path of the installed program, if there is one.
    pub(crate) fn path(self) -> Option<PathBuf> {
        let named = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&named).chain(["/usr/sbin".into(), "/usr/bin".into()]);
        folders.map(|folder| folder.join(self.name())).find(|path| path.is_file())
    }
}

/// Starts a program and waits until it accepts connections.
pub(crate) fn launch(program: Program, stage: &Stage<'_>) -> Result<(Child, SocketAddr)> {
    let path = program.path().with_context(|| format!("{} is not installed", program.name()))?;
    // The port was free a moment ago: neither program reports the port that it was given.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut child = match program {
        Program::Ngircd => ngircd::start(&path, stage, address)?,
        Program::Nats => nats::start(&path, stage, address)?,
    };
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        let ended = child.try_wait()?;
        if ended.is_some() || begun.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            bail!("{} did not start: {ended:?}", program.name());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((child, address))
}

/// The server's key and its chain.
fn identity(stage: &Stage<'_>) -> [PathBuf; 2] {
    ["server.key", "server.crt"].map(|name| stage.folder.join("keys/server").join(name))
}

/// Writes a program's configuration file.
fn configure(stage: &Stage<'_>, name: &str, text: &str) -> Result<PathBuf> {
    let path: PathBuf = Path::new(stage.folder).join(name);
    std::fs::write(&path, text)?;
    Ok(path)
}
