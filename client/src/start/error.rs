//! Errors at the start.

use parlour_protocol::{NameError, UserName};
use parlour_sandbox::SandboxError;
use thiserror::Error;

use crate::asking::advice;
use crate::failure::{Explain, Explanation, Kind};
use crate::profile::ProfileError;

/// The reason why the client cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The options or the configuration file are wrong.
    #[error("{0}")]
    Usage(String),
    /// The value of `--user` is not a name.
    #[error("--user {0}: {1}")]
    User(String, NameError),
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
            Self::User(text, _) => {
                let explanation = Explanation::new("usage", Kind::Broken);
                match text.to_ascii_lowercase().parse::<UserName>() {
                    Ok(_) => explanation.hint(advice::name(text)),
                    Err(_) => explanation,
                }
            }
            Self::File(error) => error.explain(),
            Self::Sandbox(error) => Explanation::new("sandbox", Kind::Failed).hint(error.hint()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_in_capitals_is_answered_with_the_right_one() {
        let hint = |text: &str| {
            StartError::User(text.to_owned(), text.parse::<UserName>().unwrap_err()).explain().hint
        };
        assert_eq!(hint("Mia").as_deref(), Some("names are lower case: did you mean mia?"));
        assert_eq!(hint("m.a"), None);
    }
}
