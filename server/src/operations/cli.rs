//! The command line. `--help`, the manual and the completions come from here.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use parlour_protocol::UserName;
use parlour_sandbox::{ProbeArguments, SandboxArguments};
use parlour_upkeep::logging::LogFormat;

use crate::audit::Kind;
use crate::operations::danger::Danger;
use crate::operations::since::Since;

/// Parlour's server: authenticates, relays, and keeps what it cannot read.
#[derive(Debug, Parser)]
#[command(name = "parlour-server", version, about, max_term_width = 100)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server until SIGTERM or SIGINT; SIGHUP reads keys and certificates again
    Run(Box<RunArguments>),
    /// Print the audit log, also while the server runs; `audit verify` checks that nobody changed it
    Audit(AuditArguments),
    /// For tests: start and confine this process like `run`, then try an act that must fail
    #[command(hide = true)]
    Probe {
        /// The act to try.
        #[command(flatten)]
        probe: ProbeArguments,
        /// As for `run`.
        #[command(flatten)]
        arguments: Box<RunArguments>,
    },
    /// Check that everything is as it should be; exit status 1 when something is not
    Check(Box<CheckArguments>),
    /// Write an encrypted backup, also while the server runs
    Backup(BackupArguments),
    /// Restore a backup
    Restore(RestoreArguments),
    /// Open a backup and check all of it; exit status 1 when it is not good, 2 when it cannot be checked
    Verify(VerifyArguments),
    /// Make a key that opens backups, and print the recipient to which they are encrypted
    BackupKey {
        /// The new file, best kept on another machine
        file: PathBuf,
    },
    /// Print completions for a shell
    #[command(hide = true)]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page
    #[command(hide = true)]
    Manual,
}

/// The options that `run` and `check` share. The environment, and then the file, provide those that are not given.
#[derive(Debug, Args)]
pub struct Options {
    /// Address to listen on
    #[arg(long, env = "PARLOUR_LISTEN", value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Folder with server.key, server.crt and ca.crt
    #[arg(long, env = "PARLOUR_KEYS", value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// Socket of the TTP
    #[arg(long, env = "PARLOUR_TTP", value_name = "SOCKET")]
    pub ttp: Option<PathBuf>,
    /// Folder for the database
    #[arg(long, env = "PARLOUR_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Loopback address on which /metrics, /healthz and /readyz are served by HTTP [default: none]
    #[arg(long, env = "PARLOUR_METRICS", value_name = "HOST:PORT")]
    pub metrics: Option<String>,
    /// Set a limit; may be given several times
    #[arg(long = "limit", env = "PARLOUR_LIMIT", value_name = "NAME=VALUE", value_delimiter = ',')]
    pub limits: Vec<String>,
    /// Allow something unsafe that is refused otherwise; may be given several times
    #[arg(long, env = "PARLOUR_ALLOW_UNSAFE", value_enum, value_name = "WHAT", value_delimiter = ',')]
    pub allow_unsafe: Vec<Danger>,
    /// TOML file with these options under their names, and limits in a table [limits]
    #[arg(long, env = "PARLOUR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// For tests: moves this process's clock
    #[arg(long, hide = true, allow_negative_numbers = true, value_name = "SECONDS")]
    pub clock_offset: Option<i64>,
}

/// Options of `run`.
#[derive(Debug, Args)]
#[command(after_help = run_help())]
pub struct RunArguments {
    /// The options that `check` has too.
    #[command(flatten)]
    pub options: Options,
    /// Form of the log [default: text]
    #[arg(long, env = "PARLOUR_LOG", value_enum)]
    pub log: Option<LogFormat>,
    /// File to log to, instead of standard error; in a folder for logs alone, where older ones are kept
    #[arg(long, env = "PARLOUR_LOG_FILE", value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Least level that is logged: error, warn, info, debug or trace; by module as MODULE=LEVEL,... [default: info]
    #[arg(long, env = "PARLOUR_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// User to run as when started as root
    #[arg(long, env = "PARLOUR_RUN_AS", value_name = "USER")]
    pub run_as: Option<String>,
    /// The sandbox.
    #[command(flatten)]
    pub sandbox: SandboxArguments,
}

/// Options of `check`.
#[derive(Debug, Args)]
#[command(
    after_help = "Only files and addresses that are named here, in the environment or in the file are checked."
)]
pub struct CheckArguments {
    /// The options that `run` has too.
    #[command(flatten)]
    pub options: Options,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Options of `backup`.
#[derive(Debug, Args)]
pub struct BackupArguments {
    /// The file to write
    pub file: PathBuf,
    /// Folder of the database [default: var/server]
    #[arg(long, env = "PARLOUR_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The recipient it is encrypted to, as 'backup-key' or age-keygen printed it
    #[arg(long, env = "PARLOUR_BACKUP_RECIPIENT", value_name = "age1...")]
    pub recipient: Option<String>,
    /// Replace the file if it is there
    #[arg(long)]
    pub force: bool,
    /// TOML file with options; its backup-recipient is the recipient
    #[arg(long, env = "PARLOUR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// The backup
    pub file: PathBuf,
    /// File of the key that opens it
    #[arg(long, value_name = "FILE")]
    pub identity: PathBuf,
    /// Folder for the database, in which there is none [default: var/server]
    #[arg(long, env = "PARLOUR_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// TOML file with options
    #[arg(long, env = "PARLOUR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// The backup
    pub file: PathBuf,
    /// File of the key that opens it
    #[arg(long, value_name = "FILE")]
    pub identity: PathBuf,
}

/// Options of `audit`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = kinds_help())]
pub struct AuditArguments {
    /// The command, if entries are not to be printed.
    #[command(subcommand)]
    pub command: Option<AuditCommand>,
    /// The server's data directory
    #[arg(long, env = "PARLOUR_DATA", value_name = "DIR", default_value = "var/server")]
    pub data: PathBuf,
    /// Only entries since then: 2026-11-21, 2026-11-21T10:00:00Z (UTC), or a time ago: 30m, 2h, 7d
    #[arg(long, value_name = "TIME")]
    pub since: Option<Since>,
    /// Only entries about this user, or about attempts under this name
    #[arg(long, value_name = "NAME")]
    pub user: Option<UserName>,
    /// Only events of this kind
    #[arg(long, value_name = "KIND", value_parser = kind_parser(), hide_possible_values = true)]
    pub kind: Option<Kind>,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

impl AuditArguments {
    /// The data directory of either command.
    pub fn folder(&self) -> &Path {
        match &self.command {
            Some(AuditCommand::Verify(arguments)) => &arguments.data,
            None => &self.data,
        }
    }
}

/// The commands of `audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check the chain; exit status 1 when it was changed, 2 when it cannot be read
    Verify(AuditVerifyArguments),
}

/// Options of `audit verify`.
#[derive(Debug, Args)]
pub struct AuditVerifyArguments {
    /// The server's data directory
    #[arg(long, env = "PARLOUR_DATA", value_name = "DIR", default_value = "var/server")]
    pub data: PathBuf,
    /// The newest hash, as it was printed before; fails if anything was added since
    #[arg(long, value_name = "HASH", value_parser = parse_hash)]
    pub expect: Option<String>,
}

fn kind_parser() -> impl TypedValueParser<Value = Kind> {
    let names = Kind::ALL.iter().map(|(kind, _)| kind.as_str());
    PossibleValuesParser::new(names).try_map(|name| {
        let found = Kind::ALL.iter().find(|(kind, _)| kind.as_str() == name);
        found.map(|(kind, _)| *kind).ok_or("no kind of event")
    })
}

fn parse_hash(text: &str) -> Result<String, &'static str> {
    let fits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fits { Ok(text.to_owned()) } else { Err("a hash is 64 hex digits, as audit verify prints it") }
}

/// The end of `audit --help`: the kinds of events.
fn kinds_help() -> String {
    let rows = Kind::ALL.iter().map(|(kind, help)| format!("  {:<21} {}", kind.as_str(), help.trim()));
    format!("Kinds of events:\n{}", rows.collect::<Vec<_>>().join("\n"))
}

/// The end of `run --help`: the defaults, and the limits with theirs.
fn run_help() -> String {
    let rows = parlour_protocol::limits::TABLE
        .iter()
        .map(|limit| format!("  {:<26} {:>9}  {}", limit.name, limit.default, limit.help.trim()));
    format!(
        "Defaults: --listen 127.0.0.1:7275 --keys keys/server --ttp keys/ttp/ttp.sock --data var/server\n\n\
         Limits and their defaults:\n{}",
        rows.collect::<Vec<_>>().join("\n")
    )
}
