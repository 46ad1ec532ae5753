//! `parlour`: reads the command line and opens a face, or does one thing.

use std::io::IsTerminal as _;
use std::num::NonZero;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use jiff::tz::TimeZone;
use nix::sys::stat::{Mode, umask};
use parlour_client::asking::action::Action;
use parlour_client::asking::asker::{Asker, Outcome};
use parlour_client::engine::setup::Setup;
use parlour_client::face::plain::{Ended, Plain};
use parlour_client::face::{json, tui};
use parlour_client::failure::Failure;
use parlour_client::locale::Charset;
use parlour_client::start::cli::{Cli, Command, Options};
use parlour_client::start::config::{self, Settled};
use parlour_client::start::{confinement, oneshot};
use parlour_client::{control, engine};
use parlour_protocol::UserName;
use parlour_sandbox::Probe;
use tokio::io::{AsyncRead, AsyncReadExt as _};

fn main() -> ExitCode {
    // Whatever this process makes is for its user alone; what others may read says so itself.
    umask(Mode::from_bits_truncate(0o077));
    let cli = Cli::parse();
    let outcome = match cli.command {
        Some(Command::Completions { shell }) => {
            clap_complete::generate(shell, &mut Cli::command(), "parlour", &mut std::io::stdout());
            Ok(true)
        }
        Some(Command::Manual) => clap_mangen::Man::new(Cli::command())
            .render(&mut std::io::stdout())
            .map(|()| true)
            .map_err(|error| Failure::usage(error.to_string())),
        Some(Command::Probe(arguments)) => try_out(&cli.options, &arguments.probe),
        Some(Command::OneShot(command)) => confined(&cli.options, async |setup, user| {
            oneshot::run(command, setup, user).await.map(|()| true)
        }),
        None => confined(&cli.options, async |setup, user| chat(&cli.options, setup, user).await),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            // It may hold words of the server's.
            let charset = Charset::of_process();
            eprintln!("error: {}", charset.line(&parlour_protocol::clean(&failure.to_string())));
            if let Some(hint) = failure.hint() {
                eprintln!("hint: {}", charset.line(hint));
            }
            // What is refused is one thing, what cannot work at all another.
            ExitCode::from(if failure.is_refusal() { 1 } else { 2 })
        }
    }
}

/// Reads the options, confines the process, and works.
fn confined(
    options: &Options,
    work: impl AsyncFnOnce(Setup, Option<UserName>) -> Result<bool, Failure>,
) -> Result<bool, Failure> {
    let Settled { setup, user, sandbox } = config::settle(options)?;
    // Where a container bounds this, it stands in files that are out of reach afterwards.
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let confined = confinement::apply(&setup, sandbox)?;
    let outcome = in_runtime(threads, work(setup, user));
    if outcome.is_err() {
        confined.undo();
    }
    outcome
}

fn in_runtime(threads: usize, work: impl Future<Output = Result<bool, Failure>>) -> Result<bool, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| refused(&error))?;
    let outcome = runtime.block_on(work);
    // A read of standard input that never ends must not keep the process.
    runtime.shutdown_background();
    outcome
}

fn try_out(options: &Options, probe: &Probe) -> Result<bool, Failure> {
    let Settled { setup, sandbox, .. } = config::settle(options)?;
    let confined = confinement::apply(&setup, sandbox)?;
    let outcome = probe.attempt();
    confined.undo();
    outcome.map(|()| true).map_err(|error| refused(&error))
}

fn refused(error: &std::io::Error) -> Failure {
    Failure::usage(format!("the system refused: {error}"))
}

/// Opens a face; returns whether everything was done.
async fn chat(options: &Options, setup: Setup, user: Option<UserName>) -> Result<bool, Failure> {
    let on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let charset = Charset::of_process();
    // Such a terminal does not move its cursor.
    let dumb = on_terminal && std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if dumb && !options.plain && !options.json {
        eprintln!("this terminal cannot show a screen (TERM=dumb), so this is plain lines, as with --plain");
    }
    let profiles = setup.profiles.names();
    let (engine, asker, updates) = engine::new(setup, control::door());
    let running = tokio::spawn(engine.run());
    let outcome = if options.json {
        let login = match user {
            Some(name) => Some(asker.begin(Action::Login { name, patient: true }).await?),
            None => None,
        };
        serve_json(tokio::io::stdin(), asker.clone(), updates, login).await
    } else if options.plain || dumb || !on_terminal {
        let (output, news) = (tokio::io::stdout(), tokio::io::stderr());
        let mut plain = Plain::new(asker.clone(), updates, output, news, TimeZone::system(), charset);
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
        tui::run(asker.clone(), updates, user, profiles, charset).await.map(|()| true)
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
    json::serve(input, tokio::io::stdout(), asker, Some(updates), login)
        .await
        .map_err(|error| Failure::usage(format!("standard input or output: {error}")))
}
