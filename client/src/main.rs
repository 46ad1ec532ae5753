//! `parlour`: reads the command line and opens a face, or does one thing.

use std::io::IsTerminal as _;
use std::num::NonZero;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use jiff::tz::TimeZone;
use nix::sys::stat::{Mode, umask};
use parlour_client::asking::action::Action;
use parlour_client::asking::asker::{Asker, Outcome};
use parlour_client::broker::Broker;
use parlour_client::engine::setup::Setup;
use parlour_client::face::json::{self, Requests};
use parlour_client::face::paper::Paper;
use parlour_client::face::plain::{Ended, Plain};
use parlour_client::face::tui::{self, FirstLogin};
use parlour_client::failure::Failure;
use parlour_client::locale::Charset;
use parlour_client::start::cli::{Cli, Command, Options};
use parlour_client::start::config::{self, Settled};
use parlour_client::start::{self, confinement, oneshot};
use parlour_client::{control, engine};
use parlour_protocol::UserName;
use parlour_sandbox::Probe;
use tokio::io::{AsyncRead, AsyncReadExt as _};

fn main() -> ExitCode {
    // Files of this process are for its user alone, unless they are made with other permissions.
    umask(Mode::from_bits_truncate(0o077));
    if Broker::is_above() {
        return exit(client());
    }
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Completions { shell }) => {
            clap_complete::generate(shell, &mut Cli::command(), "parlour", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
        Some(Command::Manual) => exit(
            clap_mangen::Man::new(Cli::command())
                .render(&mut std::io::stdout())
                .map(|()| true)
                .map_err(|error| Failure::usage(error.to_string())),
        ),
        Some(Command::ProbeBroker(arguments)) => {
            let tried = start::broker::try_out(&cli.options, &arguments.probe);
            exit(tried.map_err(Failure::from).and_then(outcome_of_probe))
        }
        Some(Command::Probe(_) | Command::OneShot(_)) | None => {
            start::broker::run(&cli.options).unwrap_or_else(|error| exit(Err(error.into())))
        }
    }
}

/// Runs the client that a broker started. The broker has read the same arguments.
fn client() -> Result<bool, Failure> {
    let Some(broker) = Broker::adopt().map_err(|error| refused(&error))? else { return Ok(false) };
    let cli = Cli::parse_from(std::iter::once("parlour".into()).chain(std::env::args_os().skip(1)));
    match cli.command {
        Some(Command::Probe(arguments)) => try_out(&cli.options, broker, &arguments.probe),
        Some(Command::OneShot(command)) => {
            confined(&cli.options, broker, async |setup, user| oneshot::run(command, setup, user).await)
        }
        None => confined(&cli.options, broker, async |setup, user| chat(&cli.options, setup, user).await),
        Some(Command::ProbeBroker(_) | Command::Completions { .. } | Command::Manual) => {
            Err(Failure::usage("this needs no client".to_owned()))
        }
    }
}

/// Reports an error, and returns the exit status.
fn exit(outcome: Result<bool, Failure>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            // It may contain the server's words.
            let charset = Charset::of_process();
            eprintln!("error: {}", charset.line(&parlour_protocol::clean(&failure.to_string())));
            if let Some(hint) = failure.hint() {
                eprintln!("hint: {}", charset.line(hint));
            }
            // A refusal is 1; 2 means that the client could not work at all.
            ExitCode::from(if failure.is_refusal() { 1 } else { 2 })
        }
    }
}

/// Reads the options, confines the process, and works.
fn confined(
    options: &Options,
    broker: Broker,
    work: impl AsyncFnOnce(Setup, Option<UserName>) -> Result<bool, Failure>,
) -> Result<bool, Failure> {
    let Settled { setup, user, sandbox } = config::settle(options, broker)?;
    // A container's limit on this is in files that cannot be read after confinement.
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    confinement::apply(&setup, sandbox)?;
    in_runtime(threads, work(setup, user))
}

fn in_runtime(threads: usize, work: impl Future<Output = Result<bool, Failure>>) -> Result<bool, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| refused(&error))?;
    let outcome = runtime.block_on(work);
    // A read of standard input that never ends must not keep the process alive.
    runtime.shutdown_background();
    outcome
}

fn try_out(options: &Options, broker: Broker, probe: &Probe) -> Result<bool, Failure> {
    let Settled { setup, sandbox, .. } = config::settle(options, broker)?;
    confinement::apply(&setup, sandbox)?;
    outcome_of_probe(probe.attempt())
}

fn outcome_of_probe(outcome: std::io::Result<()>) -> Result<bool, Failure> {
    outcome.map(|()| true).map_err(|error| refused(&error))
}

fn refused(error: &std::io::Error) -> Failure {
    Failure::usage(format!("the system refused: {error}"))
}

/// Opens a face; returns true if everything was done.
async fn chat(options: &Options, setup: Setup, user: Option<UserName>) -> Result<bool, Failure> {
    let on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let charset = Charset::of_process();
    // Such a terminal cannot move its cursor.
    let dumb = on_terminal && std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if dumb && !options.plain && !options.json {
        eprintln!("this terminal cannot move its cursor (TERM=dumb): using plain lines, as with --plain");
    }
    let profiles = setup.profiles.names();
    let only_user = if user.is_none() && !options.guest { setup.only_user() } else { None };
    let door = control::door(setup.broker.clone());
    let (engine, asker, updates) = engine::new(setup, door);
    let running = tokio::spawn(engine.run());
    let outcome = if options.json {
        let login = match user {
            Some(name) => Some(asker.begin(Action::Login { name, patient: true }).await?),
            None => None,
        };
        serve_json(tokio::io::stdin(), asker.clone(), updates, login).await
    } else if options.plain || dumb || !on_terminal {
        let output = (tokio::io::stdout(), Paper::output());
        let news = (tokio::io::stderr(), Paper::errors());
        let mut plain = Plain::new(asker.clone(), updates, output, news, TimeZone::system());
        let mut input = tokio::io::stdin();
        match plain.run(&mut input, user).await {
            Ok(Ended::Left { all_done }) => Ok(all_done),
            Ok(Ended::Json) => {
                let (updates, rest) = plain.into_parts();
                serve_json(std::io::Cursor::new(rest).chain(input), asker.clone(), updates, None).await
            }
            Err(failure) => Err(failure),
        }
    } else {
        let login = match (user, only_user) {
            (Some(name), _) => FirstLogin::Asked(name),
            (None, Some(name)) => FirstLogin::Only(name),
            (None, None) => FirstLogin::None,
        };
        tui::run(asker.clone(), updates, login, profiles, charset).await.map(|()| true)
    };
    if asker.ask(Action::Quit).await.is_ok() {
        let _ = running.await;
    }
    outcome
}

async fn serve_json(
    input: impl AsyncRead + Unpin,
    asker: Asker,
    updates: tokio::sync::mpsc::Receiver<parlour_client::asking::update::Update>,
    login: Option<Outcome>,
) -> Result<bool, Failure> {
    json::serve(input, tokio::io::stdout(), Requests::new(asker), Some(updates), login)
        .await
        .map_err(|error| Failure::usage(format!("standard input or output: {error}")))
}
