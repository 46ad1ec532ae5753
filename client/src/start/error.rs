//! Why the client does not start.

use parlour_sandbox::SandboxError;
use thiserror::Error;

use crate::failure::{Explain, Explanation, Kind};
use crate::profile::ProfileError;

/// Why the client cannot begin its work.
#[derive(Debug, Error)]
pub enum StartError {
    /// Options, or the configuration file, do not hold.
    #[error("{0}")]
    Usage(String),
    /// A file that the options name could not be used.
    #[error(transparent)]
    File(#[from] ProfileError),
    /// The sandbox is required and the kernel has none.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl Explain for StartError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Usage(_) => Explanation::new("usage", Kind::Broken),
            Self::File(error) => error.explain(),
            Self::Sandbox(error) => Explanation::new("sandbox", Kind::Failed).hint(error.hint()),
        }
    }
}
