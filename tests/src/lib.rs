//! The harness: real programs against each other, on loopback, in a temporary folder.
//!
//! A [`World`] has a TTP and a server of its own, which it can stop, kill and start again. The people in it are
//! [`client`](World::client)s (the `parlour` program with its plain face on pipes), [`robot`](World::robot)s (the
//! same with its json face) or [`line`](World::line)s (a bare TLS connection on which the test types the protocol
//! itself). [`seed::PEOPLE`] can be registered before a world begins. The output of all of them is read through
//! [`Lines`]: a test names the line that must come and waits for it with a deadline, but never sleeps for a fixed
//! time. [`wait_until`] does the same for anything else, and [`in_time`] bounds the time of fast operations. A
//! [`Relay`] is a network that can fail, and a [`Disk`] a disk that can. A [`transcript`] is such a conversation
//! in a file.
//!
//! Mallory has tools of her own. An [`Author`] seals messages with anybody's keys, even with false values in them.
//! An [`Operator`] is a server that sends a client anything it likes. [`Garbage`] makes valid and invalid lines,
//! and a [`Flood`] sends thousands of them. A [`Terminal`] keeps every byte that the terminal face sends to it.
//!
//! [`fuzzed`] has the fuzzed functions, for cargo-fuzz and for the test that replays its findings.
//!
//! [`scrape`] reads the metrics that the server serves to its operator.
//!
//! [`outside`] finds other programs that a test needs, such as OpenSSL.

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
