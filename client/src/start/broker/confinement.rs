//! The broker's confinement: it may read the files of name services, ask name servers, and make sockets in the
//! folders of profiles. It may not write a file or read a key.

use std::path::{Path, PathBuf};

use parlour_sandbox::{Access, Confinement, Mode, Signals, SystemCalls};

use crate::profile::{Profiles, make_private};
use crate::start::StartError;

/// Name services with their libraries, and the places where other programs write the addresses of name servers.
/// `/etc` as a whole, because its files are replaced while the client runs.
const READ: [&str; 11] = [
    "/etc",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/nix/store",
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/proc/sys/kernel/ngroups_max",
    "/proc/sys/vm/overcommit_memory",
];

/// The folders of name services' sockets.
const NAME_SERVICES: [&str; 3] = ["/run", "/var/run", "/var/lib/sss/pipes"];

/// The port of name servers, which send long answers by TCP.
const DNS: u16 = 53;

/// The broker's rules, and the folders that were made so that the client can write in them.
pub(super) struct Confined {
    made: Vec<PathBuf>,
    paths: Vec<(PathBuf, Access)>,
}

impl Confined {
    /// Makes the folder of keys if it is missing, because a rule needs an existing folder.
    pub(super) fn prepare(profiles: &Profiles, mode: Mode) -> Self {
        let made = if mode == Mode::Off { Vec::new() } else { make(profiles.folder()) };
        let with =
            |paths: &[&str], access| paths.iter().map(|path| (path.into(), access)).collect::<Vec<_>>();
        let mut paths = vec![(profiles.folder().to_owned(), Access::Sockets)];
        // A profile may be a link to elsewhere.
        paths.extend(profiles.names().iter().map(|name| (profiles.of(name), Access::Sockets)));
        if let Some(above) = made.last().and_then(|outermost| outermost.parent()) {
            paths.push((above.to_owned(), Access::RemoveEmpty));
        }
        paths.extend(with(&READ, Access::Read));
        paths.extend(with(&NAME_SERVICES, Access::Connect));
        Self { made, paths }
    }

    /// Confines this process, which has one thread; it may signal only `client`. The client warns about parts of the
    /// sandbox that are missing.
    pub(super) fn apply(self, mode: Mode, client: u32) -> Result<Self, StartError> {
        let confinement = Confinement {
            paths: self.paths.clone(),
            ports: vec![DNS],
            signals: Signals::ToOthers,
            system_calls: SystemCalls::Broker { client },
        };
        match confinement.apply(mode) {
            Ok(_) => Ok(self),
            Err(error) => {
                self.undo();
                Err(error.into())
            }
        }
    }

    /// Removes the folders that were made and are still empty, so that a failed start leaves nothing.
    pub(super) fn undo(self) {
        for folder in self.made {
            // A folder that is not empty stays, and so do those above it.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// Returns the folders that were made, the innermost first.
fn make(folder: &Path) -> Vec<PathBuf> {
    let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let made: Vec<PathBuf> = folder.ancestors().take_while(missing).map(Path::to_owned).collect();
    // If this fails, registering will fail too, and that reports the reason.
    if make_private(folder).is_ok() { made } else { Vec::new() }
}
