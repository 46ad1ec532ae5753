//! System calls that no safe Rust makes, put into a program from outside when it has confined itself: this
//! test traces it, and has it make them in the place of its last one. The registers are x86-64's.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use nix::libc::{self, user_regs_struct};
use nix::pty::openpty;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, geteuid};
use parlour_tests::wait_until;

use super::Fate::{self, Done, Killed, Refused};
use super::{authority, client, server, socket, world};

/// Standard output of a traced program: a TCP socket that is not connected.
const SOCKET: u64 = 1;

/// Standard error of a traced program: a terminal.
const TERMINAL: u64 = 2;

/// In the arguments of a call: the address of eight bytes of zero, of a four-byte one, and of room for eight.
const ZEROS: u64 = u64::MAX;
const ONE: u64 = u64::MAX - 1;
const ROOM: u64 = u64::MAX - 2;

// What `libc` does not name.
const F_SETSIG: i32 = 10;
const F_SETOWN_EX: i32 = 15;
const FIOSETOWN: u64 = 0x8901;
const SIOCSPGRP: u64 = 0x8902;
const TIOCSTI: u64 = 0x5412;

/// A system call: its number and its arguments.
struct Call(i64, [u64; 5]);

/// A program that is about to end.
struct Traced {
    /// What was started: a broker, if the program is a client.
    child: Child,
    pid: Pid,
    /// The other end of its terminal.
    _terminal: OwnedFd,
    input: Option<ChildStdin>,
    /// Where its file begins in its memory. What calls point to is in there: a confined program lets nobody
    /// write into its memory.
    header: u64,
    /// The registers before its last system call.
    last: user_regs_struct,
}

impl Traced {
    /// Starts a probe that does nothing but confine itself.
    fn start(probe: &Command) -> Result<Self> {
        // What is traced from before it confines itself stays so.
        let mut command = Command::new("sh");
        command.args(["-c", "read go && exec \"$@\"", "sh"]);
        command.arg(probe.get_program()).args(probe.get_args()).arg("nothing");
        command.envs(probe.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = probe.get_current_dir() {
            command.current_dir(folder);
        }
        let terminal = openpty(None, None)?;
        command.stdin(Stdio::piped()).stdout(socket()?).stderr(terminal.slave);
        let mut child = command.spawn()?;
        let mut pid = Pid::from_raw(i32::try_from(child.id())?);
        let traces = Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(pid, traces)?;
        let mut input = child.stdin.take();
        input.as_mut().context("an input")?.write_all(b"\n")?;
        let mut header = None;
        loop {
            match waitpid(pid, None)? {
                WaitStatus::PtraceSyscall(_) => {
                    let last = ptrace::getregs(pid)?;
                    if last.orig_rax == libc::SYS_exit_group.cast_unsigned() {
                        ensure!(last.rdi == 0, "it failed");
                        let header = header.context("no header")?;
                        return Ok(Self { child, pid, _terminal: terminal.master, input, header, last });
                    }
                    ptrace::syscall(pid, None)?;
                }
                // A broker starts its client, and it is that that counts.
                WaitStatus::PtraceEvent(broker, _, libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK) => {
                    pid = Pid::from_raw(i32::try_from(ptrace::getevent(broker)?)?);
                    ptrace::detach(broker, None)?;
                }
                WaitStatus::PtraceEvent(..) => {
                    header = Some(start_of_program(pid)?);
                    ptrace::syscall(pid, None)?;
                }
                WaitStatus::Stopped(_, signal) => ptrace::syscall(pid, signal)?,
                other => bail!("it ended: {other:?}"),
            }
        }
    }

    /// Has it make a system call.
    fn make(&mut self, Call(number, arguments): &Call) -> Result<Fate> {
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

/// Where a program that is about to begin stands in its memory.
fn start_of_program(pid: Pid) -> Result<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let start = maps.split('-').next().context("no maps")?;
    Ok(u64::from_str_radix(start, 16)?)
}

/// Waits for a program that goes on: not when seccomp ended it.
fn is_stopped_by_a_call(pid: Pid) -> Result<bool> {
    match waitpid(pid, None)? {
        WaitStatus::PtraceSyscall(_) => Ok(true),
        WaitStatus::Signaled(_, Signal::SIGSYS, _) => Ok(false),
        other => bail!("{other:?}"),
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        // A client that is stopped here would not hear that its broker has ended.
        let _ = kill(self.pid, Signal::SIGKILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process of the same user that is nobody's business.
struct Victim(Child);

impl Victim {
    fn start() -> Result<Self> {
        Ok(Self(Command::new("sleep").arg("600").spawn()?))
    }

    fn number(&self) -> u64 {
        u64::from(self.0.id())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn number(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}

fn control(descriptor: u64, command: i32, argument: u64) -> Call {
    Call(libc::SYS_fcntl, [descriptor, number(command), argument, 0, 0])
}

fn tcp_option(option: i32) -> Call {
    Call(libc::SYS_setsockopt, [SOCKET, number(libc::IPPROTO_TCP), number(option), ONE, 4])
}

/// Tries each call in a program as it is, which must refuse it in its way, and without the sandbox, where it
/// must be done.
fn refuses(probe: impl Fn() -> Result<Command>, way: Fate, calls: &[Call]) -> Result<()> {
    for call in calls {
        let Call(number, arguments) = call;
        let what = || format!("{number} {arguments:x?}");
        let found = Traced::start(&probe()?)?.make(call).with_context(what)?;
        ensure!(found == way, "{}: {found:?} instead of {way:?}", what());
        let free = Traced::start(probe()?.arg("--no-sandbox"))?.make(call).with_context(what)?;
        ensure!(free == Done, "{} without the sandbox: {free:?}", what());
    }
    Ok(())
}

#[test]
fn who_was_taken_over_signals_no_other_process() -> Result<()> {
    let (world, _listening) = world()?;
    let victim = Victim::start()?;
    let calls = [
        control(SOCKET, libc::F_SETOWN, victim.number()),
        control(SOCKET, F_SETOWN_EX, ZEROS),
        control(SOCKET, F_SETSIG, number(libc::SIGKILL)),
        control(SOCKET, libc::F_SETFL, number(libc::O_ASYNC)),
        Call(libc::SYS_ioctl, [SOCKET, FIOSETOWN, ZEROS, 0, 0]),
        Call(libc::SYS_ioctl, [SOCKET, SIOCSPGRP, ZEROS, 0, 0]),
    ];
    refuses(|| server(&world), Killed, &calls)?;
    refuses(|| authority(&world), Killed, &calls)?;
    refuses(|| client(&world, "localhost:1"), Refused, &calls)
}

/// Why the calls above matter.
#[test]
fn without_the_sandbox_what_comes_in_can_kill_another_process() -> Result<()> {
    let (world, _listening) = world()?;
    let mut victim = Victim::start()?;
    let mut free = Traced::start(server(&world)?.arg("--no-sandbox"))?;
    for call in [
        control(0, libc::F_SETOWN, victim.number()),
        control(0, F_SETSIG, number(libc::SIGKILL)),
        control(0, libc::F_SETFL, number(libc::O_ASYNC)),
    ] {
        ensure!(free.make(&call)? == Done);
    }
    free.input.as_mut().context("an input")?.write_all(b"x")?;
    let mut ended = None;
    wait_until("the other process to end", || {
        ended = victim.0.try_wait()?;
        Ok(ended.is_some())
    })?;
    ensure!(ended.and_then(|status| status.signal()) == Some(libc::SIGKILL), "{ended:?}");
    Ok(())
}

#[test]
fn who_was_taken_over_connects_by_no_option_of_a_socket() -> Result<()> {
    let (world, _listening) = world()?;
    let options = [tcp_option(libc::TCP_FASTOPEN_CONNECT), tcp_option(libc::TCP_FASTOPEN)];
    refuses(|| server(&world), Killed, &options)?;
    refuses(|| authority(&world), Killed, &options)?;
    let client = || client(&world, "localhost:1");
    refuses(client, Refused, &options)?;
    // No messages: what counts are the flags.
    let flags = number(libc::MSG_FASTOPEN);
    let several = [Call(libc::SYS_sendmmsg, [SOCKET, ZEROS, 0, flags, 0])];
    refuses(client, Refused, &several)
}

#[test]
fn a_client_that_was_taken_over_makes_no_socket_but_for_its_server() -> Result<()> {
    let (world, _listening) = world()?;
    let socket = |family, kind, protocol| {
        Call(libc::SYS_socket, [number(family), number(kind), number(protocol), 0, 0])
    };
    // One of a pair of datagrams can be connected to any other socket.
    let pair = [number(libc::AF_UNIX), number(libc::SOCK_DGRAM), 0, ROOM, 0];
    let calls = [
        socket(libc::AF_UNIX, libc::SOCK_STREAM, 0),
        socket(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0),
        socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0),
        socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE),
        socket(libc::AF_INET, libc::SOCK_DGRAM, 0),
        socket(libc::AF_INET6, libc::SOCK_DGRAM, 0),
        Call(libc::SYS_socketpair, pair),
        Call(libc::SYS_listen, [SOCKET, 1, 0, 0, 0]),
    ];
    refuses(|| client(&world, "localhost:1"), Refused, &calls)
}

#[test]
fn a_client_that_was_taken_over_types_nothing_into_its_terminal() -> Result<()> {
    let (world, _listening) = world()?;
    let call = Call(libc::SYS_ioctl, [TERMINAL, TIOCSTI, ZEROS, 0, 0]);
    if geteuid().is_root() {
        return refuses(|| client(&world, "localhost:1"), Refused, &[call]);
    }
    println!("half skipped: newer kernels let only root do this without the sandbox");
    ensure!(Traced::start(&client(&world, "localhost:1")?)?.make(&call)? == Refused);
    Ok(())
}
