//! `parlour-server audit`: prints entries of the audit log, and checks the chain.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write};
use std::path::Path;

use parlour_protocol::{Timestamp, clean};
use serde::Serialize;

use crate::clock::Clock;
use crate::operations::cli::{AuditArguments, AuditCommand, AuditVerifyArguments};
use crate::store::{AuditFile, AuditFileError, AuditFilter, AuditRow, Verdict, hex};

/// Runs `parlour-server audit`, and prints to `out`. Returns false if the log was changed or is not the expected one.
pub fn run(arguments: AuditArguments, out: &mut impl Write) -> Result<bool, AuditFileError> {
    match arguments.command {
        Some(AuditCommand::Verify(arguments)) => verify(&arguments, out),
        None => print(arguments, out).map(|()| true),
    }
}

fn open(data: &Path) -> Result<AuditFile, AuditFileError> {
    AuditFile::open(&data.join("chat.db"))
}

fn print(arguments: AuditArguments, out: &mut impl Write) -> Result<(), AuditFileError> {
    let filter = AuditFilter {
        since: arguments.since.map(|since| since.moment(Clock::default().now())),
        user: arguments.user.map(|user| user.to_string()),
        kind: arguments.kind,
    };
    let printed = open(&arguments.data)?.read(&filter, |row| {
        let entry = PrintedEntry::new(row);
        if arguments.json {
            writeln!(out, "{}", serde_json::to_string(&entry)?)
        } else {
            writeln!(out, "{}", entry.line())
        }
    });
    match printed.and_then(|()| Ok(out.flush()?)) {
        // The reader closed the pipe, as `head` does.
        Err(AuditFileError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

fn verify(arguments: &AuditVerifyArguments, out: &mut impl Write) -> Result<bool, AuditFileError> {
    let verdict = open(&arguments.data)?.verify()?;
    let (is_well, said) = match (&verdict, &arguments.expect) {
        (Verdict::Broken { .. }, _) => (false, verdict.to_string()),
        (Verdict::Sound { newest, .. }, Some(expected)) if !expected.eq_ignore_ascii_case(&hex(newest)) => {
            (false, format!("the newest hash is {}, not the expected one", hex(newest)))
        }
        (Verdict::Sound { .. }, _) => (true, verdict.to_string()),
    };
    writeln!(out, "{said}").and_then(|()| out.flush())?;
    Ok(is_well)
}

/// An entry as it is printed, cleaned so that nothing in the file can control a terminal or forge a line.
#[derive(Serialize)]
struct PrintedEntry {
    number: i64,
    time: String,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
    times: i64,
    hash: String,
}

impl PrintedEntry {
    fn new(row: AuditRow) -> Self {
        let shown = |text: String| clean(&text).into_owned();
        Self {
            number: row.number,
            time: moment(row.time),
            kind: shown(row.kind),
            user: row.user.map(shown),
            device: row.device.map(shown),
            address: row.address.map(shown),
            detail: shown(row.detail),
            times: row.times,
            hash: hex(&row.hash),
        }
    }

    fn line(&self) -> String {
        let mut line = format!("{} {} {}", self.number, self.time, self.kind);
        for (name, value) in [("user", &self.user), ("device", &self.device), ("address", &self.address)] {
            if let Some(value) = value {
                let _ = write!(line, " {name}={value}"); // writing to a string cannot fail
            }
        }
        if self.times > 1 {
            let _ = write!(line, " times={}", self.times);
        }
        if !self.detail.is_empty() {
            let _ = write!(line, ": {}", self.detail);
        }
        line
    }
}

/// Writes a time as RFC 3339 in UTC, with milliseconds. One that is out of range is written as its number.
fn moment(millis: i64) -> String {
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(moment) => format!("{moment:.3}"),
        Err(_) => Timestamp::from_millis(millis).to_string(),
    }
}

/// Advice about a log that cannot be read.
pub fn hint(error: &AuditFileError) -> Option<&'static str> {
    match error {
        AuditFileError::Missing(_) => Some("name the server's data directory with --data"),
        AuditFileError::Version { found, known, .. } if found < known => {
            Some("start this version of the server once: it brings the database up to date")
        }
        AuditFileError::Version { .. } => {
            Some("use the version of parlour-server that wrote it, or a newer one")
        }
        AuditFileError::Failed { .. } => {
            Some("check that the file is a database of Parlour's and that this user may read its folder")
        }
        AuditFileError::Output(_) => None,
    }
}
