//! `parlour-ttp`: reads the command line, runs the command, and reports errors on standard error.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use parlour_ttp::cli::Cli;
use parlour_ttp::commands;

/// The exit status of a command that could not be carried out.
const FAILED: u8 = 2;

/// The exit status of a check that found a fault.
const NOT_WELL: u8 = 1;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    match commands::run(cli, &mut io::stdout()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_WELL),
        Err(error) => {
            let failed = fail(&error.to_string(), error.hint().as_deref());
            if error.is_damage() { ExitCode::from(NOT_WELL) } else { failed }
        }
    }
}

/// Prints what the parser of the command line says: help and version unchanged, errors on one line like ours.
fn refuse(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            fail("no command was given", Some("'parlour-ttp help' lists the commands"))
        }
        _ => {
            let text = error.render().to_string();
            let fact = text.split("\n\n").next().unwrap_or_default();
            let fact = fact.strip_prefix("error: ").unwrap_or(fact);
            fail(fact, Some("'parlour-ttp help' lists commands and options"))
        }
    }
}

fn fail(fact: &str, hint: Option<&str>) -> ExitCode {
    let mut out = io::stderr().lock();
    // One line, whatever was in a name or a path.
    let fact = fact.split_whitespace().collect::<Vec<_>>().join(" ");
    // If standard error is closed, nobody is left to be told.
    let _ = writeln!(out, "error: {fact}");
    if let Some(hint) = hint {
        let _ = writeln!(out, "hint: {hint}");
    }
    ExitCode::from(FAILED)
}
