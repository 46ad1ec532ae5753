//! Errors of a user's keys and certificates.

use std::path::{Path, PathBuf};

use parlour_protocol::{Refusal, UserName};
use thiserror::Error;

use crate::failure::{Explain, Explanation, Kind};

/// The reason why a profile, or a file of it, could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
// Each variant says what its fields are.
#[allow(missing_docs)]
pub enum ProfileError {
    /// The folder has no keys for this name, so it cannot log in.
    #[error("{}", Refusal::InvalidCredentials)]
    NoKeys { name: UserName, folder: PathBuf },
    /// Another client on this machine has the profile.
    #[error("{}", Refusal::AlreadyLoggedIn)]
    InUse,
    /// A file could not be read or written, or has the wrong content.
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: String },
    /// The keys in a file or folder cannot be used as they are; the hint says how to correct that.
    #[error("{path}: {reason}")]
    Keys { path: PathBuf, reason: String, hint: String },
    /// A key could not be made or used.
    #[error("a key could not be used: {0}")]
    Key(String),
    /// The server returned other certificates than those that were requested.
    #[error("the server's answer does not fit the request: {0}")]
    WrongAnswer(String),
}

impl ProfileError {
    /// A file could not be read or written, or has the wrong content.
    pub fn file(path: &Path, reason: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), reason: reason.into() }
    }
}

impl Explain for ProfileError {
    fn explain(&self) -> Explanation {
        match self {
            Self::NoKeys { name, folder } => {
                let folder = folder.display();
                Explanation::new("invalid_credentials", Kind::Failed)
                    .hint(format!("there are no keys for {name} in {folder}; /register {name} makes them"))
            }
            Self::InUse => Explanation::new("already_logged_in", Kind::Failed)
                .hint("another client on this machine is logged in with these keys"),
            Self::File { .. } => Explanation::new("file", Kind::Broken),
            Self::Keys { hint, .. } => Explanation::new("file", Kind::Broken).hint(hint.as_str()),
            Self::Key(_) => Explanation::new("key", Kind::Broken),
            Self::WrongAnswer(_) => Explanation::new("wrong_answer", Kind::Failed),
        }
    }
}

impl From<parlour_crypto::KeyFailure> for ProfileError {
    fn from(failure: parlour_crypto::KeyFailure) -> Self {
        Self::Key(failure.to_string())
    }
}
