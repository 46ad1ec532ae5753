//! From the command line to a running client: the broker starts it, the options are read, put together with the
//! file and the environment, the process is confined, and what is to be done once is done.

pub mod broker;
pub mod cli;
pub mod config;
pub mod confinement;
pub mod oneshot;

mod error;

pub use error::StartError;
