//! A disk that fails when a test says so, under a program that is not aware of it.
//!
//! `tests/disk/faulty.c` stands between the program and the system. It needs no special rights, and only the C
//! compiler that every build needs. So no test that uses it is ever skipped, and the program runs as usual, even
//! in its sandbox.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::errno::Errno;

/// A system call that writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Writing to a database's file.
    Write,
    /// Syncing written data to the disk.
    Sync,
    /// Cutting a file off, or making it longer.
    Resize,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Write, Self::Sync, Self::Resize];

    const fn name(self) -> &'static str {
        match self {
            Self::Write => "pwrite64",
            Self::Sync => "fdatasync",
            Self::Resize => "ftruncate",
        }
    }
}

/// The outcomes of a call in a plan that are no error numbers.
const PASSED: i32 = 0;
const KILLED: i32 = -1;

/// A way in which calls fail.
#[derive(Debug, Clone)]
pub struct Failing {
    call: Call,
    /// An error number, or [`PASSED`], or [`KILLED`].
    outcome: i32,
    which: RangeInclusive<u64>,
    file: Option<i32>,
}

impl Failing {
    /// All such calls from now on.
    pub const fn always(call: Call, error: Errno) -> Self {
        Self { call, outcome: error as i32, which: 1..=u64::MAX, file: None }
    }

    /// None: all such calls are let through and counted. See [`Disk::passed`].
    pub const fn never(call: Call) -> Self {
        Self { call, outcome: PASSED, which: 1..=u64::MAX, file: None }
    }

    /// The program is killed before its call with this number is made.
    pub const fn killed_at(call: Call, number: u64) -> Self {
        Self { call, outcome: KILLED, which: number..=number, file: None }
    }

    /// Only those with these numbers; the next one has number 1.
    #[must_use]
    pub fn only(mut self, which: RangeInclusive<u64>) -> Self {
        self.which = which;
        self
    }

    /// Only on the file that the program has open under this number.
    #[must_use]
    pub const fn on(mut self, file: i32) -> Self {
        self.file = Some(file);
        self
    }
}

/// No space is left: nothing can be written. (A file can still be extended without data, as on most real disks.)
pub fn full() -> [Failing; 1] {
    [Failing::always(Call::Write, Errno::ENOSPC)]
}

/// Written data does not reach the disk.
pub fn unsynced() -> [Failing; 1] {
    [Failing::always(Call::Sync, Errno::EIO)]
}

/// The disk of all programs that were started [`under`](Self::under) it.
#[derive(Debug, Clone)]
pub struct Disk {
    plan: PathBuf,
}

impl Disk {
    /// A disk without faults, whose plan is kept in this folder.
    pub fn new(folder: &Path, name: &str) -> Result<Self> {
        let disk = Self { plan: folder.join(format!("{name}.plan")) };
        disk.heals()?;
        Ok(disk)
    }

    /// The same command, on this disk.
    pub fn under(&self, command: &Command) -> Result<Command> {
        let mut under = Command::new(faulty()?);
        under.arg(&self.plan).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => under.env(name, value),
                None => under.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            under.current_dir(folder);
        }
        Ok(under)
    }

    /// Makes calls fail in exactly these ways from now on.
    pub fn fails(&self, ways: &[Failing]) -> Result<()> {
        let mut plan = String::new();
        for Failing { call, outcome, which, file } in ways {
            let (first, last) = which.clone().into_inner();
            let file = file.unwrap_or(-1);
            writeln!(plan, "{} {outcome} {first} {last} {file}", call.name())?;
        }
        let new = self.plan.with_extension("new");
        std::fs::write(&new, plan)?;
        // Renamed into place, because it may be read at any time.
        Ok(std::fs::rename(&new, &self.plan)?)
    }

    /// Makes everything work from now on.
    pub fn heals(&self) -> Result<()> {
        self.fails(&[])
    }

    /// The number of calls that have failed so far, or at which the program was killed.
    pub fn failures(&self) -> Result<usize> {
        let log = self.log()?;
        let passed = format!(" {PASSED}");
        Ok(log.lines().filter(|line| !line.ends_with(&passed)).count())
    }

    /// The number of calls that were counted so far; see [`Failing::never`].
    pub fn passed(&self, call: Call) -> Result<usize> {
        let passed = format!("{} {PASSED}", call.name());
        Ok(self.log()?.lines().filter(|line| *line == passed).count())
    }

    fn log(&self) -> Result<String> {
        match std::fs::read_to_string(self.plan.with_extension("plan.log")) {
            Ok(log) => Ok(log),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The library that intercepts the calls, compiled once.
fn faulty() -> Result<&'static Path> {
    static FAULTY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let compiled = FAULTY.get_or_init(|| compile().map_err(|error| format!("{error:?}")));
    compiled.as_deref().map_err(|error| anyhow!("{error}"))
}

fn compile() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("disk/faulty.c");
    let test = std::env::current_exe()?;
    let folder = test.parent().context("this test's folder")?;
    let (program, new) = (folder.join("faulty"), folder.join(format!("faulty.{}", std::process::id())));
    let compiler = std::env::var_os("CC").unwrap_or_else(|| OsStr::new("cc").to_owned());
    let mut compiling = Command::new(&compiler);
    compiling.args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&new).arg(source);
    let compiled = compiling.output().with_context(|| format!("the C compiler {}", compiler.display()))?;
    ensure!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    // Another test run may be using the existing file.
    std::fs::rename(&new, &program)?;
    Ok(program)
}
