//! The log of a program that serves: lines as text or JSON, on standard error or in files that are bounded.

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

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Where the log goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LogTarget {
    /// To standard error.
    #[default]
    StandardError,
    /// To a file, and from there to others when it is long.
    File {
        /// The newest one; older ones are named `PATH.1`, `PATH.2` and so on.
        path: PathBuf,
        /// The length at which the next one begins, in bytes.
        bytes: u64,
        /// How many older ones are kept.
        older: u64,
    },
}

impl LogTarget {
    /// The folder that is written to, if any: a program that confines itself needs it.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::StandardError => None,
            Self::File { path, .. } => {
                Some(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
            }
        }
    }
}

/// Why there is no log.
#[derive(Debug, Error)]
pub enum LogError {
    /// What is to be logged was not understood.
    #[error("the log's level is not understood: {0}")]
    Filter(String),
    /// A word that is no level. It would be taken for a module, and everything but that module be silent.
    #[error("'{0}' is no level of the log")]
    Level(String),
    /// The file cannot be written.
    #[error("cannot write the log {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
}

impl LogError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Filter(_) | Self::Level(_) => {
                "--log-level takes error, warn, info, debug or trace, or MODULE=LEVEL".to_owned()
            }
            Self::File { .. } => "--log-file takes a file in a folder that this user may write to".to_owned(),
        }
    }
}

/// Begins to log what passes `filter`: a level, or levels by module. A second call in one process, as in
/// tests, leaves the first log in place.
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

/// Levels by module as `EnvFilter` reads them, but for words that stand alone: they must be levels.
fn filter_of(text: &str) -> Result<EnvFilter, LogError> {
    // An empty word would parse, as if it were a level.
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
