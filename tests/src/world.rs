//! A TTP, a server and their users, in a temporary folder.
//!
//! A world with people is a copy of one that the real programs made before: see [`crate::seed`].

mod builder;
mod people;
mod programs;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::disk::Disk;
use crate::process::{Process, program};
use crate::scrape::Scrape;
pub use builder::WorldBuilder;

/// An address with no listener.
pub fn free_address() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A TTP and a server, and the folders of their users' keys. At the end, running programs are killed; then the
/// folder is removed.
pub struct World {
    ttp: Option<Process>,
    server: Option<Process>,
    /// The standard error of servers that have ended.
    past: String,
    address: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
    settings: WorldBuilder,
    server_disk: Option<Disk>,
    ttp_disk: Option<Disk>,
    folder: TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        let log = self.server_log();
        // The test runner shows this when the test fails.
        println!("--- the server's log\n{log}---");
        if !std::thread::panicking() {
            assert!(!log.contains("panicked"), "a task of the server panicked; its log is above");
        }
    }
}

impl World {
    /// A world for most tests: with many registrations allowed from one address, and a high rate of commands.
    pub fn new() -> Result<Self> {
        Self::with().start()
    }

    /// A world in which [`seed::PEOPLE`] are registered.
    pub fn peopled() -> Result<Self> {
        Self::with().people().start()
    }

    /// A world with further settings.
    pub fn with() -> WorldBuilder {
        WorldBuilder::default()
    }

    /// A path in the world's folder.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// The root certificate.
    pub fn root(&self) -> PathBuf {
        self.path("keys/ttp/ca.crt")
    }

    /// The server's database.
    pub fn database(&self) -> PathBuf {
        self.path("data/chat.db")
    }

    /// The folder of a person's keys. Each person has a separate folder of profiles, as on separate machines.
    pub fn profile(&self, name: &str) -> PathBuf {
        self.keys(name).join(name)
    }

    /// A person's folder of profiles.
    pub fn keys(&self, person: &str) -> PathBuf {
        self.path("people").join(person)
    }

    /// The address at which the server listens.
    pub fn address(&self) -> Result<SocketAddr> {
        self.address.context("the server was never started")
    }

    /// The address of the server's metrics.
    pub fn metrics(&self) -> Result<SocketAddr> {
        self.metrics.context("the server has no address for metrics")
    }

    /// All metrics of the server now.
    pub fn scrape(&self) -> Result<Scrape> {
        Scrape::of(self.metrics()?)
    }

    /// The server.
    pub fn server(&mut self) -> Result<&mut Process> {
        self.server.as_mut().context("the server is not running")
    }

    /// The TTP.
    pub fn ttp(&self) -> Result<&Process> {
        self.ttp.as_ref().context("the TTP is not running")
    }

    /// Moves everyone's clock; running programs keep theirs until they are started again.
    pub fn set_clock_offset(&mut self, seconds: i64) {
        self.settings.clock_offset = seconds;
    }

    /// The command for one of our programs, in the world's folder and with UTC as its time zone.
    pub fn command(&self, name: &str) -> Result<Command> {
        let mut command = Command::new(program(name)?);
        command.current_dir(self.folder.path()).env("TZ", "UTC").env("LC_ALL", "C.UTF-8");
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("PARLOUR_") {
                command.env_remove(variable);
            }
        }
        Ok(command)
    }

    /// The world's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
