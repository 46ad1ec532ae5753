//! Signals on their way to the client, and ending as it ended.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitCode, ExitStatus};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;

/// Those that are for the client. What stops a job stops this process too, so that the shell sees it.
const PASSED_ON: [Signal; 7] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
];

/// Ends at these are somebody's wish, and need no word.
const WISHED: [Signal; 5] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGPIPE];

/// The signals that this process takes instead of ending at them.
pub(super) struct Signals(SignalFd);

impl Signals {
    /// From now on. What is started after this has them blocked.
    pub(super) fn take() -> io::Result<Self> {
        let taken: SigSet = PASSED_ON.into_iter().chain([Signal::SIGCHLD]).collect();
        taken.thread_block()?;
        Ok(Self(SignalFd::new(&taken)?))
    }

    /// Passes signals on until the client ends.
    pub(super) fn wait(&self, client: &mut Child) -> io::Result<ExitStatus> {
        let process = Pid::from_raw(i32::try_from(client.id()).map_err(io::Error::other)?);
        loop {
            // Also one that ended before anybody waited.
            if let Some(status) = client.try_wait()? {
                return Ok(status);
            }
            let signal = match self.0.read_signal() {
                Ok(Some(signal)) => signal,
                Ok(None) | Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            // What the terminal sends goes to the whole job, and so to the client.
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

/// Ends this process by the signal that ended the client, or gives its exit status.
pub(super) fn like(status: ExitStatus) -> ExitCode {
    let Some(number) = status.signal() else {
        return ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2));
    };
    if let Ok(signal) = Signal::try_from(number) {
        if !WISHED.contains(&signal) {
            eprintln!("error: the client was ended by a signal ({signal})");
        }
        let mut alone = SigSet::empty();
        alone.add(signal);
        // Does not return, unless this signal is ignored here.
        let _ = alone.thread_unblock().and_then(|()| raise(signal));
    }
    // As a shell tells it.
    ExitCode::from(u8::try_from(128 + number).unwrap_or(2))
}
