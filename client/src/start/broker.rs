//! The broker: the process that a person starts. It has neither keys nor a connection to the server; the
//! client is its child.
//!
//! It starts the client, [confines](confinement) itself, and says the word to begin. Then it [answers](serving)
//! the client's requests, passes signals on, and when the client ends gives the [terminal](terminal) back and
//! ends in the same way.

mod confinement;
mod ending;
mod serving;
mod terminal;

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitCode, Stdio};

use nix::sys::stat::{Mode as Permissions, umask};
use parlour_sandbox::{Mode, Probe};

use super::StartError;
use super::config::{self, Brokered};
use crate::broker::{BEGIN, CLIENT, pair, send};
use crate::start::cli::Options;
use confinement::Confined;
use ending::Signals;
use serving::Serving;
use terminal::Terminal;

/// Runs a client with this process's arguments, and gives how it ended.
pub fn run(options: &Options) -> Result<ExitCode, StartError> {
    let Brokered { profiles, sandbox } = config::brokered(options)?;
    let terminal = Terminal::remember();
    let (ours, theirs) = pair().map_err(broken)?;
    let confining = Confined::prepare(&profiles, sandbox);
    let mut client = Client(start(theirs).map_err(broken)?);
    // Not before: it would start with these signals blocked.
    let signals = Signals::take().map_err(broken)?;
    // From now on it makes nothing but sockets, for its user alone.
    umask(Permissions::from_bits_truncate(0o177));
    let confined = confining.apply(sandbox, client.0.id())?;
    let begun = send(&ours, BEGIN, Some(io::stdin().as_fd()));
    // A client that has ended already says how.
    if begun.is_ok() {
        Serving::new(profiles).begin(ours).map_err(broken)?;
    }
    let status = signals.wait(&mut client.0).map_err(broken)?;
    terminal.restore();
    if !status.success() {
        confined.undo();
    }
    Ok(ending::like(status))
}

/// Confines this process as a broker whose client it is itself, and tries something.
pub fn try_out(options: &Options, probe: &Probe) -> Result<io::Result<()>, StartError> {
    let Brokered { profiles, sandbox } = config::brokered(options)?;
    Confined::prepare(&profiles, sandbox).apply(sandbox, std::process::id())?;
    if sandbox == Mode::Off {
        eprintln!("warning: the sandbox is off: this process may do whatever you may");
    }
    Ok(probe.attempt())
}

/// Does not outlive a broker that fails.
struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        // It has ended already when everything went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(socket: OwnedFd) -> io::Result<Child> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    // This very program, also when another has taken the place of its file.
    Command::new("/proc/self/exe").arg0(CLIENT).args(arguments).stdin(Stdio::from(socket)).spawn()
}

#[allow(clippy::needless_pass_by_value)] // for `map_err`
fn broken(error: io::Error) -> StartError {
    StartError::Usage(format!("the client does not start: {error}"))
}
