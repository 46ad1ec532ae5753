//! The command line, with its help. Man page and completions come from here too.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use parlour_keylog::Host;
use parlour_protocol::{DeviceId, ServerAddress, UserName};
use parlour_sandbox::{Mode, ProbeArguments, SandboxArguments};
use parlour_upkeep::logging::LogFormat;

use crate::danger::Danger;

/// Parlour's trusted third party: mints certificates, and never gives a name to a second account.
#[derive(Debug, Parser)]
#[command(name = "parlour-ttp", version, after_help = AFTER_HELP)]
pub struct Cli {
    /// The options of every command.
    #[command(flatten)]
    pub common: Common,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "Options can also stand in a TOML file (--config), named as here without the \
dashes, and in environment variables (PARLOUR_KEYS for --keys). The command line wins over the \
environment, and that over the file.";

/// The options of every command.
#[derive(Debug, Args)]
pub struct Common {
    /// Folder of the keys [default: keys]
    #[arg(long, global = true, value_name = "FOLDER", env = "PARLOUR_KEYS")]
    pub keys: Option<PathBuf>,
    /// TOML file with options
    #[arg(long, global = true, value_name = "FILE", env = "PARLOUR_CONFIG")]
    pub config: Option<PathBuf>,
    /// Form of the log [default: text]
    #[arg(long, global = true, value_name = "FORM", env = "PARLOUR_LOG")]
    pub log: Option<LogFormat>,
    /// Least level that is logged: error, warn, info, debug or trace; by module as MODULE=LEVEL,... [default: info]
    #[arg(long, global = true, value_name = "FILTER", env = "PARLOUR_LOG_LEVEL")]
    pub log_level: Option<String>,
}

/// The command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the root and the key log's key; refuses to overwrite them
    Init(InitArgs),
    /// Mint the server's certificate, and its key if there is none
    ServerCert(ServerCertArgs),
    /// Issue certificates on a socket, until stopped
    Serve(ServeArgs),
    /// For tests: start and confine this process like `serve`, then try an act that must fail
    #[command(hide = true)]
    Probe {
        /// The act to try.
        #[command(flatten)]
        probe: ProbeArguments,
        /// As for `serve`.
        #[command(flatten)]
        serve: ServeArgs,
    },
    /// Revoke a device of a user, or all of them
    Revoke(RevokeArgs),
    /// Show the root's fingerprint, the invitation and every certificate
    Show(ShowArgs),
    /// Check that everything is as it should be; exit status 1 when something is not
    Check(CheckArgs),
    /// Write an encrypted backup of root, keys and database, also while it is served
    Backup(BackupArgs),
    /// Restore a backup into a folder without a root
    Restore(RestoreArgs),
    /// Open a backup and check all of it; exit status 1 when it is not good, 2 when it cannot be checked
    Verify(VerifyArgs),
    /// Make a key that opens backups, and print the recipient to which they are encrypted
    BackupKey {
        /// The new file, best kept on another machine
        file: PathBuf,
    },
    /// Print a script that completes command lines
    #[command(hide = true)]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print a page of the manual
    #[command(hide = true)]
    Manual {
        /// The command; without one, the page of the program.
        command: Option<String>,
    },
}

/// Options of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    #[command(flatten)]
    pub(crate) clock: ClockArgs,
}

/// Options of `server-cert`.
#[derive(Debug, Args)]
pub struct ServerCertArgs {
    /// DNS name or IP address under which clients reach the server; may be given several times
    #[arg(long, value_name = "HOST", env = "PARLOUR_HOST", value_delimiter = ',')]
    pub(crate) host: Vec<Host>,
    /// Keep the present certificate when it is for the same hosts and has 30 days left
    #[arg(long)]
    pub(crate) if_needed: bool,
    #[command(flatten)]
    pub(crate) clock: ClockArgs,
}

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Group that may use the socket, by name or number; without it only this user may
    #[arg(long, value_name = "GROUP", env = "PARLOUR_SOCKET_GROUP")]
    pub(crate) socket_group: Option<String>,
    /// User to run as when started as root
    #[arg(long, value_name = "USER", env = "PARLOUR_RUN_AS")]
    pub(crate) run_as: Option<String>,
    /// File to log to, instead of standard error; in a folder for logs alone, where older ones are kept
    #[arg(long, value_name = "FILE", env = "PARLOUR_LOG_FILE")]
    pub(crate) log_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sandbox: SandboxArguments,
    /// Allow something unsafe that is refused otherwise; may be given several times
    #[arg(long, value_enum, value_name = "WHAT", env = "PARLOUR_ALLOW_UNSAFE", value_delimiter = ',')]
    pub(crate) allow_unsafe: Vec<Danger>,
    #[command(flatten)]
    pub(crate) clock: ClockArgs,
}

/// Options of `revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The user
    #[arg(value_name = "NAME")]
    pub(crate) name: UserName,
    /// The device; without it, all devices of the user
    #[arg(value_name = "DEVICE-ID", value_parser = parse_device)]
    pub(crate) device: Option<DeviceId>,
    #[command(flatten)]
    pub(crate) clock: ClockArgs,
}

fn parse_device(text: &str) -> Result<DeviceId, &'static str> {
    text.parse().map_err(|_| "a device's id is 16 hex digits in lower case, as 'parlour-ttp show' lists them")
}

/// Options of `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Address of the server in the invitation [default: the server certificate's first name]
    #[arg(long, value_name = "HOST:PORT", env = "PARLOUR_SERVER")]
    pub(crate) server: Option<ServerAddress>,
}

/// Options of `check`.
#[derive(Debug, Args)]
#[command(after_help = "Only files that are named here, in the environment or in the file are checked.")]
pub struct CheckArgs {
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// From the file alone: the recipient of backups.
    #[arg(skip)]
    pub(crate) recipient: Option<String>,
    /// From the file alone: the sandbox of `serve`.
    #[arg(skip)]
    pub(crate) sandbox: Option<Mode>,
    #[command(flatten)]
    pub(crate) clock: ClockArgs,
}

/// Options of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write; anyone who opens it can issue certificates for any name
    pub(crate) file: PathBuf,
    /// The recipient it is encrypted to, as 'backup-key' or age-keygen printed it
    #[arg(long, env = "PARLOUR_BACKUP_RECIPIENT", value_name = "age1...")]
    pub(crate) recipient: Option<String>,
    /// Replace the file if it is there
    #[arg(long)]
    pub(crate) force: bool,
}

/// Options of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup
    pub(crate) file: PathBuf,
    /// File of the key that opens it
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: PathBuf,
}

/// Options of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The backup
    pub(crate) file: PathBuf,
    /// File of the key that opens it
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: PathBuf,
}

/// The source of the time.
#[derive(Debug, Clone, Copy, Args)]
pub struct ClockArgs {
    /// For tests: moves this process's clock
    #[arg(long, value_name = "SECONDS", hide = true, allow_negative_numbers = true, default_value_t = 0)]
    pub(crate) clock_offset: i64,
}
