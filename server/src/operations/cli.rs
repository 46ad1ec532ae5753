//! The command line. `--help`, the manual and the completions come from here.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use parlour_protocol::UserName;
use parlour_sandbox::{ProbeArguments, SandboxArguments};
use parlour_upkeep::logging::LogFormat;

use crate::audit::{Kind, Since};

use crate::operations::danger::Danger;

/// Parlour's server: authenticates, relays, and keeps what it cannot read.
#[derive(Debug, Parser)]
#[command(name = "parlour-server", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server until SIGTERM or SIGINT; SIGHUP reads keys and certificates again
    Run(Box<RunArguments>),
    /// Read the audit log, also while the server runs; `audit verify` checks that nobody changed it
    Audit(AuditArguments),
    /// For tests: start like `run`, confine this process in the same way, and then try what it must not do
    #[command(hide = true)]
    Probe {
        /// What to try.
        #[command(flatten)]
        probe: ProbeArguments,
        /// As for `run`.
        #[command(flatten)]
        arguments: Box<RunArguments>,
    },
    /// Look whether everything is as it should be; exit status 1 when something is not
    Check(Box<CheckArguments>),
    /// Write an encrypted backup, also while the server runs
    Backup(BackupArguments),
    /// Put back what is in a backup
    Restore(RestoreArguments),
    /// Open a backup in a temporary place and check all of it; exit status 1 when it is not good, 2 when that
    /// could not be tried
    Verify(VerifyArguments),
    /// Make a key that opens backups, and print the recipient to which they are encrypted
    BackupKey {
        /// The new file, best kept on another machine
        file: PathBuf,
    },
    /// Print completions for a shell
    #[command(hide = true)]
    Completions {
        /// For which shell.
        shell: Shell,
    },
    /// Print the manual page
    #[command(hide = true)]
    Manual,
}

/// What `run` and `check` have in common. What is not given here is looked for in the environment, then in
/// the file.
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
    /// Address of this machine alone on which the operator's program asks by HTTP for /metrics, /healthz and
    /// /readyz; none unless it is given
    #[arg(long, env = "PARLOUR_METRICS", value_name = "HOST:PORT")]
    pub metrics: Option<String>,
    /// Set a limit; may be given several times
    #[arg(long = "limit", env = "PARLOUR_LIMIT", value_name = "NAME=VALUE", value_delimiter = ',')]
    pub limits: Vec<String>,
    /// Do something unsafe that is refused otherwise; may be given several times
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
    /// What `check` has too.
    #[command(flatten)]
    pub options: Options,
    /// How log lines are written [default: text]
    #[arg(long, env = "PARLOUR_LOG", value_enum)]
    pub log: Option<LogFormat>,
    /// File to log to, instead of standard error; in a folder for logs alone, where older ones are kept
    #[arg(long, env = "PARLOUR_LOG_FILE", value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// What is logged: error, warn, info, debug or trace, or MODULE=LEVEL, several with commas [default: info]
    #[arg(long, env = "PARLOUR_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// User to run as when started as root
    #[arg(long, env = "PARLOUR_RUN_AS", value_name = "USER")]
    pub run_as: Option<String>,
    /// How this process confines itself.
    #[command(flatten)]
    pub sandbox: SandboxArguments,
}

/// Options of `check`: what is not named there, in the environment or in the file, is not checked.
#[derive(Debug, Args)]
#[command(after_help = "What is not named, here, in the environment or in the file, is not checked.")]
pub struct CheckArguments {
    /// What `run` has too.
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
    /// To whom it is encrypted, as 'backup-key' or age-keygen printed it
    #[arg(long, env = "PARLOUR_BACKUP_RECIPIENT", value_name = "age1...")]
    pub recipient: Option<String>,
    /// Replace the file if it is there
    #[arg(long)]
    pub force: bool,
    /// TOML file with options; the recipient stands there as backup-recipient
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
    /// What to do instead of printing entries.
    #[command(subcommand)]
    pub command: Option<AuditCommand>,
    /// The server's data directory
    #[arg(long, env = "PARLOUR_DATA", value_name = "DIR", default_value = "var/server")]
    pub data: PathBuf,
    /// Only entries from then on: 2026-11-21, 2026-11-21T10:00:00Z (UTC), or how long ago: 30m, 2h, 7d
    #[arg(long, value_name = "TIME")]
    pub since: Option<Since>,
    /// Only what has to do with this user, or was tried under this name
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
    /// The data directory that is meant.
    pub fn folder(&self) -> &Path {
        match &self.command {
            Some(AuditCommand::Verify(arguments)) => &arguments.data,
            None => &self.data,
        }
    }
}

/// What `audit` does besides printing entries.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check the chain: exit status 0 when it holds, 1 when it does not, 2 when it could not be looked at
    Verify(AuditVerifyArguments),
}

/// Options of `audit verify`.
#[derive(Debug, Args)]
pub struct AuditVerifyArguments {
    /// The server's data directory
    #[arg(long, env = "PARLOUR_DATA", value_name = "DIR", default_value = "var/server")]
    pub data: PathBuf,
    /// The newest hash as it was printed before; nothing may have happened since
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

/// The kinds of events, for the end of `--help`.
fn kinds_help() -> String {
    let rows = Kind::ALL.iter().map(|(kind, help)| format!("  {:<21} {}", kind.as_str(), help.trim()));
    format!("Kinds of events:\n{}", rows.collect::<Vec<_>>().join("\n"))
}

/// The defaults, of limits too, for the end of `--help`.
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
