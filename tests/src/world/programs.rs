//! The TTP and the server of a world: they can be started, stopped, killed, and put on a failing disk.

use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::World;
use crate::disk::Disk;
use crate::process::{Finished, Process, run_to_end};

/// Runs a command on this disk, if there is one.
fn on(disk: Option<&Disk>, command: Command) -> Result<Command> {
    match disk {
        Some(disk) => disk.under(&command),
        None => Ok(command),
    }
}

impl World {
    /// Mints a server certificate for this machine.
    pub fn mint_server_certificate(&self) -> Result<()> {
        self.run_ttp(&["server-cert", "--host", "localhost", "--host", "127.0.0.1"]).map(|_| ())
    }

    /// Runs a command of `parlour-ttp` to its end; it must succeed.
    pub fn run_ttp(&self, arguments: &[&str]) -> Result<String> {
        let output = self.try_ttp(arguments)?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs a command of `parlour-ttp` to its end.
    pub fn try_ttp(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command("parlour-ttp")?;
        command.args(arguments).arg("--keys").arg("keys");
        if self.settings.clock_offset != 0 {
            command.arg(format!("--clock-offset={}", self.settings.clock_offset));
        }
        Ok(command.stdin(Stdio::null()).output()?)
    }

    /// Starts the TTP and waits until it serves.
    pub fn start_ttp(&mut self) -> Result<()> {
        let mut command = self.command("parlour-ttp")?;
        command.args(["serve", "--keys", "keys"]);
        command.arg(format!("--clock-offset={}", self.settings.clock_offset));
        let mut command = on(self.ttp_disk.as_ref(), command)?;
        let mut process = Process::start("ttp", &mut command, Stdio::null())?;
        process.out.expect("serving on {}").with_context(|| process.errors())?;
        self.ttp = Some(process);
        Ok(())
    }

    /// Puts the server's data on a disk that can fail, from its next start on.
    pub fn put_server_on(&mut self, disk: &Disk) {
        self.server_disk = Some(disk.clone());
    }

    /// Puts the TTP's data on a disk that can fail, from its next start on.
    pub fn put_ttp_on(&mut self, disk: &Disk) {
        self.ttp_disk = Some(disk.clone());
    }

    /// A disk without faults.
    pub fn disk(&self, name: &str) -> Result<Disk> {
        Disk::new(self.folder(), name)
    }

    /// Kills the TTP.
    pub fn kill_ttp(&mut self) -> Result<()> {
        self.ttp.take().context("the TTP is not running")?.crash()
    }

    /// Stops the TTP as an operator would, and waits until it has ended.
    pub fn stop_ttp(&mut self) -> Result<()> {
        let mut ttp = self.ttp.take().context("the TTP is not running")?;
        ttp.signal(Signal::SIGTERM)?;
        let status = ttp.wait()?;
        ensure!(status.success(), "the TTP ended with {status}:\n{}", ttp.errors());
        Ok(())
    }

    /// Starts the server on its previous address, and waits until it listens.
    pub fn start_server(&mut self) -> Result<()> {
        let listen = self.address.map_or_else(|| "127.0.0.1:0".to_owned(), |address| address.to_string());
        let mut command = on(self.server_disk.as_ref(), self.server_command(&listen)?)?;
        if self.settings.metrics {
            command.args(["--metrics", "127.0.0.1:0"]);
        }
        let mut process = Process::start("server", &mut command, Stdio::null())?;
        let line = process.out.expect("listening on {}").with_context(|| process.errors())?;
        let address = line.strip_prefix("listening on ").context("an address")?;
        self.address = Some(address.parse()?);
        if self.settings.metrics {
            let line = process.out.expect("metrics on {}")?;
            self.metrics = Some(line.strip_prefix("metrics on ").context("an address")?.parse()?);
        }
        self.server = Some(process);
        Ok(())
    }

    /// The command that runs this world's server.
    pub fn server_command(&self, listen: &str) -> Result<Command> {
        let mut command = self.command("parlour-server")?;
        command.args(["run", "--listen", listen, "--keys", "keys/server", "--ttp", "keys/ttp/ttp.sock"]);
        command.args(["--data", "data", "--log-level", "debug"]);
        command.arg(format!("--clock-offset={}", self.settings.clock_offset));
        // All people in a test share one address.
        for limit in
            ["registrations_per_hour=10000", "connections_per_address=1000", "guests_per_address=500"]
        {
            command.args(["--limit", limit]);
        }
        for limit in &self.settings.limits {
            command.args(["--limit", limit]);
        }
        Ok(command)
    }

    /// Runs `parlour-server audit` on this world's data to its end.
    pub fn audit(&self, arguments: &[&str]) -> Result<Finished> {
        let mut command = self.command("parlour-server")?;
        command.arg("audit").args(arguments).args(["--data", "data"]);
        run_to_end("audit", &mut command, "")
    }

    /// The entries of the audit log that match these options.
    pub fn audit_entries(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let finished = self.audit(&[&["--json"], arguments].concat())?;
        ensure!(finished.code == 0, "{finished:#?}");
        finished.out.iter().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Stops the server as an operator would, and waits until it has ended.
    pub fn stop_server(&mut self) -> Result<()> {
        let mut server = self.server.take().context("the server is not running")?;
        server.signal(Signal::SIGTERM)?;
        let status = server.wait();
        self.remember(&server);
        let status = status?;
        ensure!(status.success(), "the server ended with {status}:\n{}", server.errors());
        Ok(())
    }

    fn remember(&mut self, server: &Process) {
        self.past.push_str(&server.errors());
    }

    /// Kills the server, as a power cut would.
    pub fn kill_server(&mut self) -> Result<()> {
        let mut server = self.server.take().context("the server is not running")?;
        let crashed = server.crash();
        self.remember(&server);
        crashed
    }

    /// The log of the server, including earlier runs.
    pub fn server_log(&self) -> String {
        let mut log = self.past.clone();
        log.push_str(&self.server.as_ref().map(Process::errors).unwrap_or_default());
        log
    }
}
