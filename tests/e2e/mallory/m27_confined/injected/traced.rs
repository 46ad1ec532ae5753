//! A program that a test traces up to its last system call, and makes others in the place of that one. The
//! registers are x86-64's.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::libc::{self, user_regs_struct};
use nix::pty::openpty;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::super::Fate::{self, Done, Killed, Refused};
use super::super::socket;

/// A TCP socket that is not connected, open in a traced program.
pub(super) const SOCKET: u64 = 3;

/// Its standard output, a terminal.
pub(super) const TERMINAL: u64 = 1;

/// In the arguments of a call: the address of eight bytes of zero, of a four-byte one, and of room for eight.
pub(super) const ZEROS: u64 = u64::MAX;
pub(super) const ONE: u64 = u64::MAX - 1;
pub(super) const ROOM: u64 = u64::MAX - 2;

/// A system call: its number and its arguments.
pub(super) struct Call(pub(super) i64, pub(super) [u64; 5]);

/// The input of a traced program.
#[derive(Clone, Copy)]
pub(super) enum Input {
    /// Nothing until the test writes to it.
    Pipe,
    /// Nothing: it ends at once.
    Ended,
    /// These keys, again and again, from the terminal.
    Keys(&'static [u8]),
}

/// A program that is about to end.
pub(super) struct Traced {
    /// The process that was started: a broker, if the program is a client.
    child: Child,
    pid: Pid,
    /// True when this has been dropped, and nobody presses keys any more.
    over: Arc<AtomicBool>,
    pub(super) input: Option<ChildStdin>,
    /// The beginning of its file in its memory. The calls' arguments point into it: a confined program lets nobody
    /// write into its memory.
    header: u64,
    /// The registers before its last system call.
    last: user_regs_struct,
}

impl Traced {
    /// Starts a program and lets it run until it would end.
    pub(super) fn start(program: &Command, reading: Input) -> Result<Self> {
        // A program that is traced from before it confines itself stays so.
        let mut command = Command::new("sh");
        command.args(["-c", "read go && exec 3>&2 2>&1 && exec \"$@\"", "sh"]);
        command.arg(program.get_program()).args(program.get_args());
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = program.get_current_dir() {
            command.current_dir(folder);
        }
        let terminal = openpty(None, None)?;
        let end = || terminal.slave.try_clone().map(Stdio::from);
        let stdin = if matches!(reading, Input::Keys(_)) { end()? } else { Stdio::piped() };
        let mut child = command.stdin(stdin).stdout(end()?).stderr(socket()?).spawn()?;
        let over = Arc::new(AtomicBool::new(false));
        let mut screen = File::from(terminal.master);
        let mut keyboard = screen.try_clone()?;
        std::thread::spawn(move || while let Ok(1..) = screen.read(&mut [0; 4_096]) {});
        let mut pid = Pid::from_raw(i32::try_from(child.id())?);
        let mut input = child.stdin.take();
        let traces = Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(pid, traces)?;
        if let Input::Keys(keys) = reading {
            keyboard.write_all(b"\n")?;
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) && keyboard.write_all(keys).is_ok() {
                    std::thread::park_timeout(Duration::from_millis(50));
                }
            });
        } else {
            input.as_mut().context("an input")?.write_all(b"\n")?;
        }
        if matches!(reading, Input::Ended) {
            input = None;
        }
        let (header, last) = run(&mut pid)?;
        Ok(Self { child, pid, over, input, header, last })
    }

    /// Has it make a system call.
    pub(super) fn make(&mut self, Call(number, arguments): &Call) -> Result<Fate> {
        let pid = self.pid;
        let [rdi, rsi, rdx, r10, r8] = arguments.map(|argument| match argument {
            // In an ELF header: its padding, and its version.
            ZEROS => self.header + 8,
            ONE => self.header + 20,
            // Nothing returns to what is on its stack.
            ROOM => self.last.rsp,
            other => other,
        });
        let orig_rax = number.cast_unsigned();
        ptrace::setregs(pid, user_regs_struct { orig_rax, rdi, rsi, rdx, r10, r8, r9: 0, ..self.last })?;
        ptrace::syscall(pid, None)?;
        if !is_stopped_by_a_call(pid)? {
            return Ok(Killed);
        }
        let result = ptrace::getregs(pid)?.rax.cast_signed();
        // Back before the instruction, so that it comes to its last system call again.
        let (rip, rax) = (self.last.rip - 2, self.last.orig_rax);
        ptrace::setregs(pid, user_regs_struct { rip, rax, ..self.last })?;
        ptrace::syscall(pid, None)?;
        // A kernel may let the refused call return before it ends the process.
        if !is_stopped_by_a_call(pid)? {
            return Ok(Killed);
        }
        match result {
            0.. => Ok(Done),
            refused if refused == -i64::from(libc::EPERM) => Ok(Refused),
            other => bail!("the call failed: {}", std::io::Error::from_raw_os_error(i32::try_from(-other)?)),
        }
    }
}

/// Runs a program up to its last system call. Returns where it begins in its memory, and its registers then. If it
/// starts a child, that takes its place.
fn run(pid: &mut Pid) -> Result<(u64, user_regs_struct)> {
    let mut header = None;
    loop {
        match waitpid(*pid, None)? {
            WaitStatus::PtraceSyscall(_) => {
                let last = ptrace::getregs(*pid)?;
                if last.orig_rax == libc::SYS_exit_group.cast_unsigned() {
                    ensure!(last.rdi == 0, "it failed");
                    return Ok((header.context("no header")?, last));
                }
                ptrace::syscall(*pid, None)?;
            }
            // A broker starts its client, which is the program to be traced.
            WaitStatus::PtraceEvent(broker, _, libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK) => {
                *pid = Pid::from_raw(i32::try_from(ptrace::getevent(broker)?)?);
                ptrace::detach(broker, None)?;
            }
            WaitStatus::PtraceEvent(..) => {
                header = Some(start_of_program(*pid)?);
                ptrace::syscall(*pid, None)?;
            }
            WaitStatus::Stopped(_, signal) => ptrace::syscall(*pid, signal)?,
            other => bail!("it ended: {other:?}"),
        }
    }
}

/// The address at which a program that is about to begin was loaded.
fn start_of_program(pid: Pid) -> Result<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let start = maps.split('-').next().context("no maps")?;
    Ok(u64::from_str_radix(start, 16)?)
}

/// Waits for a program to go on; returns false if seccomp has ended it.
fn is_stopped_by_a_call(pid: Pid) -> Result<bool> {
    match waitpid(pid, None)? {
        WaitStatus::PtraceSyscall(_) => Ok(true),
        WaitStatus::Signaled(_, Signal::SIGSYS, _) => Ok(false),
        other => bail!("{other:?}"),
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // A client that is stopped here would not hear that its broker has ended.
        let _ = kill(self.pid, Signal::SIGKILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
