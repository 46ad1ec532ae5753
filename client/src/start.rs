//! From the command line to a running client. The [`broker`] starts it; [`cli`] defines the options, [`config`]
//! combines them with the file and the environment, [`confinement`] confines the process, and [`oneshot`] carries out
//! a command for scripts.

pub mod broker;
pub mod cli;
pub mod config;
pub mod confinement;
pub mod oneshot;

mod error;

pub use error::StartError;
