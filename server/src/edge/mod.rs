//! The network's edge: connections come in, are counted, and become sessions.
//!
//! The [`listener`] accepts them. [`gate`] counts them by address and in all, [`handshakes`] bounds how many are on
//! their way in, and [`tls`] holds the keys and certificates with which they are received.

pub mod gate;
pub mod handshakes;
pub mod listener;
pub mod tls;
