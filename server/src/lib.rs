//! Parlour's server: authenticates clients, relays what they say, and keeps what it cannot read.
//!
//! A connection comes in through [`listener`], where [`gate`] counts it, [`handshakes`] bounds how many are on
//! their way in and [`tls`] receives it, and becomes a [`session`]. The session reads lines and has each carried out by [`commands`]: one verb,
//! one file. [`rights`] decides who may do what, [`credentials`] whether a login holds. Messages go to
//! the [`store`], which tells when they are durable; then [`delivery`] brings them to everyone in the
//! [`hub`] who may hear them. Each of those is a [`peer`]: an [`outbox`], and the [`wire`] on which what is
//! in it is sent. Certificates come from the TTP, through [`authority`]; what it revokes comes through
//! [`revocations`]. What matters to security is noted by [`audit`]; [`lockout`] keeps those out who guess.
//! What happens is counted in [`metrics`], and [`monitoring`] tells the operator.
//!
//! Before any of it runs the process gives up what it does not need: [`confinement`].
//!
//! Whoever runs it has [`check`] and [`backup`]; [`danger`] is what it does only when it is told to.
//!
//! [`server`] puts it together and is the only module that names a backend. This crate does not depend
//! on `parlour-crypto`: there is nothing here that could open a sealed message.

pub mod audit;
pub mod authority;
pub mod backup;
pub mod check;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod confinement;
pub mod credentials;
pub mod danger;
pub mod data;
pub mod delivery;
pub mod directory;
pub mod gate;
pub mod handshakes;
pub mod hub;
pub mod listener;
pub mod lockout;
pub mod metrics;
pub mod monitoring;
pub mod outbox;
pub mod peer;
pub mod revocations;
pub mod rights;
pub mod server;
pub mod services;
pub mod session;
pub mod startup;
pub mod store;
pub mod tls;
pub mod wire;
