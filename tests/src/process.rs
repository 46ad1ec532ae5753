//! Programs as processes, which end with the test.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::lines::{DEADLINE, Lines};

/// The path of one of our programs: in `PARLOUR_BIN`, or beside this test.
pub fn program(name: &str) -> Result<PathBuf> {
    let folder = if let Some(folder) = std::env::var_os("PARLOUR_BIN") {
        PathBuf::from(folder)
    } else {
        let test = std::env::current_exe().context("this test's own path")?;
        let folder = test.parent().and_then(std::path::Path::parent);
        folder.context("this test is in no build folder")?.to_owned()
    };
    let path = folder.join(name);
    if !path.exists() {
        bail!("{} is not built; run `cargo build --workspace` first, or `make test`", path.display());
    }
    Ok(path)
}

/// A running program. It is killed when this is dropped.
pub struct Process {
    name: String,
    child: Child,
    /// Its standard output.
    pub out: Lines,
    errors: Arc<Mutex<String>>,
    /// The thread that collects its standard error.
    listening: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a program with its output and errors on pipes, and with the given input.
    pub fn start(name: &str, command: &mut Command, input: Stdio) -> Result<Self> {
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let (sender, receiver) = channel();
        let stdout = child.stdout.take().context("standard output")?;
        std::thread::spawn(move || pass_on(stdout, &sender));
        let errors = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().context("standard error")?;
        let kept = Arc::clone(&errors);
        let listening = Some(std::thread::spawn(move || keep(stderr, &kept)));
        Ok(Self { name: name.to_owned(), child, out: Lines::new(name, receiver), errors, listening })
    }

    /// Its standard error so far.
    pub fn errors(&self) -> String {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until this text is on its standard error.
    pub fn wait_for_error(&self, text: &str) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE {
            if self.errors().contains(text) {
                return Ok(());
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        bail!("{}: did not say {text:?} but:\n{}", self.name, self.errors())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to it, and to no other process.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).context("process number")?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("{signal} for {}", self.name))
    }

    /// Returns true if it has ended by itself.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE {
            if let Some(status) = self.child.try_wait()? {
                if let Some(listening) = self.listening.take() {
                    // Its last output may still be in the pipe.
                    let _ = listening.join();
                }
                return Ok(status);
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        bail!("{} does not end; it said:\n{}", self.name, self.errors())
    }

    /// Kills it, as a crash or a power cut would, and waits until it is gone.
    pub fn crash(&mut self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.wait().map(|_| ())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A client ends with its broker, but a moment later, and keeps its profile until then.
        let begun = Instant::now();
        while self.listening.as_ref().is_some_and(|thread| !thread.is_finished())
            && begun.elapsed() < DEADLINE
        {
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
}

/// The client behind the broker that is this process.
pub fn client_of(broker: u32) -> Result<u32> {
    let children = std::fs::read_to_string(format!("/proc/{broker}/task/{broker}/children"))?;
    children.trim().parse().with_context(|| format!("not one child of the broker: {children:?}"))
}

fn pass_on(stream: impl Read, lines: &Sender<String>) {
    for line in BufReader::new(stream).split(b'\n') {
        let Ok(line) = line else { return };
        if lines.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
            return;
        }
    }
}

fn keep(stream: impl Read, kept: &Mutex<String>) {
    for line in BufReader::new(stream).split(b'\n') {
        let Ok(line) = line else { return };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_str(&String::from_utf8_lossy(&line));
        kept.push('\n');
    }
}

/// The result of a program that ran to its end.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status.
    pub code: i32,
    /// The lines of its standard output.
    pub out: Vec<String>,
    /// Its standard error.
    pub errors: String,
}

impl Finished {
    /// The only line that begins with `error:`; fails unless there is exactly one.
    pub fn error(&self) -> Result<&str> {
        let lines: Vec<&str> = self.errors.lines().filter(|line| line.starts_with("error:")).collect();
        match lines.as_slice() {
            [one] => Ok(one),
            _ => bail!("not one line of error: {self:#?}"),
        }
    }

    /// The lines that begin with `hint:`.
    pub fn hint(&self) -> String {
        self.errors.lines().filter(|line| line.starts_with("hint:")).collect()
    }
}

/// Runs one of our programs to its end with this standard input.
pub fn run_to_end(name: &str, command: &mut Command, input: &str) -> Result<Finished> {
    let mut running = Client::start(name, command)?;
    // A program may end before it has read everything.
    let _ = running.type_bytes(input.as_bytes());
    running.close();
    let code = running.process.wait()?.code().context("it was ended by a signal")?;
    let out = running.process.out.rest()?;
    Ok(Finished { code, out, errors: running.process.errors() })
}

/// The `parlour` program on pipes.
pub struct Client {
    /// The process; its output is shown to the user.
    pub process: Process,
    input: Option<ChildStdin>,
}

impl Client {
    /// Starts it.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let mut process = Process::start(name, command, Stdio::piped())?;
        let input = process.child.stdin.take();
        Ok(Self { process, input })
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) -> Result<()> {
        self.type_bytes(format!("{line}\n").as_bytes())
    }

    /// Types bytes unchanged.
    pub fn type_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let input = self.input.as_mut().context("the input was closed")?;
        input.write_all(bytes)?;
        input.flush().context("typing")
    }

    /// The next line of output must be this, in which `{}` stands for anything.
    pub fn expect(&mut self, pattern: &str) -> Result<String> {
        self.process.out.expect(pattern).with_context(|| self.process.errors())
    }

    /// Types a line and expects its answer.
    pub fn ask(&mut self, line: &str, pattern: &str) -> Result<String> {
        self.type_line(line)?;
        self.expect(pattern)
    }

    /// Sends an action, which must have an `id`, to the json face, and returns its answer. Events before the
    /// answer are skipped.
    pub fn call(&mut self, action: &Value) -> Result<Value> {
        self.type_line(&action.to_string())?;
        self.process.out.answer(action.get("id").unwrap_or(&Value::Null))
    }

    /// The process number of the client itself, which is the child of what was started.
    pub fn pid(&self) -> Result<u32> {
        client_of(self.process.pid())
    }

    /// Ends the input; the client finishes what is under way and leaves.
    pub fn close(&mut self) {
        self.input = None;
    }

    /// Ends the input and waits; returns the exit status.
    pub fn leave(&mut self) -> Result<i32> {
        self.close();
        self.process.wait()?.code().context("it was ended by a signal")
    }
}
