//! Landlock: the files and ports that stay within reach, and the processes that can be signalled.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus, NetPort,
    PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus,
    Scope,
};

/// The newest version of Landlock that is requested; an older kernel provides the rights that it knows.
const NEWEST: ABI = ABI::V9;

/// The access allowed beneath a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read files and list folders.
    Read,
    /// The same; also write, create, rename and remove files, folders and sockets.
    Write,
    /// Read, write and control an existing device.
    Device,
    /// Connect to a Unix socket. Kernels before Linux 7.1 cannot refuse this anywhere.
    Connect,
    /// Make a Unix socket in a folder, and connect to those that are there.
    Sockets,
    /// Remove a folder that is empty.
    RemoveEmpty,
}

/// The processes to which Landlock lets signals through. seccomp restricts the signals themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signals {
    /// Only the process itself.
    ToItself,
    /// Other processes of the same user too, which is necessary to stop the whole foreground job.
    ToOthers,
}

impl Access {
    fn rights(self) -> BitFlags<AccessFs> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        match self {
            Self::Read => read,
            Self::Write => {
                read | AccessFs::WriteFile
                    | AccessFs::Truncate
                    | AccessFs::MakeReg
                    | AccessFs::MakeDir
                    | AccessFs::MakeSock
                    | AccessFs::RemoveFile
                    | AccessFs::RemoveDir
                    | AccessFs::Refer
                    | AccessFs::ResolveUnix
            }
            Self::Device => AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev,
            Self::Connect => AccessFs::ResolveUnix.into(),
            Self::Sockets => AccessFs::MakeSock | AccessFs::ResolveUnix,
            Self::RemoveEmpty => AccessFs::RemoveDir.into(),
        }
    }
}

/// The devices that give SQLite and aws-lc randomness, or tell them that a virtual machine was copied.
pub fn randomness() -> Vec<(PathBuf, Access)> {
    ["/dev/urandom", "/dev/sysgenid"].map(|device| (device.into(), Access::Read)).into()
}

/// Restricts this thread, and those that it starts, to `paths` and to TCP connections to `ports`. They cannot
/// listen on TCP, and can signal only the processes that `signals` names. Returns the version of Landlock in
/// force, or why there is none.
pub(crate) fn restrict(paths: &[(PathBuf, Access)], ports: &[u16], signals: Signals) -> Result<i32, String> {
    let status = enforce(paths, ports, signals).map_err(|error| error.to_string())?;
    match (status.ruleset, status.landlock) {
        (
            RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced,
            LandlockStatus::Available { effective_abi, kernel_abi },
        ) => Ok(kernel_abi.unwrap_or(effective_abi as i32)),
        (_, LandlockStatus::Available { .. }) => Err("Landlock is older than Linux 5.19".to_owned()),
        (_, LandlockStatus::NotEnabled) => {
            Err("Landlock is not enabled at boot (lsm=landlock,...)".to_owned())
        }
        (_, LandlockStatus::NotImplemented) => Err("the kernel has no Landlock".to_owned()),
    }
}

fn enforce(
    paths: &[(PathBuf, Access)],
    ports: &[u16],
    signals: Signals,
) -> Result<landlock::RestrictionStatus, RulesetError> {
    let scopes = match signals {
        Signals::ToItself => Scope::AbstractUnixSocket | Scope::Signal,
        Signals::ToOthers => Scope::AbstractUnixSocket.into(),
    };
    let mut rules = Ruleset::default()
        // Landlock's first version refuses every rename between folders, which our programs need.
        .set_compatibility(CompatLevel::SoftRequirement)
        .handle_access(AccessFs::Refer)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(scopes)?
        .create()?;
    for (path, access) in paths {
        // A missing path needs no rule: a file created there later stays out of reach.
        if let Some(rule) = rule(path, *access) {
            rules = rules.add_rule(rule)?;
        }
    }
    for port in ports {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    rules.restrict_self()
}

/// A rule for the file or folder that has this path now, with the rights that apply to it.
fn rule(path: &Path, access: Access) -> Option<PathBeneath<PathFd>> {
    // `Path` alone may be empty: it is the folder of a relative name.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let found = PathFd::new(path).ok()?;
    let rights = access.rights();
    let rights = if path.is_dir() { rights } else { rights & AccessFs::from_file(NEWEST) };
    (!rights.is_empty()).then(|| PathBeneath::new(found, rights))
}
