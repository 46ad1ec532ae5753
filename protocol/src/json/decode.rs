//! Reads the json dialect.

mod commands;
mod server_lines;

pub use commands::parse;
#[cfg(test)]
pub(super) use commands::parse_in_two;
pub use server_lines::{is_begun, parse_server_line};

/// The largest number that every JSON reader holds exactly (RFC 8259, 6). No conversation or clock reaches it.
const MOST: u64 = 1 << 53;
