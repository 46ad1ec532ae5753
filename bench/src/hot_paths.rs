//! The code that runs for every message and at every login, each path with its input prepared.

mod crypto;
mod delivery;
mod protocol;
mod records;
mod samples;
mod store;

use std::fmt;

use anyhow::Result;
use parlour_protocol::Dialect;

/// One run of a path.
pub type Work = Box<dyn FnMut() -> Result<()>>;

/// A path with a name.
pub struct HotPath {
    /// Unique, without spaces.
    pub name: &'static str,
    prepare: fn() -> Result<Work>,
}

impl HotPath {
    const fn new(name: &'static str, prepare: fn() -> Result<Work>) -> Self {
        Self { name, prepare }
    }

    /// Prepares the path's input. The result can be run any number of times.
    pub fn prepare(&self) -> Result<Work> {
        (self.prepare)()
    }
}

impl fmt::Display for HotPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The paths whose instructions are counted.
pub const COUNTED: &[HotPath] = &[
    HotPath::new("split_text", || Ok(protocol::split(&samples::text()?))),
    HotPath::new("split_sealed", || Ok(protocol::split(&samples::sealed()?))),
    HotPath::new("parse_plain_text", || Ok(protocol::parse_plain(&samples::text()?))),
    HotPath::new("parse_plain_sealed", || Ok(protocol::parse_plain(&samples::sealed()?))),
    HotPath::new("parse_json_text", || Ok(protocol::parse_json(samples::text()?))),
    HotPath::new("parse_json_sealed", || Ok(protocol::parse_json(samples::sealed()?))),
    HotPath::new("write_plain_text", || Ok(protocol::write(Dialect::Plain, samples::text()?))),
    HotPath::new("write_plain_sealed", || Ok(protocol::write(Dialect::Plain, samples::sealed()?))),
    HotPath::new("write_json_text", || Ok(protocol::write(Dialect::Json, samples::text()?))),
    HotPath::new("write_json_sealed", || Ok(protocol::write(Dialect::Json, samples::sealed()?))),
    HotPath::new("server_line_text", || protocol::parse_server_line(samples::text()?)),
    HotPath::new("server_line_sealed", || protocol::parse_server_line(samples::sealed()?)),
    HotPath::new("deliver_text_to_100", || delivery::deliver(100, samples::text()?)),
    HotPath::new("deliver_sealed_to_2", || delivery::deliver(2, samples::sealed()?)),
    HotPath::new("commit_1_text", || store::commit(1, samples::text()?)),
    HotPath::new("commit_1_sealed", || store::commit(1, samples::sealed()?)),
    HotPath::new("commit_100_text", || store::commit(100, samples::text()?)),
    HotPath::new("commit_100_sealed", || store::commit(100, samples::sealed()?)),
];

/// The paths that are only timed. They spend nearly all their time on RSA, AES and P-256 in aws-lc, which has
/// different code for each kind of processor. The processor that valgrind simulates is older than those in use, so
/// instruction counts would not show the code that runs in practice.
pub const TIMED: &[HotPath] = &[
    HotPath::new("seal", crypto::seal),
    HotPath::new("open", crypto::open),
    HotPath::new("login_check", crypto::login_check),
    HotPath::new("open_records_of_100000", || records::open(100_000)),
];
