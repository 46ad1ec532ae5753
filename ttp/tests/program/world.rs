//! A folder of keys in a temporary directory, and the program run on it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use parlour_envelope::AwsLc;
use parlour_keylog::RootCertificate;
use parlour_protocol::ttp::{Issued, TtpAnswer, TtpRefusal};
use serde_json::json;

/// The longest time that a test waits for something that must come.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) struct World {
    folder: tempfile::TempDir,
}

/// The result of a run of the program.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    /// A folder without anything in it.
    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A folder with a root.
    pub(crate) fn new() -> Self {
        let world = Self::empty();
        world.succeed(&["init"]);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.path("keys")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("keys/ttp/ttp.sock")
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn mode(&self, name: &str) -> u32 {
        fs::symlink_metadata(self.path(name)).unwrap().permissions().mode() & 0o7777
    }

    pub(crate) fn root(&self) -> RootCertificate {
        RootCertificate::from_pem(&self.text("keys/ttp/ca.crt"), &AwsLc).unwrap()
    }

    /// A command in this world. Its environment has only the path of programs.
    pub(crate) fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parlour-ttp"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&self.command(arguments).output().unwrap())
    }

    pub(crate) fn succeed(&self, arguments: &[&str]) -> Run {
        let run = self.run(arguments);
        assert_eq!(run.status, 0, "{arguments:?}: {run:?}");
        run
    }

    /// Runs what has to fail: with status 2 and one line of error, then at most one hint.
    pub(crate) fn fail(&self, arguments: &[&str]) -> Run {
        let run = self.run(arguments);
        assert_eq!(run.status, 2, "{arguments:?}: {run:?}");
        let said: Vec<&str> = run.err.lines().filter(|line| !line.contains(" WARN ")).collect();
        assert!(said[0].starts_with("error: "), "{run:?}");
        assert!(said[1..].iter().all(|line| line.starts_with("hint: ")) && said.len() <= 2, "{run:?}");
        run
    }

    pub(crate) fn serve(&self) -> Serving<'_> {
        self.serve_with(&[])
    }

    pub(crate) fn serve_with(&self, options: &[&str]) -> Serving<'_> {
        let arguments = [&["serve"], options].concat();
        let mut child =
            self.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        assert_eq!(ready, "serving on keys/ttp/ttp.sock\n");
        Serving { world: self, child }
    }
}

impl Run {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            status: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }
}

/// A process that serves; killed when it is dropped.
pub(crate) struct Serving<'a> {
    world: &'a World,
    child: Child,
}

impl Serving<'_> {
    pub(crate) fn connect(&self) -> UnixStream {
        connect(&self.world.socket()).unwrap()
    }

    /// Sends one line and reads to the end.
    pub(crate) fn ask(&self, line: &str) -> String {
        ask(&self.world.socket(), line).unwrap()
    }

    pub(crate) fn enrol(&self, request: &str) -> Result<Issued, TtpRefusal> {
        read_issued(&self.ask(&enrol_line(request)))
    }

    pub(crate) fn renew(&self, request: &str) -> Result<Issued, TtpRefusal> {
        read_issued(&self.ask(&renew_line(request)))
    }

    /// Ends it without any warning.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal, waits for the end, and returns the exit status.
    pub(crate) fn signal(mut self, signal: nix::sys::signal::Signal) -> Option<i32> {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it did not stop");
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn connect(socket: &Path) -> std::io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    Ok(stream)
}

pub(crate) fn ask(socket: &Path, line: &str) -> std::io::Result<String> {
    let mut stream = connect(socket)?;
    stream.write_all(line.as_bytes())?;
    stream.write_all(b"\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

pub(crate) fn enrol_line(request: &str) -> String {
    json!({"op": "enrol", "request": request}).to_string()
}

pub(crate) fn renew_line(request: &str) -> String {
    json!({"op": "renew", "request": request}).to_string()
}

pub(crate) fn read_issued(line: &str) -> Result<Issued, TtpRefusal> {
    match serde_json::from_str(line) {
        Ok(TtpAnswer::Issued(issued)) => Ok(issued),
        Ok(TtpAnswer::Error(refusal)) => Err(refusal),
        other => panic!("{line}: {other:?}"),
    }
}
