//! The operator's commands, each in a file of its own.

pub mod backup;
mod check;
mod describe;
pub mod init;
pub mod revoke;
pub mod serve;
pub mod server_cert;
pub mod show;

use std::io::{self, Write};
use std::path::Path;

use parlour_protocol::Limits;
use parlour_upkeep::logging::{self, LogError, LogTarget};
use thiserror::Error;

use crate::cli::{Cli, ClockArgs, Command, ServeArgs};
use crate::clock::SystemClock;
use crate::config::ConfigError;
use crate::folder::KeyFolder;

/// The reasons why a command was not carried out.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log cannot be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// `init` failed.
    #[error(transparent)]
    Init(#[from] init::InitError),
    /// `server-cert` failed.
    #[error(transparent)]
    ServerCert(#[from] server_cert::ServerCertError),
    /// `serve` failed.
    #[error(transparent)]
    Serve(#[from] serve::ServeError),
    /// `revoke` failed.
    #[error(transparent)]
    Revoke(#[from] revoke::RevokeError),
    /// `show` failed.
    #[error(transparent)]
    Show(#[from] show::ShowError),
    /// `backup`, `restore`, `verify` or `backup-key` failed.
    #[error(transparent)]
    Backup(#[from] backup::BackupError),
    /// `manual` knows no such command.
    #[error("there is no command '{0}'")]
    UnknownCommand(String),
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl CommandError {
    /// Advice for the operator.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint(),
            Self::Log(error) => Some(error.hint()),
            Self::Init(error) => error.hint(),
            Self::ServerCert(error) => error.hint(),
            Self::Serve(error) => error.hint(),
            Self::Revoke(error) => error.hint(),
            Self::Show(error) => error.hint(),
            Self::Backup(error) => error.hint(),
            Self::UnknownCommand(_) => Some("'parlour-ttp help' lists the commands".to_owned()),
            Self::Output(_) => None,
        }
    }
}

impl CommandError {
    /// Returns true if a backup was checked and is itself at fault.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Backup(error) if error.is_damage())
    }
}

/// Runs a command, and prints its result to `out`. Returns false if `check` found a fault.
pub fn run(cli: Cli, out: &mut impl Write) -> Result<bool, CommandError> {
    let Cli { common, command } = cli.complete()?;
    let filter = common.log_level.as_deref().unwrap_or("info");
    logging::begin(common.log.unwrap_or_default(), filter, &log_target(&command))?;
    let named = common.keys.map(KeyFolder::new);
    if let Command::Check(args) = command {
        return check::run(named.as_ref(), &args, &clock(args.clock), out);
    }
    let keys = named.unwrap_or_else(|| KeyFolder::new("keys"));
    act(command, &keys, out).map(|()| true)
}

fn act(command: Command, keys: &KeyFolder, out: &mut impl Write) -> Result<(), CommandError> {
    match command {
        Command::Init(args) => init::run(keys, &clock(args.clock), out),
        Command::ServerCert(args) => {
            let required =
                server_cert::CertificateRequirements { hosts: args.host, if_needed: args.if_needed };
            server_cert::run(keys, &required, clock(args.clock), out)
        }
        Command::Serve(args) => serve::run(keys, &serve_settings(&args), clock(args.clock), out),
        Command::Probe { probe, serve: args } => {
            serve::try_out(keys, &serve_settings(&args), clock(args.clock), &probe.probe)
        }
        Command::Revoke(args) => revoke::run(keys, &args.name, args.device.as_ref(), clock(args.clock), out),
        Command::Show(args) => show::run(keys, args.server, out),
        // `run` has done it: it alone returns more than success.
        Command::Check(_) => Ok(()),
        Command::Backup(args) => backup::backup(keys, &args, out),
        Command::Restore(args) => backup::restore(keys, &args, out),
        Command::Verify(args) => backup::verify(&args, out),
        Command::BackupKey { file } => backup::make_key(&file, out),
        Command::Completions { shell } => describe::completions(shell, out),
        Command::Manual { command } => describe::manual(command.as_deref(), out),
    }
}

/// The log of `serve` can go to files; other commands log little.
fn log_target(command: &Command) -> LogTarget {
    match command {
        Command::Serve(args) | Command::Probe { serve: args, .. } => serving_log(args),
        _ => LogTarget::StandardError,
    }
}

/// Its files are as long and as many as a server's by default.
fn serving_log(args: &ServeArgs) -> LogTarget {
    let Limits { log_bytes: bytes, log_files: older, .. } = Limits::default();
    args.log_file.clone().map_or(LogTarget::StandardError, |path| LogTarget::File { path, bytes, older })
}

fn serve_settings(args: &ServeArgs) -> serve::ServeSettings {
    serve::ServeSettings {
        socket_group: args.socket_group.clone(),
        run_as: args.run_as.clone(),
        log_folder: serving_log(args).folder().map(Path::to_owned),
        sandbox: args.sandbox.mode(None),
        allow_unsafe: args.allow_unsafe.clone(),
    }
}

fn clock(args: ClockArgs) -> SystemClock {
    if args.clock_offset != 0 {
        tracing::warn!(seconds = args.clock_offset, "the clock of this process is moved, for tests");
    }
    SystemClock::with_offset(args.clock_offset)
}
