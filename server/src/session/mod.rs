//! Sessions: a connection that speaks the protocol, from its first line to its last.
//!
//! A [`Session`] ([`connection`]) runs three loops in one task: reading, sending what could not be sent at once, and
//! keeping time. Each line that it reads is carried out by [`commands`]: one verb, one file. [`rights`] decides who may
//! do what, [`credentials`] whether a login holds, and [`lockout`] keeps those out who guess. [`services`] is what all
//! sessions work with.

mod clockwork;
pub mod commands;
pub mod connection;
pub mod credentials;
pub mod lockout;
mod reading;
pub mod rights;
pub mod services;
mod writing;

pub use self::connection::{Connection, Session, Standing};
