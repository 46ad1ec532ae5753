//! Confinement: a server that has started gives up all access that it does not need.

use std::path::Path;

use parlour_sandbox::{Access, Confinement, SandboxError, Signals, SystemCalls};
use tracing::{info, warn};

use crate::operations::config::Settings;

/// Confines this process, which must have a single thread and have opened everything that it needs.
pub fn apply(settings: &Settings) -> Result<(), SandboxError> {
    if settings.run_as.is_none() && parlour_sandbox::is_root() {
        warn!("running as root; name a user to run as with --run-as");
    }
    match confinement(settings).apply(settings.sandbox)? {
        None => warn!("the sandbox is off: this process may do whatever its user may"),
        Some(report) => {
            info!(sandbox = %report, "confined");
            for missing in report.missing() {
                warn!("{missing}");
            }
        }
    }
    Ok(())
}

fn confinement(settings: &Settings) -> Confinement {
    // The TTP makes its socket anew whenever it starts.
    let beside_the_socket = settings.ttp.parent().unwrap_or_else(|| Path::new("."));
    let mut paths = vec![
        // Read again at SIGHUP.
        (settings.keys.clone(), Access::Read),
        (settings.data.clone(), Access::Write),
        (beside_the_socket.to_owned(), Access::Connect),
    ];
    paths.extend(settings.log_target.folder().map(|folder| (folder.to_owned(), Access::Write)));
    paths.extend(parlour_sandbox::randomness());
    Confinement { paths, ports: Vec::new(), signals: Signals::ToItself, system_calls: SystemCalls::Server }
}
