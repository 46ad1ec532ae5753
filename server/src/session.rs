//! Sessions: a connection that speaks the protocol, from its first line to its last.
//!
//! A [`Session`] ([`serving`]) runs three loops in one task: reading, sending what could not be sent at once, and keeping
//! time. Each line that it reads is carried out by [`commands`]: one verb, one file. A command learns of the session
//! what its [`caller`] says. It changes nothing of the session itself: a change comes back as an effect.
//!
//! [`connection`] holds the facts about a connection, and its owner. [`rights`] decides who may do what,
//! [`credentials`] whether a login holds. [`attempts`] bounds how often somebody may try, also by device
//! ([`device_renewals`]), and [`lockout`] keeps out those who guess. [`posts`] bounds the messages that are being stored. All sessions share [`services`].

pub mod attempts;
pub mod caller;
mod clockwork;
pub mod commands;
pub mod connection;
pub mod credentials;
pub mod device_renewals;
pub mod lockout;
pub mod posts;
mod reading;
pub mod rights;
pub mod services;
pub mod serving;
mod writing;

pub use self::connection::Connection;
pub use self::serving::Session;
