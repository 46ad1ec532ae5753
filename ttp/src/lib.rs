//! The trusted third party: mints certificates, and never mints a name twice.
//!
//! [`Authority`] is the whole of what it decides: it checks a request, chooses every field of a
//! certificate from a fixed profile (`profile.rs`), and writes what it did into its [`ledger`] before it
//! answers. [`listener`] serves it to the server over a Unix socket. [`commands`] are what an operator
//! types, defined in [`cli`] and completed from a file by [`config`]; [`danger`] is what is not done unless
//! somebody allows it; [`folder`] says where keys lie and
//! [`keyfiles`] how they are written, so that nothing half-made is ever seen. Time comes from a
//! [`Clock`].
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
