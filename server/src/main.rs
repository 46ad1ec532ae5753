//! `parlour-server`: reads the command line and runs the server.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use nix::sys::stat::{Mode, umask};
use parlour_server::cli::{Cli, Command};
use parlour_server::config::Settings;
use parlour_server::startup::StartError;
use parlour_server::{logging, server};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(arguments) => match Settings::new(*arguments).and_then(run) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                if let Some(hint) = error.hint() {
                    eprintln!("hint: {hint}");
                }
                ExitCode::from(2)
            }
        },
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "parlour-server", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
        Command::Manual => match clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(2),
        },
    }
}

fn run(settings: Settings) -> Result<(), StartError> {
    logging::start(&settings)?;
    // Whatever this process makes is for its user alone.
    umask(Mode::from_bits_truncate(0o077));
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return Err(StartError::System("TLS was set up twice".to_owned()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::System(error.to_string()))?;
    runtime.block_on(server::run(settings, |address| {
        let mut stdout = std::io::stdout();
        // Whoever started the server waits for this line; nobody may be there to read it.
        let _ = writeln!(stdout, "listening on {address}").and_then(|()| stdout.flush());
    }))
}
