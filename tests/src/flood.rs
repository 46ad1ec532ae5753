//! A client that sends thousands of lines over one connection, and knows how many replies must come.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use parlour_protocol::json::{ServerLine, parse_server_line};
use parlour_protocol::limits::{LINE_BYTES, REPLY_BYTES};
use parlour_protocol::{Command, Dialect, Event, LineSplitter, Refusal, UserName, json, plain};

use crate::line::{self, Stream};
use crate::lines::DEADLINE;
use crate::world::World;

/// The longest that a read or a write may delay the other.
const TURN: Duration = Duration::from_millis(5);

/// The time limit for all replies. Long, because the machine may be busy.
const PATIENCE: Duration = Duration::from_mins(2);

/// The settings for a [`Flood`], which can be opened several times.
#[derive(Clone)]
pub struct Source {
    server: SocketAddr,
    root: PathBuf,
    /// The name and the folder of keys of a user who logs in.
    user: Option<(UserName, PathBuf)>,
    dialect: Dialect,
}

impl Source {
    /// A guest, or a registered person who logs in.
    pub fn new(world: &World, name: Option<&str>, dialect: Dialect) -> Result<Self> {
        let user =
            name.map(|name| Ok::<_, anyhow::Error>((name.parse()?, world.profile(name)))).transpose()?;
        Ok(Self { server: world.address()?, root: world.root(), user, dialect })
    }

    /// Connects, logs in and chooses the dialect.
    pub fn open(&self) -> Result<Flood> {
        let begun = Instant::now();
        loop {
            let mut flood = self.connect()?;
            if self.log_in(&mut flood)? {
                if self.dialect == Dialect::Json {
                    flood.send(b"/dialect json\n")?;
                }
                return Ok(flood);
            }
            // The earlier session may still be ending.
            ensure!(begun.elapsed() < DEADLINE, "there is no login");
            std::thread::park_timeout(TURN);
        }
    }

    fn connect(&self) -> Result<Flood> {
        let paths =
            self.user.as_ref().map(|(_, folder)| (folder.join("device.crt"), folder.join("device.key")));
        let identity = paths.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path()));
        let mut stream = line::connect(self.server, line::config(&self.root, identity)?)?;
        stream.sock.set_read_timeout(Some(TURN))?;
        stream.sock.set_write_timeout(Some(TURN))?;
        stream.conn.set_buffer_limit(None);
        Ok(Flood {
            stream,
            heard: LineSplitter::new(REPLY_BYTES),
            dialect: Dialect::Plain,
            user: self.user.as_ref().map(|(name, _)| name.clone()),
            expected: VecDeque::new(),
            lines: 0,
            accepted: 0,
            events: 0,
        })
    }

    fn log_in(&self, flood: &mut Flood) -> Result<bool> {
        let Some((name, folder)) = &self.user else { return Ok(true) };
        let exporter = line::exporter(&flood.stream)?;
        let signature = line::signature(&folder.join("device.key"), name, &exporter)?;
        let answer = flood.ask(&format!("/login {name} {signature}"))?;
        ensure!(answer != "error: invalid credentials", "the login was refused");
        Ok(answer == "Authentication Succeeded")
    }
}

/// The expected form of a reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expected {
    /// A reply in this dialect.
    Reply(Dialect),
    /// A reply in this dialect, or the end of the connection after it.
    Last(Dialect),
}

/// A connection for sending many lines.
pub struct Flood {
    stream: Stream,
    heard: LineSplitter,
    dialect: Dialect,
    user: Option<UserName>,
    expected: VecDeque<Expected>,
    /// The number of lines sent.
    pub lines: u64,
    /// The number of lines that were not refused.
    pub accepted: u64,
    /// The number of events received.
    pub events: u64,
}

impl Flood {
    /// The command in a line on this connection; `None` if the line is refused.
    pub fn reads(&self, line: &[u8]) -> Option<Command> {
        let line = str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
        let request = match self.dialect {
            Dialect::Plain => plain::parse(line),
            Dialect::Json => json::parse(line).request,
        };
        request.and_then(|request| request.command).ok()
    }

    /// Sends lines at once, and waits until each has exactly one reply, in order. Returns false when one of them
    /// ended the connection; the lines after that one are never read.
    pub fn send(&mut self, lines: &[u8]) -> Result<bool> {
        let mut held = LineSplitter::new(LINE_BYTES);
        held.feed(lines);
        let mut dialect = self.dialect;
        let mut leaves = false;
        while let Some(line) = held.next_line() {
            self.lines += 1;
            let command = line.ok().and_then(|line| match dialect {
                Dialect::Plain => plain::parse(line).ok()?.command.ok(),
                Dialect::Json => json::parse(line).request.ok()?.command.ok(),
            });
            leaves = match &command {
                Some(Command::Exit) => true,
                // After a failed login the connection ends.
                Some(Command::Login { .. }) => self.user.is_none(),
                _ => false,
            };
            self.expected.push_back(if leaves { Expected::Last(dialect) } else { Expected::Reply(dialect) });
            // The reply to this command still uses the old dialect.
            if let Some(Command::Dialect(other)) = command {
                dialect = other;
            }
            if leaves {
                break;
            }
        }
        ensure!(leaves || held.is_empty(), "a line without an end was sent");
        self.dialect = dialect;
        // A side that hangs up with unread input loses its last output.
        let read = lines.len().saturating_sub(held.into_rest().len());
        self.stream.conn.writer().write_all(lines.get(..read).unwrap_or_default())?;
        let stays = self.hear()?;
        ensure!(stays != leaves, "{:?}: stays: {stays}, leaves: {leaves}", self.user);
        Ok(stays)
    }

    /// Sends a line and returns its reply, in plain.
    fn ask(&mut self, line: &str) -> Result<String> {
        self.stream.conn.writer().write_all(format!("{line}\n").as_bytes())?;
        let begun = Instant::now();
        loop {
            ensure!(begun.elapsed() < PATIENCE, "{line} is not answered");
            self.turn()?;
            while let Some(heard) = self.heard.next_line() {
                let heard = heard.context("a line")?;
                if !is_event(heard, self.user.as_ref()) {
                    return Ok(heard.to_owned());
                }
            }
        }
    }

    /// Sends and reads until nothing more is expected; false at the end of the connection.
    fn hear(&mut self) -> Result<bool> {
        let begun = Instant::now();
        while !self.expected.is_empty() {
            let open = self.turn()?;
            self.take()?;
            if !open {
                break;
            }
            ensure!(begun.elapsed() < PATIENCE, "{} replies did not come", self.expected.len());
        }
        match self.expected.front() {
            None => Ok(true),
            Some(Expected::Last(_)) => Ok(false),
            Some(Expected::Reply(_)) => {
                bail!("{:?}: the connection ended before {} replies", self.user, self.expected.len())
            }
        }
    }

    /// Sends as much as possible and takes received bytes; false when no more will come.
    fn turn(&mut self) -> Result<bool> {
        let waits = |kind| matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut);
        while self.stream.conn.wants_write() {
            match self.stream.conn.write_tls(&mut self.stream.sock) {
                Ok(_) => {}
                Err(error) if waits(error.kind()) => break,
                // Text that the server sent before it hung up can still be read.
                Err(_) => break,
            }
        }
        match self.stream.conn.read_tls(&mut self.stream.sock) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(error) if waits(error.kind()) => return Ok(true),
            Err(_) => return Ok(false),
        }
        let state = self.stream.conn.process_new_packets()?;
        let mut bytes = vec![0; state.plaintext_bytes_to_read()];
        if !bytes.is_empty() {
            self.stream.conn.reader().read_exact(&mut bytes)?;
            self.heard.feed(&bytes);
        }
        Ok(!state.peer_has_closed())
    }

    /// Compares the received lines with the expected ones.
    fn take(&mut self) -> Result<()> {
        while let Some(line) = self.heard.next_line() {
            let line = line.context("what a server says is lines")?;
            let expected = self.expected.front().copied();
            let dialect = match expected {
                Some(Expected::Reply(dialect) | Expected::Last(dialect)) => dialect,
                None => self.dialect,
            };
            let heard = Heard::read(line, dialect, self.user.as_ref())?;
            match (heard, expected) {
                (Heard::Event, _) => self.events += 1,
                (_, None) => bail!("{:?}: nobody asked for {line}", self.user),
                // The end of the connection is still to come.
                (_, Some(Expected::Last(_))) => {}
                (Heard::Refusal, Some(Expected::Reply(_))) => drop(self.expected.pop_front()),
                (Heard::Answer, Some(Expected::Reply(_))) => {
                    self.accepted += 1;
                    self.expected.pop_front();
                }
            }
        }
        Ok(())
    }
}

/// The kind of a line from the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Heard {
    Answer,
    Refusal,
    Event,
}

impl Heard {
    /// Fails when a line is of no kind, or reports a fault of the server.
    fn read(line: &str, dialect: Dialect, user: Option<&UserName>) -> Result<Self> {
        match dialect {
            Dialect::Plain => {
                ensure!(!line.starts_with("error: internal") && !line.starts_with("goodbye: "), "{line}");
                ensure!(!line.chars().any(|c| c.is_control() && c != '\t'), "{line:?} is not clean");
                let reply = if line.starts_with("error: ") { Self::Refusal } else { Self::Answer };
                Ok(if is_event(line, user) { Self::Event } else { reply })
            }
            Dialect::Json => match parse_server_line(line)? {
                ServerLine::Reply { reply: Ok(_), .. } => Ok(Self::Answer),
                ServerLine::Reply { reply: Err(Refusal::Internal { .. }), .. } => bail!("{line}"),
                ServerLine::Reply { reply: Err(_), .. } => Ok(Self::Refusal),
                ServerLine::Event(Event::Goodbye(why)) => bail!("{why}"),
                ServerLine::Event(_) => Ok(Self::Event),
                ServerLine::UnknownFarewell(why) => bail!("{why}"),
                ServerLine::UnknownEvent(name) => bail!("{name} is no event"),
            },
        }
    }
}

/// Returns true if a line of the plain dialect is a message from somebody else: one's own is a reply.
fn is_event(line: &str, user: Option<&UserName>) -> bool {
    let said_by = line.get(20..).and_then(|rest| rest.split_once(": ")).map(|(name, _)| name);
    let stamped = line.get(..20).is_some_and(|stamp| {
        stamp.bytes().all(|byte| byte.is_ascii_digit() || b"-: ".contains(&byte)) && stamp.ends_with(' ')
    });
    stamped && said_by.is_some_and(|name| user.is_none_or(|user| name != user.as_str()))
}
