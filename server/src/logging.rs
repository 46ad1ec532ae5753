//! Log lines on standard error, as text or JSON. What a message says and what a key is never reaches
//! them: the types that hold it do not print it.

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;
use crate::config::Settings;
use crate::startup::StartError;

/// Turns logging on for this process.
pub fn start(settings: &Settings) -> Result<(), StartError> {
    let filter = EnvFilter::try_new(&settings.log_level)
        .map_err(|error| StartError::Config { path: "log-level".into(), reason: error.to_string() })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match settings.log {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    started.map_err(|error| StartError::System(error.to_string()))
}
