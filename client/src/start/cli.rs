//! The command line. `--help`, the manual and the completions come from here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use parlour_sandbox::{ProbeArguments, SandboxArguments};

/// Private chat for groups that run their own server.
///
/// Without a command it opens the chat: in the terminal, or, without one, as plain lines.
#[derive(Debug, Parser)]
#[command(name = "parlour", version, max_term_width = 100)]
pub struct Cli {
    /// Where and as whom.
    #[command(flatten)]
    pub options: Options,
    /// Something to do once.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options. What is not given here is looked for in the environment, then in the file.
#[derive(Debug, Args)]
pub struct Options {
    /// HOST:PORT, or an invitation parlour://HOST:PORT/#FINGERPRINT [default: the server of the keys or of the only user, else localhost:7275]
    #[arg(value_name = "SERVER", env = "PARLOUR_SERVER")]
    pub server: Option<String>,
    /// Folder with the users' keys [default: keys/clients if it is there and SERVER is this machine, else in your data directory]
    #[arg(long, global = true, env = "PARLOUR_KEYS", value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// Root certificate to trust [default: the one of the keys; for guests at this machine keys/ttp/ca.crt]
    #[arg(long, global = true, env = "PARLOUR_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Log in as this user
    #[arg(long, global = true, env = "PARLOUR_USER", value_name = "NAME")]
    pub user: Option<String>,
    /// Start as a guest, also when the only keys on this machine would be logged in with
    #[arg(long, conflicts_with = "user")]
    pub guest: bool,
    /// Plain lines, also on a terminal
    #[arg(long, conflicts_with = "json_face")]
    pub plain: bool,
    /// One JSON object a line, for scripts and bots
    #[arg(id = "json_face", long = "json")]
    pub json: bool,
    /// What each public conversation may take on this machine, as in 64MiB; its oldest messages go first
    /// [default: 64MiB]
    #[arg(long, global = true, env = "PARLOUR_HISTORY_BYTES", value_name = "SIZE")]
    pub history_bytes: Option<String>,
    /// TOML file with server, keys, ca, user, history-bytes and sandbox
    #[arg(long, global = true, env = "PARLOUR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How this process confines itself.
    #[command(flatten)]
    pub sandbox: SandboxArguments,
    /// For tests: moves this process's clock
    #[arg(long, global = true, hide = true, allow_negative_numbers = true, value_name = "SECONDS")]
    pub clock_offset: Option<i64>,
}

/// Something to do once.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What goes through a running client, or logs in for the moment
    #[command(flatten)]
    OneShot(OneShot),
    /// For tests: confine this process as always, and then try what it must not do
    #[command(hide = true)]
    Probe(ProbeArguments),
    /// For tests: the same as a broker
    #[command(hide = true)]
    ProbeBroker(ProbeArguments),
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

/// For scripts; the exit status is 0 only when it was done.
#[derive(Debug, Subcommand)]
pub enum OneShot {
    /// Say something in '#CHANNEL' or to @NAME; done when the server has stored it
    Send {
        /// '#CHANNEL' or @NAME
        to: String,
        /// What to say [default: standard input]
        text: Option<String>,
    },
    /// Print who is online
    Users,
    /// Print the newest messages of a conversation
    History {
        /// '#CHANNEL' or @NAME
        conversation: String,
        /// How many at most
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
}
