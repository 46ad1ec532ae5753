//! Operations: everything for the person who runs a server.
//!
//! [`cli`] and [`config`] set how a server runs, and [`startup`] says why it does not start. [`data`] is its data
//! directory. [`danger`] finds settings that have to be allowed by name, and [`confinement`] gives up all access that
//! the process does not need. While it runs, [`monitoring`] answers the operator. [`check`], [`backup`] and [`audit`]
//! are commands of their own; [`since`] is the time from which `audit` prints.

pub mod audit;
pub mod backup;
pub mod check;
pub mod cli;
pub mod config;
pub mod confinement;
pub mod danger;
pub mod data;
pub mod monitoring;
pub mod since;
pub mod startup;
