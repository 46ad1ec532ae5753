//! A TTP, a server and their users, in a temporary folder.
//!
//! A world with people is a copy of one that the real programs made before: see [`crate::seed`].

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use parlour_protocol::UserName;
use serde_json::Value;
use tempfile::TempDir;

use crate::disk::Disk;
use crate::line::{self, Line, Stream};
use crate::process::{Client, Finished, Process, program, run_to_end};
use crate::scrape::Scrape;
use crate::seed;

/// The settings of a world.
#[derive(Debug, Clone, Default)]
pub struct WorldBuilder {
    limits: Vec<String>,
    clock_offset: i64,
    people: bool,
    metrics: bool,
}

impl WorldBuilder {
    /// Sets a limit of the server, `NAME=VALUE`.
    #[must_use]
    pub fn limit(mut self, assignment: &str) -> Self {
        self.limits.push(assignment.to_owned());
        self
    }

    /// Moves everyone's clock by this many seconds.
    #[must_use]
    pub fn clock_offset(mut self, seconds: i64) -> Self {
        self.clock_offset = seconds;
        self
    }

    /// Registers [`seed::PEOPLE`]. They all trust one authority, that of the seed.
    #[must_use]
    pub fn people(mut self) -> Self {
        self.people = true;
        self
    }

    /// Serves metrics on an address for the operator.
    #[must_use]
    pub fn metrics(mut self) -> Self {
        self.metrics = true;
        self
    }

    /// Makes all keys and certificates, but starts nothing.
    pub fn prepare(self) -> Result<World> {
        let people = self.people;
        let folder = TempDir::new()?;
        let mut world = World {
            ttp: None,
            server: None,
            past: String::new(),
            address: None,
            metrics: None,
            settings: self,
            server_disk: None,
            ttp_disk: None,
            folder,
        };
        if people {
            seed::plant(world.folder())?;
        } else {
            world.run_ttp(&["init"])?;
            world.mint_server_certificate()?;
        }
        world.address = Some(free_address()?);
        Ok(world)
    }

    /// Makes all keys and certificates, and starts TTP and server.
    pub fn start(self) -> Result<World> {
        let mut world = self.prepare()?;
        world.address = None;
        world.start_ttp()?;
        world.start_server()?;
        Ok(world)
    }
}

/// Runs a command on this disk, if there is one.
fn on(disk: Option<&Disk>, command: Command) -> Result<Command> {
    match disk {
        Some(disk) => disk.under(&command),
        None => Ok(command),
    }
}

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

    /// Moves everyone's clock; running programs keep theirs until they are started again.
    pub fn set_clock_offset(&mut self, seconds: i64) {
        self.settings.clock_offset = seconds;
    }

    /// A person's client with its plain face, with further arguments.
    pub fn client_with(&self, person: &str, arguments: &[&str]) -> Result<Client> {
        let mut command = self.client_command(person)?;
        command.arg("--plain").args(arguments);
        Client::start(person, &mut command)
    }

    /// A person's client with its json face, with further arguments.
    pub fn robot(&self, person: &str, arguments: &[&str]) -> Result<Client> {
        let mut command = self.client_command(person)?;
        command.arg("--json").args(arguments);
        Client::start(person, &mut command)
    }

    /// The command that runs `parlour` as a person on this world's server.
    pub fn client_command(&self, person: &str) -> Result<Command> {
        self.client_command_to(person, &self.address()?.to_string())
    }

    /// The same with another server, or an invitation.
    pub fn client_command_to(&self, person: &str, server: &str) -> Result<Command> {
        let mut command = self.command("parlour")?;
        command.arg(server);
        command.arg("--keys").arg(self.keys(person)).arg("--ca").arg(self.root());
        command.arg(format!("--clock-offset={}", self.settings.clock_offset));
        Ok(command)
    }

    /// A person's plain client, as a guest.
    pub fn client(&self, person: &str) -> Result<Client> {
        self.client_with(person, &[])
    }

    /// Registers a person, who is then logged in.
    pub fn registered(&self, name: &str) -> Result<Client> {
        let mut client = self.client(name)?;
        client.ask(&format!("/register {name}"), "Registration Succeeded")?;
        client.expect("Authentication Succeeded")?;
        Ok(client)
    }

    /// Logs in a registered person.
    pub fn logged_in(&self, name: &str) -> Result<Client> {
        let mut client = self.client_with(name, &["--user", name])?;
        client.expect("Authentication Succeeded")?;
        Ok(client)
    }

    /// Runs a person's one-shot command to its end.
    pub fn one_shot(&self, person: &str, arguments: &[&str], input: &str) -> Result<Finished> {
        let mut command = self.client_command(person)?;
        command.args(arguments);
        run_to_end(person, &mut command, input)
    }

    /// A bare connection as a guest.
    pub fn line(&self) -> Result<Line> {
        Line::open(self.address()?, line::config(&self.root(), None)?)
    }

    /// A bare connection with a person's device certificate, not logged in yet.
    pub fn line_as(&self, name: &str) -> Result<Line> {
        let profile = self.profile(name);
        self.line_with(&profile.join("device.crt"), &profile.join("device.key"))
    }

    /// A bare connection with a certificate and its key from files.
    pub fn line_with(&self, certificate: &Path, key: &Path) -> Result<Line> {
        Line::open(self.address()?, line::config(&self.root(), Some((certificate, key)))?)
    }

    /// A bare connection on which a person is logged in, in plain.
    pub fn logged_in_line(&self, name: &str) -> Result<Line> {
        let user: UserName = name.parse()?;
        let mut line = self.line_as(name)?;
        let signature = line.signature(&self.profile(name), &user)?;
        line.ask(&format!("/login {name} {signature}"), "Authentication Succeeded")?;
        Ok(line)
    }

    /// A bare connection on which a person is logged in, in plain, and which does not read on by itself.
    pub fn logged_in_stream(&self, name: &str) -> Result<Stream> {
        let profile = self.profile(name);
        let (certificate, key) = (profile.join("device.crt"), profile.join("device.key"));
        let config = line::config(&self.root(), Some((&certificate, &key)))?;
        let mut stream = line::connect(self.address()?, config)?;
        let signature = line::signature(&key, &name.parse()?, &line::exporter(&stream)?)?;
        stream.write_all(format!("/login {name} {signature}\n").as_bytes())?;
        // Messages from others may come before the answer.
        let mut heard = Vec::new();
        while !heard.ends_with(b"Authentication Succeeded\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            heard.push(byte[0]);
        }
        Ok(stream)
    }

    /// A bare connection on which a person is logged in, in json.
    pub fn json_line(&self, name: &str) -> Result<Line> {
        let mut line = self.logged_in_line(name)?;
        line.ask("/dialect json", r#"{"dialect":"json"}"#)?;
        Ok(line)
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
