//! The log of a long-running program: lines of text or JSON, on standard error or in files of bounded size.

use std::io::{IsTerminal as _, stderr};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use clap::ValueEnum;
use serde::Deserialize;
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::log_file::LogFile;

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object on each line.
    Json,
}

/// The destination of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LogTarget {
    /// To standard error.
    #[default]
    StandardError,
    /// To a file, which is rotated when it reaches its length.
    File {
        /// The newest file; older ones are named `PATH.1`, `PATH.2` and so on.
        path: PathBuf,
        /// The length in bytes at which the file is rotated.
        bytes: u64,
        /// The number of older files that are kept.
        older: u64,
    },
}

impl LogTarget {
    /// The folder that the log writes to, if any; a program that confines itself must keep access to it.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::StandardError => None,
            Self::File { path, .. } => {
                Some(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
            }
        }
    }
}

/// The reasons why logging cannot begin.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum LogError {
    /// The filter was not understood.
    #[error("the log's level is not understood: {0}")]
    Filter(String),
    /// A word that is not a level. It would be taken for a module's name and silence everything but that module.
    #[error("'{0}' is no level of the log")]
    Level(String),
    /// The file cannot be written.
    #[error("cannot write the log {}: {reason}", path.display())]
    File { path: PathBuf, reason: std::io::Error },
}

impl LogError {
    /// Advice for the operator.
    pub fn hint(&self) -> String {
        match self {
            Self::Filter(_) | Self::Level(_) => {
                "--log-level takes error, warn, info, debug or trace, or MODULE=LEVEL".to_owned()
            }
            Self::File { .. } => "--log-file takes a file in a folder that this user may write to".to_owned(),
        }
    }
}

/// Begins to log what passes `filter`: a level, or levels by module. A second call in one process, as in tests,
/// keeps the first log.
pub fn begin(format: LogFormat, filter: &str, target: &LogTarget) -> Result<(), LogError> {
    let filter = filter_of(filter)?;
    let (writer, coloured) = match target {
        LogTarget::StandardError => (BoxMakeWriter::new(stderr), stderr().is_terminal()),
        LogTarget::File { path, bytes, older } => {
            let file = LogFile::open(path, *bytes, *older);
            let file = file.map_err(|reason| LogError::File { path: path.clone(), reason })?;
            (BoxMakeWriter::new(Mutex::new(file)), false)
        }
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let _ = match format {
        LogFormat::Text => lines.with_ansi(coloured).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    Ok(())
}

/// Parses levels by module as `EnvFilter` does, but requires each word that stands alone to be a level.
fn filter_of(text: &str) -> Result<EnvFilter, LogError> {
    // An empty word would parse as a level.
    let is_level = |word: &str| !word.trim().is_empty() && word.trim().parse::<LevelFilter>().is_ok();
    let unknown = text.split(',').find(|part| !part.contains(['=', '[', ']']) && !is_level(part));
    if let Some(word) = unknown {
        return Err(LogError::Level(word.to_owned()));
    }
    EnvFilter::try_new(text).map_err(|error| LogError::Filter(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused_and_levels_by_module_are_taken() {
        for good in [
            "error",
            "WARN",
            "info",
            "debug",
            "trace",
            "off",
            "warn,parlour_server=debug",
            "parlour_server::hub=trace",
            "[session{number}]=debug,warn",
        ] {
            assert!(filter_of(good).is_ok(), "{good}");
        }
        for bad in ["bogus", "wran", "", "info,wran", "parlour_server"] {
            assert!(matches!(filter_of(bad), Err(LogError::Level(_))), "{bad}");
        }
        assert!(matches!(filter_of("parlour_server=loud"), Err(LogError::Filter(_))));
    }
}
