//! The harness: real programs against each other, on loopback, in a temporary folder.
//!
//! A [`World`] has a TTP and a server of its own, which it can stop, kill and start again. People in it
//! are [`client`](World::client)s (the `parlour` program with its plain face on pipes),
//! [`robot`](World::robot)s (the same with its json face) or [`line`](World::line)s (a bare TLS
//! connection on which the test types the protocol itself); [`seed::PEOPLE`] can be registered before a
//! world begins. All are heard through [`Lines`]: a test says what must come, and waits for that with a
//! deadline, never for a time. [`wait_until`] does the same for anything else, and [`in_time`] bounds what must be
//! fast. A [`Relay`] is a
//! network that can fail, and a [`Disk`] a disk. A [`transcript`] is such a conversation as a file.
//!
//! Mallory has tools of her own: an [`Author`] seals messages with anybody's keys, and what is not true in
//! them; an [`Operator`] is a server that says to a client what it likes; [`Garbage`] is what parses and
//! what does not, and a [`Flood`] sends it by the thousand; a [`Terminal`] keeps every byte that the terminal face sends to it.
//!
//! [`fuzzed`] holds what is fuzzed, for cargo-fuzz and for the test that replays what it found.
//!
//! What the server tells its own operator is read by [`scrape`].
//!
//! Programs that a test needs from outside, like OpenSSL, are looked for by [`outside`].

mod author;
pub mod disk;
mod flood;
pub mod fuzzed;
mod garbage;
pub mod line;
mod lines;
mod operator;
pub mod outside;
mod pace;
mod process;
mod relay;
pub mod scrape;
pub mod seed;
mod terminal;
pub mod transcript;
mod world;

pub use author::{Author, Letter};
pub use disk::Disk;
pub use flood::{Flood, Source};
pub use garbage::Garbage;
pub use line::Line;
pub use lines::{DEADLINE, Lines, wait_until};
pub use operator::{Logins, Operator, edited, escaped};
pub use pace::{in_time, slowdown};
pub use process::{Client, Finished, Process, client_of, program, run_to_end};
pub use relay::Relay;
pub use scrape::Scrape;
pub use terminal::Terminal;
pub use world::{World, WorldBuilder, free_address};
