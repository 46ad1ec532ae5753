//! What the server runs with: command line before environment before file before default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use parlour_protocol::{DEFAULT_PORT, Limits};
use parlour_sandbox::Mode;
use serde::Deserialize;

use crate::cli::{LogFormat, RunArguments};
use crate::startup::StartError;

/// Everything that `run` needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `HOST:PORT` to listen on.
    pub listen: String,
    /// Folder with the server's key and certificates.
    pub keys: PathBuf,
    /// Socket of the TTP.
    pub ttp: PathBuf,
    /// Folder for the database.
    pub data: PathBuf,
    /// The limits that hold.
    pub limits: Limits,
    /// How log lines are written.
    pub log: LogFormat,
    /// Which are.
    pub log_level: String,
    /// User to run as when started as root.
    pub run_as: Option<String>,
    /// Whether this process confines itself.
    pub sandbox: Mode,
    /// Seconds by which the clock is ahead, for tests.
    pub clock_offset: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<String>,
    keys: Option<PathBuf>,
    ttp: Option<PathBuf>,
    data: Option<PathBuf>,
    #[serde(default)]
    limits: BTreeMap<String, toml::Value>,
    log: Option<LogFormat>,
    #[serde(rename = "log-level")]
    log_level: Option<String>,
    #[serde(alias = "run-as")]
    user: Option<String>,
    sandbox: Option<Mode>,
}

impl Settings {
    /// Reads the file, if one is named, and lets the arguments go before it.
    pub fn new(arguments: RunArguments) -> Result<Self, StartError> {
        let file = match &arguments.config {
            Some(path) => read(path)?,
            None => File::default(),
        };
        let mut limits = Limits::default();
        for (name, value) in &file.limits {
            let value = value.as_integer().and_then(|value| u64::try_from(value).ok());
            limits.set_value(name, value)?;
        }
        for assignment in &arguments.limits {
            limits.set(assignment)?;
        }
        Ok(Self {
            listen: arguments.listen.or(file.listen).unwrap_or_else(|| format!("127.0.0.1:{DEFAULT_PORT}")),
            keys: arguments.keys.or(file.keys).unwrap_or_else(|| "keys/server".into()),
            ttp: arguments.ttp.or(file.ttp).unwrap_or_else(|| "keys/ttp/ttp.sock".into()),
            data: arguments.data.or(file.data).unwrap_or_else(|| "var/server".into()),
            limits,
            log: arguments.log.or(file.log).unwrap_or(LogFormat::Text),
            log_level: arguments.log_level.or(file.log_level).unwrap_or_else(|| "info".to_owned()),
            run_as: arguments.run_as.or(file.user),
            sandbox: arguments.sandbox.mode(file.sandbox),
            clock_offset: arguments.clock_offset.unwrap_or(0),
        })
    }
}

fn read(path: &Path) -> Result<File, StartError> {
    let wrong = |reason: String| StartError::Config { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    toml::from_str(&text).map_err(|error| wrong(one_line(&error)))
}

/// The error's message and the line that it is about, without the drawing around it.
fn one_line(error: &toml::de::Error) -> String {
    let message = error.message().lines().collect::<Vec<_>>().join(" ");
    message.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn settings(file: &str, arguments: &[&str]) -> Result<Settings, StartError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.toml");
        std::fs::write(&path, file).unwrap();
        let line = ["parlour-server", "run", "--config", path.to_str().unwrap()];
        let cli = Cli::try_parse_from(line.iter().chain(arguments)).unwrap();
        match cli.command {
            Command::Run(arguments) => Settings::new(*arguments),
            _ => unreachable!("run was asked for"),
        }
    }

    #[test]
    fn the_command_line_goes_before_the_file_and_the_file_before_the_default() {
        let file = "listen = \"0.0.0.0:1\"\ndata = \"d\"\n[limits]\nconnections = 5\n";
        let settings = settings(file, &["--listen", "127.0.0.1:2", "--limit", "command_burst=7"]).unwrap();
        assert_eq!(settings.listen, "127.0.0.1:2");
        assert_eq!(settings.data, Path::new("d"));
        assert_eq!(settings.keys, Path::new("keys/server"));
        assert_eq!((settings.limits.connections, settings.limits.command_burst), (5, 7));
    }

    #[test]
    fn what_the_file_may_not_hold_is_an_error() {
        for file in
            ["colour = 1", "listen = 5", "[limits]\nnonsense = 1", "[limits]\nconnections = -1", "x ="]
        {
            assert!(settings(file, &[]).is_err(), "{file}");
        }
    }
}
