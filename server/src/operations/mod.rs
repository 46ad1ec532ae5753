//! Operations: what the person who runs a server meets.
//!
//! [`cli`] and [`config`] say how it runs, and [`startup`] why it does not. [`data`] is the directory that it keeps
//! everything in. [`danger`] is what it does only when it is told to, and [`confinement`] is how the process gives up
//! what it does not need. While it runs, [`monitoring`] answers the operator; [`check`] and [`backup`] are commands of
//! their own.

pub mod backup;
pub mod check;
pub mod cli;
pub mod config;
pub mod confinement;
pub mod danger;
pub mod data;
pub mod monitoring;
pub mod startup;
