//! Becoming an ordinary user for good, for a program that was started as root.

use std::ffi::CString;

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, User, geteuid, getgroups, initgroups, setgroups, setresgid, setresuid};
use thiserror::Error;

/// The reasons why the program cannot run as the named user.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum PrivilegeError {
    /// No user has this name.
    #[error("there is no user '{0}'")]
    Unknown(String),
    /// The user is root.
    #[error("'{0}' is root, or in root's group")]
    Root(String),
    /// Only root can become another user.
    #[error("only root can run as '{0}'")]
    NotRoot(String),
    /// The system refused.
    #[error("cannot run as '{name}': {reason}")]
    System { name: String, reason: Errno },
    /// Root's rights could be regained.
    #[error("root's rights could not be given up for good")]
    Reversible,
}

impl PrivilegeError {
    /// Advice for the operator.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown(name) => {
                format!("make it (useradd --system {name}), or name another with --run-as")
            }
            Self::Root(_) => "name an ordinary user with --run-as".to_owned(),
            Self::NotRoot(_) => "start it as root, or as that user without --run-as".to_owned(),
            Self::System { .. } | Self::Reversible => return None,
        })
    }
}

/// Returns true if this process has root's rights.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Makes this process run as the user `name`, with that user's groups, for good. Does nothing if it already does.
/// Call it while the process has a single thread. It does not change the owner of any file.
pub fn run_as(name: &str) -> Result<(), PrivilegeError> {
    let user = find(name)?;
    if user.uid.is_root() || user.gid.as_raw() == 0 {
        return Err(PrivilegeError::Root(name.to_owned()));
    }
    if geteuid() == user.uid {
        return Ok(());
    }
    if !is_root() {
        return Err(PrivilegeError::NotRoot(name.to_owned()));
    }
    become_user(&user).map_err(|reason| PrivilegeError::System { name: name.to_owned(), reason })?;
    is_for_good(&user).then_some(()).ok_or(PrivilegeError::Reversible)
}

fn find(name: &str) -> Result<User, PrivilegeError> {
    User::from_name(name).ok().flatten().ok_or_else(|| PrivilegeError::Unknown(name.to_owned()))
}

/// Groups come first, because only root may change them.
fn become_user(user: &User) -> Result<(), Errno> {
    let name = CString::new(user.name.as_bytes()).map_err(|_| Errno::EINVAL)?;
    initgroups(&name, user.gid)?;
    setresgid(user.gid, user.gid, user.gid)?;
    setresuid(user.uid, user.uid, user.uid)
}

/// Returns true if every way back to root is refused.
fn is_for_good(user: &User) -> bool {
    let root = (Uid::from_raw(0), Gid::from_raw(0));
    geteuid() == user.uid
        && setresuid(root.0, root.0, root.0).is_err()
        && setresgid(root.1, root.1, root.1).is_err()
        && setgroups(&[root.1]).is_err()
        && getgroups().is_ok_and(|groups| !groups.contains(&root.1))
}
