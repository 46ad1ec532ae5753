//! The client's confinement, once its options are read: it may write in its folder of keys alone, and connect to the
//! ports of its servers alone. It has no terminal but the one that it was started on; Unix sockets and addresses come
//! from its [broker](super::broker).

use parlour_sandbox::{Access, Confinement, Mode, Signals, SystemCalls};

use super::StartError;
use crate::engine::setup::Setup;

/// Files for local time, and for the memory allocator.
const READ: [&str; 5] = [
    "/etc/localtime",
    "/etc/zoneinfo",
    "/usr/share/zoneinfo",
    "/usr/lib/zoneinfo",
    "/proc/sys/vm/overcommit_memory",
];

/// Confines this process, which has one thread. Warns on standard error about parts of the sandbox that are missing.
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
