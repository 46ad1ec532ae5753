//! The configuration. The command line takes precedence over the environment, the environment over the file, and the
//! file over the defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use parlour_protocol::limits::LimitError;
use parlour_protocol::{DEFAULT_PORT, Limits};
use parlour_sandbox::Mode;
use parlour_upkeep::logging::{LogFormat, LogTarget};
use serde::Deserialize;
use thiserror::Error;

use crate::operations::cli::{Options, RunArguments};
use crate::operations::danger::Danger;

/// Why the configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The configuration file cannot be read, or has something in it that is not allowed.
    #[error("configuration {path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// A limit cannot be set.
    #[error(transparent)]
    Limit(#[from] LimitError),
}

impl ConfigError {
    /// Advice for the operator.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::File { .. } => "parlour-server run --help lists the options and their names",
            Self::Limit(_) => "parlour-server run --help lists the limits",
        }
    }
}

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
    /// `HOST:PORT` for the operator, if it is wanted.
    pub metrics: Option<String>,
    /// The limits in force.
    pub limits: Limits,
    /// The dangers that are allowed.
    pub allow_unsafe: Vec<Danger>,
    /// The form of log lines.
    pub log: LogFormat,
    /// The log's destination.
    pub log_target: LogTarget,
    /// The filter for log lines.
    pub log_level: String,
    /// User to run as when started as root.
    pub run_as: Option<String>,
    /// The mode of the sandbox.
    pub sandbox: Mode,
    /// Seconds by which the clock is ahead, for tests.
    pub clock_offset: i64,
}

/// The command line, the environment and the file together. Only limits have their defaults here.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// `HOST:PORT` to listen on.
    pub listen: Option<String>,
    /// Folder with the server's key and certificates.
    pub keys: Option<PathBuf>,
    /// Socket of the TTP.
    pub ttp: Option<PathBuf>,
    /// Folder for the database.
    pub data: Option<PathBuf>,
    /// `HOST:PORT` for the operator, if it is wanted.
    pub metrics: Option<String>,
    /// The limits in force.
    pub limits: Limits,
    /// The dangers that are allowed.
    pub allow_unsafe: Vec<Danger>,
    /// The recipient that backups are encrypted to.
    pub backup_recipient: Option<String>,
    /// Seconds by which the clock is ahead, for tests.
    pub clock_offset: i64,
    log: Option<LogFormat>,
    log_file: Option<PathBuf>,
    log_level: Option<String>,
    user: Option<String>,
    sandbox: Option<Mode>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    listen: Option<String>,
    keys: Option<PathBuf>,
    ttp: Option<PathBuf>,
    data: Option<PathBuf>,
    metrics: Option<String>,
    #[serde(default)]
    limits: BTreeMap<String, toml::Value>,
    #[serde(default, alias = "allow_unsafe")]
    allow_unsafe: Vec<Danger>,
    #[serde(alias = "backup_recipient")]
    backup_recipient: Option<String>,
    log: Option<LogFormat>,
    #[serde(rename = "log-file", alias = "log_file")]
    log_to: Option<PathBuf>,
    log_level: Option<String>,
    #[serde(alias = "run-as")]
    user: Option<String>,
    sandbox: Option<Mode>,
}

impl Configuration {
    /// Reads the file, if one is named, and completes the options from it.
    pub fn new(options: Options) -> Result<Self, ConfigError> {
        let file = file(options.config.as_deref())?;
        let mut limits = Limits::default();
        for (name, value) in &file.limits {
            let value = value.as_integer().and_then(|value| u64::try_from(value).ok());
            limits.set_value(name, value)?;
        }
        for assignment in &options.limits {
            limits.set(assignment)?;
        }
        let allowed = options.allow_unsafe;
        Ok(Self {
            listen: options.listen.or(file.listen),
            keys: options.keys.or(file.keys),
            ttp: options.ttp.or(file.ttp),
            data: options.data.or(file.data),
            metrics: options.metrics.or(file.metrics),
            limits,
            allow_unsafe: if allowed.is_empty() { file.allow_unsafe } else { allowed },
            backup_recipient: file.backup_recipient,
            clock_offset: options.clock_offset.unwrap_or(0),
            log: file.log,
            log_file: file.log_to,
            log_level: file.log_level,
            user: file.user,
            sandbox: file.sandbox,
        })
    }
}

impl Configuration {
    /// Returns true unless the sandbox is turned off.
    pub fn wants_sandbox(&self) -> bool {
        self.sandbox != Some(Mode::Off)
    }
}

impl Settings {
    /// The configuration, completed by the defaults.
    pub fn new(arguments: RunArguments) -> Result<Self, ConfigError> {
        let configured = Configuration::new(arguments.options)?;
        let log_file = arguments.log_file.or(configured.log_file);
        let log_target = log_file.map_or(LogTarget::StandardError, |path| LogTarget::File {
            path,
            bytes: configured.limits.log_bytes,
            older: configured.limits.log_files,
        });
        Ok(Self {
            listen: configured.listen.unwrap_or_else(|| format!("127.0.0.1:{DEFAULT_PORT}")),
            keys: configured.keys.unwrap_or_else(|| "keys/server".into()),
            ttp: configured.ttp.unwrap_or_else(|| "keys/ttp/ttp.sock".into()),
            data: configured.data.unwrap_or_else(default_data),
            metrics: configured.metrics,
            limits: configured.limits,
            allow_unsafe: configured.allow_unsafe,
            log: arguments.log.or(configured.log).unwrap_or_default(),
            log_target,
            log_level: arguments.log_level.or(configured.log_level).unwrap_or_else(|| "info".to_owned()),
            run_as: arguments.run_as.or(configured.user),
            sandbox: arguments.sandbox.mode(configured.sandbox),
            clock_offset: configured.clock_offset,
        })
    }
}

/// The part of the configuration that a backup or a restore needs: the folder for the database, and the recipient.
pub fn for_backup(
    config: Option<&Path>,
    data: Option<PathBuf>,
) -> Result<(PathBuf, Option<String>), ConfigError> {
    let file = file(config)?;
    Ok((data.or(file.data).unwrap_or_else(default_data), file.backup_recipient))
}

fn default_data() -> PathBuf {
    "var/server".into()
}

fn file(path: Option<&Path>) -> Result<File, ConfigError> {
    path.map_or_else(|| Ok(File::default()), read)
}

fn read(path: &Path) -> Result<File, ConfigError> {
    let wrong = |reason: String| ConfigError::File { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    toml::from_str(&text).map_err(|error| wrong(one_line(&text, &error)))
}

/// The error's message and line, without the excerpt of the file.
fn one_line(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let message = error.message().lines().collect::<Vec<_>>().join(" ");
    format!("line {line}: {}", message.trim())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::operations::cli::{Cli, Command};

    fn settings(file: &str, arguments: &[&str]) -> Result<Settings, ConfigError> {
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
    fn the_command_line_wins_over_the_file_and_the_file_over_the_default() {
        let file = "listen = \"0.0.0.0:1\"\ndata = \"d\"\n[limits]\nconnections = 5\n";
        let settings = settings(file, &["--listen", "127.0.0.1:2", "--limit", "command_burst=7"]).unwrap();
        assert_eq!(settings.listen, "127.0.0.1:2");
        assert_eq!(settings.data, Path::new("d"));
        assert_eq!(settings.keys, Path::new("keys/server"));
        assert_eq!((settings.limits.connections, settings.limits.command_burst), (5, 7));
    }

    #[test]
    fn a_limit_of_lines_that_is_too_short_to_register_is_refused() {
        for (file, arguments) in
            [("", &["--limit", "line_bytes=4096"][..]), ("[limits]\nline_bytes = 4096\n", &[])]
        {
            let error = settings(file, arguments).unwrap_err();
            assert!(matches!(error, ConfigError::Limit(_)), "{error}");
            assert!(error.to_string().contains("line_bytes"), "{error}");
        }
    }

    #[test]
    fn unknown_or_malformed_options_in_the_file_are_errors() {
        for file in
            ["colour = 1", "listen = 5", "[limits]\nnonsense = 1", "[limits]\nconnections = -1", "x ="]
        {
            assert!(settings(file, &[]).is_err(), "{file}");
        }
        for (file, said) in [
            ("listen = \"[::1]:1\"\ncolour = 1", ": line 2: unknown field `colour`"),
            ("\n\nlisten = 5", ": line 3: invalid type: integer `5`, expected a string"),
        ] {
            let error = settings(file, &[]).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains('\n'), "{error}");
        }
    }
}
