//! The harness: real programs against each other, on loopback, in a temporary folder.
//!
//! A [`World`] has a TTP and a server of its own, which it can stop, kill and start again. People in it
//! are [`client`](World::client)s (the `parlour` program with its plain face on pipes) or
//! [`line`](World::line)s (a bare TLS connection on which the test types the protocol itself). Both are
//! heard through [`Lines`]: a test says what must come, and waits for that with a deadline, never for a
//! time. A [`transcript`] is such a conversation as a file.

mod line;
mod lines;
mod process;
pub mod transcript;
mod world;

pub use line::Line;
pub use lines::{DEADLINE, Lines};
pub use process::{Client, Process, program};
pub use world::{World, WorldBuilder};
