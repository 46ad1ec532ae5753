//! What the client keeps when its options are read, and giving up the rest: it writes its keys' folder and
//! nothing else, and connects to the ports of its servers. Of terminals it has those that it was started with;
//! sockets and addresses come from its [broker](super::broker).

use parlour_sandbox::{Access, Confinement, Mode, Signals, SystemCalls};

use super::StartError;
use crate::engine::setup::Setup;

/// What local time reads, and the allocator.
const READ: [&str; 5] = [
    "/etc/localtime",
    "/etc/zoneinfo",
    "/usr/share/zoneinfo",
    "/usr/lib/zoneinfo",
    "/proc/sys/vm/overcommit_memory",
];

/// Confines this process, which has one thread. Says on standard error what is missing.
pub fn apply(setup: &Setup, mode: Mode) -> Result<(), StartError> {
    match confinement(setup).apply(mode)? {
        None => eprintln!("warning: the sandbox is off: this process may do whatever you may"),
        Some(report) => {
            for missing in report.missing() {
                eprintln!("warning: {missing}");
            }
        }
    }
    Ok(())
}

fn confinement(setup: &Setup) -> Confinement {
    let profiles = &setup.profiles;
    let mut paths = vec![(profiles.folder().to_owned(), Access::Write)];
    // A profile may be a link to elsewhere.
    paths.extend(profiles.names().iter().map(|name| (profiles.of(name), Access::Write)));
    paths.extend(READ.map(|path| (path.into(), Access::Read)));
    paths.extend(parlour_sandbox::randomness());

    let mut ports = vec![setup.guest_server().port];
    if setup.server.is_none() {
        ports.extend(profiles.servers().iter().map(|server| server.port));
    }
    Confinement { paths, ports, signals: Signals::ToOthers, system_calls: SystemCalls::Client }
}
