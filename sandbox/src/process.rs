//! What a process can do for itself without Landlock and seccomp.

use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl::{set_dumpable, set_no_new_privs};
use nix::sys::resource::{Resource, setrlimit};

/// No core dump can hold a key, and no other process of the same user can read this one's memory.
pub(crate) fn forbid_core_dumps() -> Result<(), Errno> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    set_dumpable(false)
}

/// Nothing that this process could start would have more rights than it.
pub(crate) fn forbid_new_privileges() -> Result<(), Errno> {
    set_no_new_privs()
}

/// Keeps what is in memory now, above all the keys that were just read, out of swap. Not what comes later:
/// that could make any later request for memory fail. Only pages that are used count.
pub(crate) fn lock_memory() -> Result<(), String> {
    let locked = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT));
    locked.map_err(|error| match error {
        Errno::ENOMEM | Errno::EPERM => "the limit of locked memory is too low".to_owned(),
        other => other.to_string(),
    })
}
