//! What is fuzzed: one function for each thing that reads what somebody else wrote.
//!
//! Each takes any bytes, has them read, and asserts what must hold whatever they are: that what was read is
//! written and read again as the same, that bounds are kept, that nothing comes through that could drive a
//! terminal, that nobody's signature fits but the signer's. The targets of cargo-fuzz in `fuzz/` call these
//! functions with bytes that find new ways through the code; the test `seeds` calls them with every file in
//! `fuzz/seeds/`, on every run. The table of all of them is [`TARGETS`].

#![allow(clippy::missing_panics_doc)] // that they panic is how they say what does not hold

mod backup;
mod certificates;
mod commands;
mod line;
mod people;
mod requests;
mod sealed;
mod server_lines;
mod ttp;
mod words;

pub use backup::backup;
pub use certificates::{certificate, leaf};
pub use commands::{json, plain};
pub use line::line;
pub use requests::{pkcs10, request};
pub use sealed::{envelope, sealed};
pub use server_lines::server_line;
pub use ttp::ttp;
pub use words::{address, name};

use parlour_protocol::LineSplitter;
use parlour_protocol::limits::LINE_BYTES;

/// Has bytes read, and panics when something does not hold.
pub type Target = fn(&[u8]);

/// All of them, by the names of cargo-fuzz's targets.
pub const TARGETS: [(&str, Target); 14] = [
    ("address", address),
    ("backup", backup),
    ("certificate", certificate),
    ("envelope", envelope),
    ("json", json),
    ("leaf", leaf),
    ("line", line),
    ("name", name),
    ("pkcs10", pkcs10),
    ("plain", plain),
    ("request", request),
    ("sealed", sealed),
    ("server_line", server_line),
    ("ttp", ttp),
];

/// So many lines of one input are read: thousands of short ones take time and show nothing more.
const MOST_LINES: usize = 8;

/// The first lines in some bytes, as the server hears them from the network; faulty ones are left out.
fn for_each_line(bytes: &[u8], mut hear: impl FnMut(&str)) {
    let mut splitter = LineSplitter::new(LINE_BYTES);
    splitter.feed(bytes);
    splitter.feed(b"\n");
    for _ in 0..MOST_LINES {
        match splitter.next_line() {
            Some(Ok(line)) => hear(line),
            Some(Err(_)) => {}
            None => return,
        }
    }
}

/// Whether bytes are one line of text that drives no terminal.
fn is_one_line(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(|c| c.is_control() && c != '\t'))
}
