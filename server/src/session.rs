//! Sessions: a connection that speaks the protocol, from its first line to its last.
//!
//! A [`Session`] ([`serving`]) runs three loops in one task: reading, sending what could not be sent at once, and
//! keeping time. Each line that it reads is carried out by [`commands`]: one verb, one file. A command knows of the
//! session only its [`caller`]. It does not change the session itself, but returns the change as an effect.
//!
//! [`connection`] holds the facts about a connection, and its owner. [`rights`] is the table of what each user may
//! do, and [`credentials`] checks a login. [`attempts`] limits attempts at what is costly, also by device
//! ([`device_renewals`]); [`lockout`] keeps devices out after failed logins. [`posts`] limits the messages that are
//! being stored. All sessions share [`services`].

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
