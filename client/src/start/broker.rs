//! The broker: the process that a person starts. It has neither keys nor a connection to the server; the
//! client is its child.
//!
//! It starts the client, [confines](confinement) itself, and tells the client to begin. Then it [answers](serving)
//! the client's requests and passes signals on. When the client ends, the broker restores the [terminal](terminal)
//! if necessary, and [ends](ending) in the same way.

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

/// Runs a client with this process's arguments, and returns its exit status.
pub fn run(options: &Options) -> Result<ExitCode, StartError> {
    let Brokered { profiles, sandbox } = config::brokered(options)?;
    let terminal = Terminal::remember();
    let (ours, theirs) = pair().map_err(broken)?;
    let confining = Confined::prepare(&profiles, sandbox);
    ending::expect_client().map_err(broken)?;
    let mut client = Client(start(theirs).map_err(broken)?);
    // Not before: it would start with these signals blocked.
    let signals = Signals::take().map_err(broken)?;
    // From now on it makes only sockets, for its user alone.
    umask(Permissions::from_bits_truncate(0o177));
    let confined = confining.apply(sandbox, client.0.id())?;
    let begun = send(&ours, BEGIN, Some(io::stdin().as_fd()));
    // If the client has ended already, its exit status says why.
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

/// Confines this process as a broker that is its own client, and tries a forbidden act.
pub fn try_out(options: &Options, probe: &Probe) -> Result<io::Result<()>, StartError> {
    let Brokered { profiles, sandbox } = config::brokered(options)?;
    Confined::prepare(&profiles, sandbox).apply(sandbox, std::process::id())?;
    if sandbox == Mode::Off {
        eprintln!("warning: the sandbox is off: this process may do whatever you may");
    }
    Ok(probe.attempt())
}

/// The client's process, which does not outlive a broker that fails.
struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        // Normally it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(socket: OwnedFd) -> io::Result<Child> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    // This very program, even if its file was replaced meanwhile.
    Command::new("/proc/self/exe").arg0(CLIENT).args(arguments).stdin(Stdio::from(socket)).spawn()
}

#[allow(clippy::needless_pass_by_value)] // for `map_err`
fn broken(error: io::Error) -> StartError {
    StartError::Usage(format!("the client does not start: {error}"))
}
