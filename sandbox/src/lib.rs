//! Gives up the rights that a program of Parlour does not need.
//!
//! A program lists its needs in a [`Confinement`] and applies it in `main`, before it starts a second thread.
//! [`files`] has Landlock refuse every other file and port. [`system_calls`] has seccomp end the process at a
//! system call that is not on its list. [`process`] turns off core dumps and new privileges and keeps the keys out
//! of swap. [`Mode`] is the operator's choice, and the [`Report`] says what the kernel provided. With
//! [`privileges`], a program that was started as root becomes an ordinary user. A [`Probe`] tries forbidden acts
//! from inside.
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
