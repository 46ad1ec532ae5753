//! The fuzzed code: one function for each parser of data from others.
//!
//! Each function takes any bytes, parses them, and asserts what must hold for any input: that parsed data, written
//! and read again, is the same, that limits are respected, that no output could control a terminal, that only the
//! signer's signature is valid. The targets of cargo-fuzz in `fuzz/` call these functions with inputs that find
//! new paths through the code. The test `seeds` calls them with every file in `fuzz/seeds/`, on every run.
//! [`TARGETS`] lists them all.

#![allow(clippy::missing_panics_doc)] // a panic reports the violated rule

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

/// Parses bytes, and panics when a rule is violated.
pub type Target = fn(&[u8]);

/// All targets, with the names that cargo-fuzz uses.
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

/// The most lines of one input that are read: thousands of short ones take time and show nothing more.
const MOST_LINES: usize = 8;

/// Calls `hear` with the first lines in some bytes, as the server reads them from the network; faulty ones are
/// skipped.
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

/// Returns true if bytes are one line of text that cannot control a terminal.
fn is_one_line(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(|c| c.is_control() && c != '\t'))
}
