//! The network's edge: connections come in, are counted, and become sessions.
//!
//! A [`socket`] listens, and the [`listener`] accepts. The [`gate`] counts connections by address and in all,
//! [`handshakes`] bounds how many are on their way in, and [`tls`] holds the keys and certificates with which they are
//! received. The [`entrance`] holds what all of these share.

pub mod entrance;
pub mod gate;
pub mod handshakes;
pub mod listener;
pub mod socket;
pub mod tls;
