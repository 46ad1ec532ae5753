//! The people of a world: their clients, and connections on which a test speaks for them.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use parlour_protocol::UserName;

use super::World;
use crate::line::{self, Line, Stream};
use crate::process::{Client, Finished, run_to_end};

impl World {
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
}
