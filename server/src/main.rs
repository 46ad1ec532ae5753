//! `parlour-server`: reads the command line and runs the server.

use std::io::{ErrorKind, Write as _};
use std::num::NonZero;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use parlour_sandbox::Probe;
use parlour_server::operations::backup::{self, BackupError};
use parlour_server::operations::cli::{AuditArguments, CheckArguments, Cli, Command, RunArguments};
use parlour_server::operations::config::{Configuration, Settings};
use parlour_server::operations::data::database_in;
use parlour_server::operations::startup::StartError;
use parlour_server::operations::{audit, check, confinement};
use parlour_server::server;
use parlour_server::server::{Listening, Prepared};
use parlour_upkeep::{key, logging};
use tracing::warn;

/// The exit status of a command that could not be carried out.
const FAILED: u8 = 2;

/// The exit status of a check that found a fault.
const NOT_WELL: u8 = 1;

fn main() -> ExitCode {
    let out = &mut std::io::stdout();
    match Cli::parse().command {
        Command::Run(arguments) => ended(settings(*arguments).and_then(run)),
        Command::Audit(arguments) => read_audit_log(arguments),
        Command::Probe { probe, arguments } => {
            ended(settings(*arguments).and_then(|settings| try_out(&settings, &probe.probe)))
        }
        Command::Check(arguments) => match check(*arguments) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(NOT_WELL),
            Err(error) => fail(&error, error.hint(), FAILED),
        },
        Command::Backup(arguments) => backed_up(owners_alone(|| backup::backup(arguments, out))),
        Command::Restore(arguments) => backed_up(owners_alone(|| backup::restore(arguments, out))),
        Command::Verify(arguments) => backed_up(owners_alone(|| backup::verify(&arguments, out))),
        Command::BackupKey { file } => match key::make(&file) {
            Ok(recipient) => {
                // If the output was closed, the recipient can still be read in the file.
                let _ = writeln!(out, "{recipient}");
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error, Some(error.hint("parlour-server")), FAILED),
        },
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "parlour-server", out);
            ExitCode::SUCCESS
        }
        Command::Manual => match clap_mangen::Man::new(Cli::command()).render(out) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(FAILED),
        },
    }
}

fn read_audit_log(arguments: AuditArguments) -> ExitCode {
    let database = database_in(arguments.folder());
    // Without the right to look, the file would seem to be missing.
    if let Err(error) = database.metadata()
        && error.kind() == ErrorKind::PermissionDenied
    {
        let problem = format!("cannot look at {}: {error}", database.display());
        return fail(&problem, Some("run this as the server's user, or as root".to_owned()), FAILED);
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match audit::run(arguments, &mut out) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_WELL),
        Err(error) => fail(&error, audit::hint(&error).map(str::to_owned), FAILED),
    }
}

fn settings(arguments: RunArguments) -> Result<Settings, StartError> {
    Ok(Settings::new(arguments)?)
}

fn ended(outcome: Result<(), StartError>) -> ExitCode {
    outcome.map_or_else(|error| fail(&error, error.hint(), FAILED), |()| ExitCode::SUCCESS)
}

fn fail(error: &impl std::fmt::Display, hint: Option<String>, status: u8) -> ExitCode {
    eprintln!("error: {error}");
    if let Some(hint) = hint {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(status)
}

/// Runs `act` with every new file for this process's user alone.
fn owners_alone<T>(act: impl FnOnce() -> T) -> T {
    umask(Mode::from_bits_truncate(0o077));
    act()
}

fn backed_up(outcome: Result<(), BackupError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, error.hint(), if error.is_damage() { NOT_WELL } else { FAILED }),
    }
}

/// Returns true if nothing is wrong.
fn check(arguments: CheckArguments) -> Result<bool, StartError> {
    let configured = Configuration::new(arguments.options)?;
    let refused = |error: std::io::Error| StartError::System(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
    let report = runtime.block_on(check::check(&configured));
    check::write(&report, &configured.limits, arguments.json, &mut std::io::stdout()).map_err(refused)?;
    Ok(report.is_well())
}

/// Each connection is an open file; the system's usual limit would be reached before ours.
fn raise_open_files(settings: &Settings) {
    // The database, its log, keys, pipes and sockets of our own.
    const OWN: u64 = 100;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let wanted = settings.limits.connections.saturating_add(OWN).min(hard);
    if soft < wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_err() {
        warn!(soft, "the limit of open files could not be raised");
    } else if wanted < settings.limits.connections {
        warn!(hard, "the system allows fewer open files than connections are allowed");
    }
}

/// Lets the C library keep the memory that a batch of messages used, for the next batch. Otherwise it returns that
/// memory to the system each time, and every page of it costs a fault when it is used again. Glibc keeps twice the
/// size of the largest block that it mapped by itself and was given back; other libraries take no notice.
fn keep_freed_memory() {
    const HALF: usize = 4 << 20;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(HALF)));
}

/// Does everything that must happen before the process is confined.
fn prepare(settings: &Settings) -> Result<Prepared, StartError> {
    // Every new file is for this process's user alone.
    umask(Mode::from_bits_truncate(0o077));
    logging::begin(settings.log, &settings.log_level, &settings.log_target)?;
    raise_open_files(settings);
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return Err(StartError::System("TLS was set up twice".to_owned()));
    }
    Prepared::new(settings)
}

fn run(settings: Settings) -> Result<(), StartError> {
    let prepared = prepare(&settings)?;
    keep_freed_memory();
    // Read before confinement: afterwards the files with a container's limit are out of reach.
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    confinement::apply(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| StartError::System(error.to_string()))?;
    runtime.block_on(server::run(settings, prepared, |Listening { address, metrics }| {
        // The process that started the server may be waiting for these lines, or may be gone.
        let metrics = metrics.map_or_else(String::new, |address| format!("metrics on {address}\n"));
        let mut stdout = std::io::stdout();
        let _ = write!(stdout, "listening on {address}\n{metrics}").and_then(|()| stdout.flush());
    }))
}

fn try_out(settings: &Settings, probe: &Probe) -> Result<(), StartError> {
    let _prepared = prepare(settings)?;
    confinement::apply(settings)?;
    probe.attempt().map_err(|error| StartError::System(error.to_string()))
}
