//! What the client keeps when its options are read, and giving up the rest: it writes its keys' folder and
//! nothing else, and connects to the ports of its servers.

use std::path::{Path, PathBuf};

use parlour_sandbox::{Access, Confinement, Mode, Signals, SystemCalls};

use super::StartError;
use crate::engine::setup::Setup;
use crate::profile::make_private;

/// What looking up names and local time reads: name services and their libraries, addresses of name servers
/// where others write them, zones. `/etc` as a whole, since its files are replaced while the client runs.
const READ: [&str; 12] = [
    "/etc",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/nix/store",
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/usr/share/zoneinfo",
    "/proc/sys/kernel/ngroups_max",
    "/proc/sys/vm/overcommit_memory",
];

/// The terminal, and what swallows everything.
const DEVICES: [&str; 3] = ["/dev/tty", "/dev/pts", "/dev/null"];

/// Where name services have their sockets.
const NAME_SERVICES: [&str; 3] = ["/run", "/var/run", "/var/lib/sss/pipes"];

/// Name servers are asked by TCP when an answer is long.
const DNS: u16 = 53;

/// Folders that were made so that they could be written.
pub struct Confined {
    made: Vec<PathBuf>,
}

/// Confines this process, which has one thread. Says on standard error what is missing.
pub fn apply(setup: &Setup, mode: Mode) -> Result<Confined, StartError> {
    let folder = setup.profiles.folder();
    let made = if mode == Mode::Off { Vec::new() } else { make(folder) };
    match confinement(setup, &made).apply(mode)? {
        None => eprintln!("warning: the sandbox is off: this process may do whatever you may"),
        Some(report) => {
            for missing in report.missing() {
                eprintln!("warning: {missing}");
            }
        }
    }
    Ok(Confined { made })
}

impl Confined {
    /// Removes the folders that were made and are still empty: of a start that failed nothing is left.
    pub fn undo(self) {
        for folder in self.made {
            // One that is not empty stays, and those above it.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// Makes the folder of keys, for there can be no rule for what is not there; returns what was made, the
/// innermost first.
fn make(folder: &Path) -> Vec<PathBuf> {
    let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let made: Vec<PathBuf> = folder.ancestors().take_while(missing).map(Path::to_owned).collect();
    // Where it cannot be made nothing can be registered, and that is when it is said.
    if make_private(folder).is_ok() { made } else { Vec::new() }
}

fn confinement(setup: &Setup, made: &[PathBuf]) -> Confinement {
    let profiles = &setup.profiles;
    let with = |paths: &[&str], access| paths.iter().map(|path| (path.into(), access)).collect::<Vec<_>>();
    let mut paths = vec![(profiles.folder().to_owned(), Access::Write)];
    // A profile may be a link to elsewhere.
    paths.extend(profiles.names().iter().map(|name| (profiles.of(name), Access::Write)));
    if let Some(above) = made.last().and_then(|outermost| outermost.parent()) {
        paths.push((above.to_owned(), Access::RemoveEmpty));
    }
    paths.extend(with(&READ, Access::Read));
    paths.extend(with(&DEVICES, Access::Device));
    paths.extend(with(&NAME_SERVICES, Access::Connect));
    paths.extend(parlour_sandbox::randomness());

    let mut ports = vec![DNS, setup.guest_server().port];
    if setup.server.is_none() {
        ports.extend(profiles.servers().iter().map(|server| server.port));
    }
    Confinement { paths, ports, signals: Signals::ToOthers, system_calls: SystemCalls::Client }
}
