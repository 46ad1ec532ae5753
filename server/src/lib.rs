//! Parlour's server: authenticates clients, relays their messages and keeps them. It cannot read private ones.
//!
//! A connection comes in at the [`edge`] and becomes a [`session`], which reads lines and carries out the command in
//! each. A message goes to the [`store`], which says when it is durable; then [`delivery`] brings it to everyone who
//! may hear it. [`accounts`] knows the users: it asks the TTP, and follows its revocations. Security events
//! ([`audit`]) are written down by the [`recorder`], and [`metrics`] counts. [`operations`] is for the person who
//! runs the server: options, checks, backups, monitoring, the audit log.
//!
//! [`server`] puts it together and is the only module that names a backend. Arrows run one way, from [`server`] over
//! [`operations`] and [`edge`] to [`session`], [`accounts`], [`recorder`], [`delivery`], [`store`], [`metrics`] and
//! [`audit`].
//!
//! This crate does not depend on `parlour-crypto`: there is nothing here that could open a sealed message.

pub mod accounts;
pub mod audit;
pub mod clock;
pub mod delivery;
pub mod edge;
pub mod metrics;
mod network;
pub mod operations;
pub mod recorder;
pub mod server;
pub mod session;
pub mod store;
