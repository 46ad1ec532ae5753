//! `parlour`: reads the command line and opens a face, or does one thing.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use jiff::tz::TimeZone;
use nix::sys::stat::{Mode, umask};
use parlour_client::action::Action;
use parlour_client::cli::{Cli, Command, Options};
use parlour_client::face::plain::{Ended, Plain};
use parlour_client::face::{json, tui};
use parlour_client::failure::Failure;
use parlour_client::{config, engine, oneshot};
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
            .map_err(|error| Failure::Usage(error.to_string())),
        Some(Command::OneShot(command)) => in_runtime(async {
            let (setup, user) = config::settle(&cli.options)?;
            oneshot::run(command, setup, user).await.map(|()| true)
        }),
        None => in_runtime(chat(&cli.options)),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            // It may hold words of the server's.
            eprintln!("error: {}", parlour_protocol::clean(&failure.to_string()));
            if let Some(hint) = failure.hint() {
                eprintln!("hint: {hint}");
            }
            // What is refused is one thing, what cannot work at all another.
            ExitCode::from(if failure.is_refusal() { 1 } else { 2 })
        }
    }
}

fn in_runtime(work: impl Future<Output = Result<bool, Failure>>) -> Result<bool, Failure> {
    let system = |error: std::io::Error| Failure::Usage(format!("the system refused: {error}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(system)?;
    let outcome = runtime.block_on(work);
    // A read of standard input that never ends must not keep the process.
    runtime.shutdown_background();
    outcome
}

/// Opens a face; returns whether everything was done.
async fn chat(options: &Options) -> Result<bool, Failure> {
    let (setup, user) = config::settle(options)?;
    let on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let profiles = setup.profiles.names();
    let (engine, asker, updates) = engine::new(setup);
    let running = tokio::spawn(engine.run());
    let outcome = if options.json {
        if let Some(name) = user {
            // Its answer comes as events.
            drop(asker.begin(Action::Login { name, patient: true }).await?);
        }
        serve_json(tokio::io::stdin(), asker.clone(), updates).await
    } else if options.plain || !on_terminal {
        let mut plain =
            Plain::new(asker.clone(), updates, tokio::io::stdout(), tokio::io::stderr(), TimeZone::system());
        let mut input = tokio::io::stdin();
        match plain.run(&mut input, user).await {
            Ok(Ended::Left { all_done }) => Ok(all_done),
            Ok(Ended::Json) => {
                let (updates, rest) = plain.into_parts();
                serve_json(std::io::Cursor::new(rest).chain(input), asker.clone(), updates).await
            }
            Err(failure) => Err(failure),
        }
    } else {
        tui::run(asker.clone(), updates, user, profiles).await.map(|()| true)
    };
    if asker.ask(Action::Quit).await.is_ok() {
        let _ = running.await;
    }
    outcome
}

async fn serve_json(
    input: impl AsyncRead + Unpin,
    asker: engine::Asker,
    updates: tokio::sync::mpsc::Receiver<parlour_client::update::Update>,
) -> Result<bool, Failure> {
    json::serve(input, tokio::io::stdout(), asker, Some(updates))
        .await
        .map_err(|error| Failure::Usage(format!("standard input or output: {error}")))
}
