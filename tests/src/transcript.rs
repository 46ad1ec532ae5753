//! Conversations in files: the actions of each side, and the lines that each must read then.
//!
//! ```text
//! # A line that begins with # is a remark.
//! client sam             starts sam's plain client, with keys of its own
//! client sam --user sam  the same, with further arguments
//! line raw               a bare TLS connection as a guest
//! line raw as sam        the same with sam's device certificate
//! sam> /register sam     types a line; {login sam} becomes the signature for this connection
//! sam< Registration Succeeded    the next line must be this; {} stands for anything
//! sam<< {} hello         takes lines until this one comes
//! raw ends               the server must close the connection, without another line
//! sam leaves 0           ends the input; the client must leave with this exit status
//! server stops           also: server dies, server starts
//! ```

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use crate::line::Line;
use crate::process::Client;
use crate::world::World;

enum Person {
    Client(Client),
    Line(Line),
}

/// Plays a transcript in a world of its own.
pub fn play(path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    let mut stage = Stage { world: World::new()?, people: HashMap::new() };
    for (number, line) in (1..).zip(text.lines()) {
        stage.perform(line).with_context(|| {
            format!("{}:{number}: {line}\nthe server's log:\n{}", path.display(), stage.world.server_log())
        })?;
    }
    Ok(())
}

struct Stage {
    world: World,
    people: HashMap<String, Person>,
}

impl Stage {
    fn perform(&mut self, line: &str) -> Result<()> {
        if line.trim().is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let (who, rest) = line.split_once([' ', '>', '<']).context("no direction")?;
        let marks = line.get(who.len()..).unwrap_or_default();
        if let Some(pattern) = marks.strip_prefix("<< ") {
            return self.lines(who)?.wait_for(pattern).map(|_| ());
        }
        if let Some(pattern) = marks.strip_prefix("< ").or(marks.strip_prefix('<').filter(|p| p.is_empty())) {
            return self.lines(who)?.expect(pattern).map(|_| ());
        }
        if let Some(text) = marks.strip_prefix("> ").or(marks.strip_prefix('>').filter(|t| t.is_empty())) {
            return self.say(who, text);
        }
        self.direct(who, rest)
    }

    fn direct(&mut self, word: &str, rest: &str) -> Result<()> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        match (word, words.as_slice()) {
            ("client", [name, arguments @ ..]) => {
                let client = self.world.client_with(name, arguments)?;
                self.people.insert((*name).to_owned(), Person::Client(client));
            }
            ("line", [name]) => {
                let line = self.world.line()?;
                self.people.insert((*name).to_owned(), Person::Line(line));
            }
            ("line", [name, "as", user]) => {
                let line = self.world.line_as(user)?;
                self.people.insert((*name).to_owned(), Person::Line(line));
            }
            ("server", ["stops"]) => self.world.stop_server()?,
            ("server", ["dies"]) => self.world.kill_server()?,
            ("server", ["starts"]) => self.world.start_server()?,
            (name, ["ends"]) => self.lines(name)?.expect_end()?,
            (name, ["leaves", status]) => {
                let status: i32 = status.parse()?;
                match self.people.get_mut(name).with_context(|| format!("nobody is called {name}"))? {
                    Person::Client(client) => {
                        let left = client.leave()?;
                        ensure!(left == status, "left with {left}: {}", client.process.errors());
                    }
                    Person::Line(line) => line.close(),
                }
                self.people.remove(name);
            }
            _ => bail!("no such direction"),
        }
        Ok(())
    }

    fn lines(&mut self, who: &str) -> Result<&mut crate::lines::Lines> {
        match self.people.get_mut(who).with_context(|| format!("nobody is called {who}"))? {
            Person::Client(client) => Ok(&mut client.process.out),
            Person::Line(line) => Ok(&mut line.lines),
        }
    }

    fn say(&mut self, who: &str, text: &str) -> Result<()> {
        match self.people.get_mut(who).with_context(|| format!("nobody is called {who}"))? {
            Person::Client(client) => client.type_line(text),
            Person::Line(line) => {
                let text = match text.split_once("{login ").and_then(|(a, b)| Some((a, b.split_once('}')?))) {
                    Some((before, (name, after))) => {
                        let signature = line.signature(&self.world.profile(name), &name.parse()?)?;
                        format!("{before}{signature}{after}")
                    }
                    None => text.to_owned(),
                };
                line.say(&text)
            }
        }
    }
}
