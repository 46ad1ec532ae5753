//! The scenarios and their measurements. Each runs the same way against the server and the reference.

pub(crate) mod channel;
pub(crate) mod direct;
pub(crate) mod growth;
pub(crate) mod hostile;
pub(crate) mod idle;
pub(crate) mod latency;
pub(crate) mod login;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use parlour_protocol::Dialect;

use crate::people::People;
use crate::target::{Kind, Target};

/// The surroundings of a scenario.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'a> {
    /// The folder with the keys.
    pub(crate) folder: &'a Path,
    /// The users.
    pub(crate) people: &'a People,
    /// The length of a measurement.
    pub(crate) time: Duration,
    /// True in the quick round.
    pub(crate) quick: bool,
    /// The target's CPUs, if there are two, so that the load generator can have the other.
    pub(crate) cpus: Option<&'static str>,
    /// The dialect spoken with the server; the reference knows none.
    pub(crate) dialect: Dialect,
}

impl Stage<'_> {
    /// A fresh target, for the first `users` users.
    pub(crate) fn target(&self, kind: Kind, users: usize) -> Result<Target> {
        Target::prepare(kind, self, users)?;
        let target = Target::launch(kind, self)?;
        // For attaching a profiler.
        eprintln!("{kind:?} runs as process {}", target.pid());
        Ok(target)
    }
}

/// Converts seconds for `count` deliveries to seconds for a million.
pub(crate) fn per_million(seconds: f64, count: u64) -> f64 {
    #[allow(clippy::cast_precision_loss)] // counts of messages are exact
    let count = count.max(1) as f64;
    seconds / count * 1e6
}
