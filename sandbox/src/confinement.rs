//! The rights that a program keeps, and giving up the rest.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::files::{self, Access, Signals};
use crate::mode::Mode;
use crate::process;
use crate::system_calls::{self, SystemCalls};

/// The rights that a program needs after its start. Everything else is given up.
#[derive(Debug, Clone)]
pub struct Confinement {
    /// The access allowed beneath each path. A rule is for the file or folder that has the path when the rule is
    /// applied: create folders first, and name the folder of a file that is replaced later.
    pub paths: Vec<(PathBuf, Access)>,
    /// TCP ports that may be connected to. The program cannot listen on any port.
    pub ports: Vec<u16>,
    /// The processes that signals may be sent to.
    pub signals: Signals,
    /// The system calls that are allowed.
    pub system_calls: SystemCalls,
}

/// The kernel cannot enforce what is required.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the sandbox is required and not complete: {}", .0.join("; "))]
pub struct SandboxError(Vec<String>);

impl SandboxError {
    /// Advice for the operator.
    pub fn hint(&self) -> &'static str {
        "use a kernel with Landlock (Linux 5.19 or newer) and seccomp, or run with --sandbox on, which does \
         what it can"
    }
}

/// The parts in force now, and the reason for each part that is not.
#[derive(Debug)]
pub struct Report {
    /// The version of Landlock's interface.
    landlock: Result<i32, String>,
    system_calls: Result<(), String>,
    no_new_privileges: Result<(), String>,
    no_core_dumps: Result<(), String>,
    memory_locked: Result<(), String>,
}

/// Tries Landlock and seccomp on a short-lived thread. Returns what this kernel offers, or what it lacks and why.
pub fn available() -> Result<String, String> {
    let trial = || {
        process::forbid_new_privileges()
            .map_err(|error| format!("new privileges cannot be refused: {error}"))?;
        let version = files::restrict(&[], &[], Signals::ToItself)
            .map_err(|why| format!("files cannot be confined: {why}"))?;
        system_calls::try_filter().map_err(|why| format!("system calls cannot be confined: {why}"))?;
        Ok(format!("Landlock {version} and seccomp"))
    };
    std::thread::spawn(trial).join().unwrap_or_else(|_| Err("the trial failed".to_owned()))
}

impl Confinement {
    /// Confines this process, which must have a single thread, for the rest of its life. `None` when the sandbox
    /// is off.
    pub fn apply(&self, mode: Mode) -> Result<Option<Report>, SandboxError> {
        if mode == Mode::Off {
            return Ok(None);
        }
        let report = Report {
            no_core_dumps: process::forbid_core_dumps().map_err(|error| error.to_string()),
            memory_locked: process::lock_memory(),
            no_new_privileges: process::forbid_new_privileges().map_err(|error| error.to_string()),
            landlock: files::restrict(&self.paths, &self.ports, self.signals),
            // seccomp comes last: it forbids the calls that set up the other parts.
            system_calls: self.system_calls.enforce(),
        };
        let missing = report.missing();
        if mode == Mode::Required && !missing.is_empty() {
            return Err(SandboxError(missing));
        }
        Ok(Some(report))
    }
}

impl Report {
    /// The parts that should be in force and are not, each with the reason. Locked memory is not among them: an
    /// ordinary user usually may not lock that much.
    pub fn missing(&self) -> Vec<String> {
        let landlock = self.landlock.as_ref().map(|_| ()).map_err(Clone::clone);
        [
            ("files and ports are not confined", &landlock),
            ("system calls are not confined", &self.system_calls),
            ("new privileges are not refused", &self.no_new_privileges),
            ("core dumps are not off", &self.no_core_dumps),
        ]
        .into_iter()
        .filter_map(|(what, part)| Some(format!("{what}: {}", part.as_ref().err()?)))
        .collect()
    }
}

impl fmt::Display for Report {
    /// The report on one line, for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Ok(version) = self.landlock {
            parts.push(format!("Landlock {version}"));
        }
        for (part, name) in [
            (&self.system_calls, "seccomp"),
            (&self.no_new_privileges, "no new privileges"),
            (&self.no_core_dumps, "no core dumps"),
        ] {
            parts.extend(part.is_ok().then(|| name.to_owned()));
        }
        parts.push(match &self.memory_locked {
            Ok(()) => "keys locked in memory".to_owned(),
            Err(reason) => format!("keys not locked in memory ({reason})"),
        });
        f.write_str(&parts.join(", "))
    }
}
