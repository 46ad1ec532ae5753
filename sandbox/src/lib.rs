//! How a program of Parlour gives up the rights that it does not need.
//!
//! A program says what it still needs in a [`Confinement`] and applies it in `main`, before there is a
//! second thread: [`files`] has Landlock refuse every other file and port, [`system_calls`] has seccomp
//! end the process at a system call that it has no use for, [`process`] turns off core dumps and new
//! privileges and keeps the keys out of swap. [`Mode`] says how much of that the operator wants, and the
//! [`Report`] what the kernel gave. [`privileges`] is how a program that was started as root stops being
//! it, and a [`Probe`] tries from inside what must not work.
//!
//! Nothing here knows anything about chat.

mod confinement;
mod files;
mod mode;
mod privileges;
mod probe;
mod process;
mod system_calls;

pub use confinement::{Confinement, Report, SandboxError, available};
pub use files::{Access, Signals, randomness};
pub use mode::{Mode, SandboxArguments};
pub use privileges::{PrivilegeError, is_root, run_as};
pub use probe::{Probe, ProbeArguments};
pub use system_calls::SystemCalls;
