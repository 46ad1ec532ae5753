//! Landlock: the files and ports that stay within reach, and whether other processes do.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus, NetPort,
    PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus,
    Scope,
};

/// The newest version of Landlock whose rights are asked for; an older kernel gives those that it has.
const NEWEST: ABI = ABI::V9;

/// What may be done beneath a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read files and list folders.
    Read,
    /// The same, and write, make, rename and remove files, folders and sockets.
    Write,
    /// Read, write and control a device that is there.
    Device,
    /// Connect to a Unix socket. Kernels before Linux 7.1 cannot refuse this anywhere.
    Connect,
    /// Make a Unix socket in a folder, and connect to those that are there.
    Sockets,
    /// Remove a folder that is empty.
    RemoveEmpty,
}

/// Whose signals Landlock lets through. Which signals those are, the system calls say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signals {
    /// To the process itself alone.
    ToItself,
    /// To others of its user too: who stops the whole foreground job needs that.
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

/// The devices from which SQLite and aws-lc take randomness, or learn that a virtual machine was copied.
pub fn randomness() -> Vec<(PathBuf, Access)> {
    ["/dev/urandom", "/dev/sysgenid"].map(|device| (device.into(), Access::Read)).into()
}

/// Leaves this thread, and those that it starts, `paths` and TCP connections to `ports`; nothing is bound to a
/// TCP port any more, and signals go where `signals` says. Gives the version of Landlock that is in force, or
/// why none is.
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
        // The first version refuses every rename between folders, which our programs need.
        .set_compatibility(CompatLevel::SoftRequirement)
        .handle_access(AccessFs::Refer)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(scopes)?
        .create()?;
    for (path, access) in paths {
        // What is not there needs no rule: nothing can be reached under its name later either.
        if let Some(rule) = rule(path, *access) {
            rules = rules.add_rule(rule)?;
        }
    }
    for port in ports {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    rules.restrict_self()
}

/// A rule for what has this path now, with the rights that make sense for it.
fn rule(path: &Path, access: Access) -> Option<PathBeneath<PathFd>> {
    // `Path` alone may be empty, as the folder of a relative name is.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let found = PathFd::new(path).ok()?;
    let rights = access.rights();
    let rights = if path.is_dir() { rights } else { rights & AccessFs::from_file(NEWEST) };
    (!rights.is_empty()).then(|| PathBeneath::new(found, rights))
}
