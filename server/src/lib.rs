//! Parlour's server: authenticates clients, relays what they say, and keeps what it cannot read.
//!
//! A connection comes in at the [`edge`] and becomes a [`session`], which reads lines and carries out the command in
//! each. A message goes to the [`store`], which says when it is durable; then [`delivery`] brings it to everyone who may
//! hear it. [`accounts`] is what is known of users: it asks the TTP, and follows what that revokes. What matters to
//! security is noted by [`audit`], and what happens is counted in [`metrics`]. [`operations`] is for the person who runs
//! the server: options, checks, backups, monitoring.
//!
//! [`server`] puts it together and is the only module that names a backend. Arrows run one way, from [`server`] over
//! [`edge`] and [`operations`] to [`session`], [`accounts`], [`delivery`], and from there to [`store`] and [`audit`].
//! This crate does not depend on `parlour-crypto`: there is nothing here that could open a sealed message.

pub mod accounts;
pub mod audit;
pub mod clock;
pub mod delivery;
pub mod edge;
pub mod metrics;
mod network;
pub mod operations;
pub mod server;
pub mod session;
pub mod store;
