//! Passes signals on to the client, and ends this process as the client ended.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;

/// Signals that are passed on. Signals that stop a job are not: they stop this process too, so that the shell
/// notices. The one that continues it is, since the client redraws the screen then.
const PASSED_ON: [Signal; 8] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGCONT,
];

/// Signals by which somebody ends the client on purpose; they need no report.
const ON_PURPOSE: [Signal; 5] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGPIPE];

/// Has the system report the end of the client and keep its exit status. A process that is started with `SIGCHLD`
/// ignored, as some supervisors start theirs, is told neither. To be called before the client is started.
pub(super) fn expect_client() -> io::Result<()> {
    // Any handler ends the ignoring; the signal itself is read from `Signals`.
    signal_hook::flag::register(Signal::SIGCHLD as i32, Arc::new(AtomicBool::new(false))).map(drop)
}

/// The signals that this process takes instead of ending by them.
pub(super) struct Signals(SignalFd);

impl Signals {
    /// Takes signals from now on. Processes started after this begin with them blocked.
    pub(super) fn take() -> io::Result<Self> {
        let taken: SigSet = PASSED_ON.into_iter().chain([Signal::SIGCHLD]).collect();
        taken.thread_block()?;
        Ok(Self(SignalFd::new(&taken)?))
    }

    /// Passes signals on until the client ends.
    pub(super) fn wait(&self, client: &mut Child) -> io::Result<ExitStatus> {
        let process = Pid::from_raw(i32::try_from(client.id()).map_err(io::Error::other)?);
        loop {
            // It may have ended before the first wait.
            if let Some(status) = client.try_wait()? {
                return Ok(status);
            }
            let signal = match self.0.read_signal() {
                Ok(Some(signal)) => signal,
                Ok(None) | Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            // The terminal sends a signal to the whole job, including the client.
            let from_terminal = signal.ssi_code == libc::SI_KERNEL;
            let number = i32::try_from(signal.ssi_signo).map_err(io::Error::other)?;
            match Signal::try_from(number) {
                Ok(Signal::SIGCHLD) | Err(_) => {}
                Ok(_) if from_terminal => {}
                // It may just have ended.
                Ok(signal) => drop(kill(process, signal)),
            }
        }
    }
}

/// Ends this process by the signal that ended the client, or returns the client's exit status.
pub(super) fn like(status: ExitStatus) -> ExitCode {
    let Some(number) = status.signal() else {
        return ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2));
    };
    if let Ok(signal) = Signal::try_from(number) {
        if !ON_PURPOSE.contains(&signal) {
            eprintln!("error: the client was ended by a signal ({signal})");
        }
        let mut alone = SigSet::empty();
        alone.add(signal);
        // Does not return, unless this signal is ignored here.
        let _ = alone.thread_unblock().and_then(|()| raise(signal));
    }
    // The status that a shell would report.
    ExitCode::from(u8::try_from(128 + number).unwrap_or(2))
}
