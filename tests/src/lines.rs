//! Lines from one side, and waiting for the right one.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// The time limit for operations that should take almost no time. Long, because machines are busy.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Waits until a condition holds; fails with its name when it does not in time.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !holds()? {
        ensure!(begun.elapsed() < DEADLINE, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Ok(())
}

/// The output of one side, line by line.
pub struct Lines {
    who: String,
    receiver: Receiver<String>,
    /// All lines taken so far, for the message of a failing test.
    heard: Vec<String>,
}

impl Lines {
    /// Lines that come through a channel, whose end is the end of the output.
    pub fn new(who: &str, receiver: Receiver<String>) -> Self {
        Self { who: who.to_owned(), receiver, heard: Vec::new() }
    }

    /// The next line, however long it takes; `None` when the other side has ended.
    pub(crate) fn await_line(&mut self) -> Option<String> {
        self.receiver.recv().ok()
    }

    /// The next line; fails when it does not come in time or the other side has ended.
    pub fn next_line(&mut self) -> Result<String> {
        match self.receiver.recv_timeout(DEADLINE) {
            Ok(line) => {
                self.heard.push(line.clone());
                Ok(line)
            }
            Err(RecvTimeoutError::Timeout) => {
                bail!("{}: no line came; heard so far: {:#?}", self.who, self.lately())
            }
            Err(RecvTimeoutError::Disconnected) => bail!("{}: ended; heard: {:#?}", self.who, self.lately()),
        }
    }

    /// The last lines, with only the beginning of long ones.
    fn lately(&self) -> Vec<String> {
        let lately = self.heard.get(self.heard.len().saturating_sub(20)..).unwrap_or_default();
        lately.iter().map(|line| line.chars().take(400).collect()).collect()
    }

    /// The next line must be this one, in which `{}` stands for anything.
    pub fn expect(&mut self, pattern: &str) -> Result<String> {
        let line = self.next_line()?;
        if !fits(pattern, &line) {
            bail!("{}: expected {pattern:?}, came {line:?}; heard: {:#?}", self.who, self.lately());
        }
        Ok(line)
    }

    /// Takes lines until one matches.
    pub fn wait_for(&mut self, pattern: &str) -> Result<String> {
        loop {
            let line = self.next_line()?;
            if fits(pattern, &line) {
                return Ok(line);
            }
        }
    }

    /// The next line, which must be JSON.
    pub fn json(&mut self) -> Result<Value> {
        let line = self.next_line()?;
        serde_json::from_str(&line).with_context(|| format!("{}: no JSON: {line}", self.who))
    }

    /// Takes lines of JSON until the one with this `id`.
    pub fn answer(&mut self, id: &Value) -> Result<Value> {
        loop {
            let value = self.json()?;
            if value.get("id") == Some(id) {
                return Ok(value);
            }
        }
    }

    /// Takes lines of JSON until an event with this name.
    pub fn event(&mut self, name: &str) -> Result<Value> {
        loop {
            let value = self.json()?;
            if value.get("event").is_some_and(|event| event == name) {
                return Ok(value);
            }
        }
    }

    /// The next line; `None` when the other side has ended.
    pub fn next_or_end(&mut self) -> Result<Option<String>> {
        match self.receiver.recv_timeout(DEADLINE) {
            Ok(line) => {
                self.heard.push(line.clone());
                Ok(Some(line))
            }
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                bail!("{}: no line came; heard so far: {:#?}", self.who, self.lately())
            }
        }
    }

    /// The other side must end without another line.
    pub fn expect_end(&mut self) -> Result<()> {
        match self.receiver.recv_timeout(DEADLINE) {
            Err(RecvTimeoutError::Disconnected) => Ok(()),
            Err(RecvTimeoutError::Timeout) => bail!("{}: does not end", self.who),
            Ok(line) => bail!("{}: said {line:?} instead of ending", self.who),
        }
    }

    /// All lines up to the end of the other side.
    pub fn rest(&mut self) -> Result<Vec<String>> {
        let begun = Instant::now();
        let mut rest = Vec::new();
        loop {
            match self.receiver.recv_timeout(DEADLINE.saturating_sub(begun.elapsed())) {
                Ok(line) => rest.push(line),
                Err(RecvTimeoutError::Disconnected) => return Ok(rest),
                Err(RecvTimeoutError::Timeout) => bail!("{}: does not end; heard {rest:#?}", self.who),
            }
        }
    }

    /// Takes the lines received so far without waiting for more.
    pub fn so_far(&mut self) -> Vec<String> {
        self.receiver.try_iter().collect()
    }
}

/// Returns true if a line matches a pattern in which each `{}` stands for any text.
pub(crate) fn fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("{}");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_what_it_says_and_no_more() {
        assert!(fits("abc", "abc"));
        assert!(!fits("abc", "abcd"));
        assert!(fits("{} sam: hi", "2019-11-01 09:30:00 sam: hi"));
        assert!(!fits("{} sam: hi", "2019-11-01 09:30:00 sam: hi you"));
        assert!(fits("a{}b{}c", "a1b2c"));
        assert!(!fits("a{}b{}c", "a1c2b"));
        assert!(fits("{}", ""));
    }
}
