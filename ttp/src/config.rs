//! The configuration file, and how it completes the command line.

use std::path::{Path, PathBuf};

use parlour_keylog::Host;
use parlour_protocol::ServerAddress;
use parlour_sandbox::Mode;
use parlour_upkeep::logging::LogFormat;
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::cli::{Cli, Command};
use crate::danger::Danger;
use crate::keyfiles::{self, KeyFileError};

/// The reasons why the configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The file has something in it that is not allowed.
    #[error("{}: {reason}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// The fault and its line.
        reason: String,
    },
}

/// The contents of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct ConfigFile {
    keys: Option<PathBuf>,
    log: Option<LogFormat>,
    #[serde(alias = "log_file")]
    log_file: Option<PathBuf>,
    log_level: Option<String>,
    #[serde(deserialize_with = "hosts")]
    host: Vec<Host>,
    socket_group: Option<String>,
    #[serde(alias = "run-as")]
    user: Option<String>,
    sandbox: Option<Mode>,
    #[serde(deserialize_with = "server")]
    server: Option<ServerAddress>,
    #[serde(alias = "allow_unsafe")]
    allow_unsafe: Vec<Danger>,
    #[serde(alias = "backup_recipient")]
    backup_recipient: Option<String>,
}

impl Cli {
    /// Completes the options of command line and environment from the file that `--config` names.
    pub fn complete(mut self) -> Result<Self, ConfigError> {
        let file = match &self.common.config {
            Some(path) => read(path)?,
            None => ConfigFile::default(),
        };
        let common = &mut self.common;
        common.keys = common.keys.take().or(file.keys);
        common.log = common.log.or(file.log);
        common.log_level = common.log_level.take().or(file.log_level);
        match &mut self.command {
            Command::ServerCert(args) if args.host.is_empty() => args.host = file.host,
            Command::Serve(args) | Command::Probe { serve: args, .. } => {
                args.socket_group = args.socket_group.take().or(file.socket_group);
                args.run_as = args.run_as.take().or(file.user);
                args.log_file = args.log_file.take().or(file.log_file);
                args.sandbox.sandbox = Some(args.sandbox.mode(file.sandbox));
                if args.allow_unsafe.is_empty() {
                    args.allow_unsafe = file.allow_unsafe;
                }
            }
            Command::Check(args) => {
                args.recipient = file.backup_recipient;
                args.sandbox = file.sandbox;
            }
            Command::Backup(args) => args.recipient = args.recipient.take().or(file.backup_recipient),
            Command::Show(args) => args.server = args.server.take().or(file.server),
            Command::Init(_)
            | Command::ServerCert(_)
            | Command::Revoke(_)
            | Command::Restore(_)
            | Command::Verify(_)
            | Command::BackupKey { .. }
            | Command::Completions { .. }
            | Command::Manual { .. } => {}
        }
        Ok(self)
    }
}

fn read(path: &Path) -> Result<ConfigFile, ConfigError> {
    let text = keyfiles::read(path)?;
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        ConfigError::Form { path: path.to_owned(), reason: format!("line {line}: {}", error.message()) }
    })
}

fn hosts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Host>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

fn server<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ServerAddress>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

impl ConfigError {
    /// Advice for the operator.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Form { .. } => Some("'parlour-ttp help' names the options that can stand there".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn complete(file: &str, arguments: &[&str]) -> Result<Cli, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ttp.toml");
        std::fs::write(&path, file).unwrap();
        let program = ["parlour-ttp", "--config", path.to_str().unwrap()];
        Cli::try_parse_from(program.iter().chain(arguments)).unwrap().complete()
    }

    #[test]
    fn the_file_gives_what_the_command_line_does_not() {
        let file = "keys = 'a'\nlog = 'json'\nlog-level = 'debug'\nsocket-group = 'chat'\n";
        let cli = complete(file, &["serve", "--keys", "b"]).unwrap();
        assert_eq!(cli.common.keys, Some("b".into()));
        assert_eq!(cli.common.log, Some(LogFormat::Json));
        let Command::Serve(args) = cli.command else { panic!() };
        assert_eq!(args.socket_group.as_deref(), Some("chat"));
    }

    #[test]
    fn hosts_and_server_are_parsed() {
        let file = "host = ['localhost', '::1']\nserver = 'chat.example.org'";
        let Command::ServerCert(args) = complete(file, &["server-cert"]).unwrap().command else { panic!() };
        assert_eq!(args.host.len(), 2);
        let Command::Show(args) = complete(file, &["show"]).unwrap().command else { panic!() };
        assert_eq!(args.server.unwrap().port, 7275);
    }

    #[test]
    fn a_fault_in_the_file_is_named_with_its_line() {
        for (file, expected) in [
            ("keys = 'a'\ncolour = 'red'", "line 2: unknown field `colour`"),
            ("host = ['a b']", "line 1: a host is"),
            ("keys", "line 1: "),
        ] {
            let error = complete(file, &["init"]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
