//! The command line. `--help`, the manual page and the completions are made from it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use parlour_sandbox::{ProbeArguments, SandboxArguments};

/// Private chat for groups that run their own server.
///
/// Without a command it opens the chat: on the whole screen of a terminal, or as plain lines if there is no terminal.
#[derive(Debug, Parser)]
#[command(name = "parlour", version, max_term_width = 100)]
pub struct Cli {
    /// Options for all commands.
    #[command(flatten)]
    pub options: Options,
    /// A command to carry out once.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options. A missing one is read from the environment, then from the file.
#[derive(Debug, Args)]
pub struct Options {
    /// HOST:PORT, or an invitation parlour://HOST:PORT/#FINGERPRINT [default: the server in the user's profile, else localhost:7275]
    #[arg(value_name = "SERVER", env = "PARLOUR_SERVER")]
    pub server: Option<String>,
    /// Folder with the users' keys [default: keys/clients if it exists and SERVER is this machine, else a folder in your data directory]
    #[arg(long, global = true, env = "PARLOUR_KEYS", value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// Root certificate to trust [default: the one in the user's profile; for guests of a server on this machine keys/ttp/ca.crt]
    #[arg(long, global = true, env = "PARLOUR_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Log in as this user
    #[arg(long, global = true, env = "PARLOUR_USER", value_name = "NAME")]
    pub user: Option<String>,
    /// Start as a guest, even if only one user has keys on this machine
    #[arg(long, conflicts_with = "user")]
    pub guest: bool,
    /// Use plain lines, even on a terminal
    #[arg(long, conflicts_with = "json_face")]
    pub plain: bool,
    /// Use one JSON object a line, for scripts and bots
    #[arg(id = "json_face", long = "json")]
    pub json: bool,
    /// Most space for each public conversation on this machine; its oldest messages go first, but none that the
    /// server does not have any more (set aside), which do not count [default: 64MiB]
    #[arg(long, global = true, env = "PARLOUR_HISTORY_BYTES", value_name = "SIZE")]
    pub history_bytes: Option<String>,
    /// TOML file with server, keys, ca, user, history-bytes and sandbox
    #[arg(long, global = true, env = "PARLOUR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The sandbox.
    #[command(flatten)]
    pub sandbox: SandboxArguments,
    /// For tests: move this process's clock
    #[arg(long, global = true, hide = true, allow_negative_numbers = true, value_name = "SECONDS")]
    pub clock_offset: Option<i64>,
}

/// A command to carry out once.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Commands for scripts
    #[command(flatten)]
    OneShot(OneShot),
    /// For tests: confine this process as always, then try a forbidden act
    #[command(hide = true)]
    Probe(ProbeArguments),
    /// For tests: the same as a broker
    #[command(hide = true)]
    ProbeBroker(ProbeArguments),
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

/// Commands for scripts; the exit status is 0 only if the command was done.
#[derive(Debug, Subcommand)]
pub enum OneShot {
    /// Send a message to '#CHANNEL' or @NAME, and wait until the server has stored it
    Send {
        /// '#CHANNEL' or @NAME
        to: String,
        /// The text [default: standard input]
        text: Option<String>,
    },
    /// Print the names of the users who are online
    Users,
    /// Print the newest messages of a conversation
    History {
        /// '#CHANNEL' or @NAME
        conversation: String,
        /// The most messages to print
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
}
