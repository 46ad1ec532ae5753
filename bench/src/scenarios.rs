//! The scenarios: what happens, and what of it is measured. Each runs the same way against ours and bare.

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

/// Where and how long.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'a> {
    /// Holds the keys.
    pub(crate) folder: &'a Path,
    /// Who takes part.
    pub(crate) people: &'a People,
    /// How long a measurement lasts.
    pub(crate) time: Duration,
    /// Whether it is the quick round.
    pub(crate) quick: bool,
    /// On which CPUs the target runs, where there are two to keep apart from the load generator's.
    pub(crate) cpus: Option<&'static str>,
    /// What is spoken with ours; bare knows no dialects.
    pub(crate) dialect: Dialect,
}

impl Stage<'_> {
    /// A fresh target, for the first `users` users.
    pub(crate) fn target(&self, kind: Kind, users: usize) -> Result<Target> {
        Target::prepare(kind, self, users)?;
        let target = Target::launch(kind, self)?;
        // So that a profiler finds it.
        eprintln!("{kind:?} runs as process {}", target.pid());
        Ok(target)
    }
}

/// Per million.
pub(crate) fn per_million(seconds: f64, count: u64) -> f64 {
    #[allow(clippy::cast_precision_loss)] // counts of messages are exact
    let count = count.max(1) as f64;
    seconds / count * 1e6
}
