//! The trusted third party: mints certificates, and never gives a name to a second account.
//!
//! [`Authority`] makes all decisions: it checks a request, chooses every field of a certificate from a fixed
//! [`profile`], and records the act in its [`ledger`] before it answers. [`listener`] serves it to the server over a
//! Unix socket.
//!
//! The operator's [`commands`] are defined in [`cli`] and completed from a file by [`config`]; [`danger`] lists the
//! unsafe conditions that have to be allowed by name. [`folder`] has the paths of all keys, and [`keyfiles`] writes
//! them so that nobody ever sees a half-written file. Time comes from a [`Clock`].
//!
//! Benches and tests mint through this library: [`commands::init`], then [`Authority::open`] and
//! [`Authority::enrol`].

pub mod authority;
pub mod cli;
mod clock;
pub mod commands;
pub mod config;
pub mod danger;
pub mod folder;
pub mod keyfiles;
pub mod ledger;
pub mod listener;
mod pem;
pub mod profile;

pub use authority::{Authority, OpenError};
pub use clock::{Clock, SystemClock};
pub use folder::KeyFolder;
