//! Protections that a process has without Landlock and seccomp.

use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl::{set_dumpable, set_no_new_privs};
use nix::sys::resource::{Resource, setrlimit};

/// Turns off core dumps, which could contain keys, and keeps other processes of the same user from reading this
/// one's memory.
pub(crate) fn forbid_core_dumps() -> Result<(), Errno> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    set_dumpable(false)
}

/// Makes sure that no program started by this process gets more rights than it.
pub(crate) fn forbid_new_privileges() -> Result<(), Errno> {
    set_no_new_privs()
}

/// Keeps the memory in use now, above all the keys that were just read, out of swap. Memory allocated later is not
/// locked, because a limit on locked memory could then make any allocation fail. Only pages in use count.
pub(crate) fn lock_memory() -> Result<(), String> {
    let locked = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT));
    locked.map_err(|error| match error {
        Errno::ENOMEM | Errno::EPERM => "the limit of locked memory is too low".to_owned(),
        other => other.to_string(),
    })
}
