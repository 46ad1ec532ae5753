//! One-shot commands for scripts. They go through the running client that owns the profile; if there is none, they
//! log in for the moment. If that fails, `history` prints what is kept on this machine.

mod kept;

use std::io::{Read as _, Write as _};
use std::time::Duration;

use jiff::tz::TimeZone;
use parlour_protocol::limits::TEXT_BYTES;
use parlour_protocol::{Conversation, Refusal, SafeText, TextError, UserName};
use tokio::sync::watch;

use crate::asking::action::{Action, Answer};
use crate::asking::advice;
use crate::asking::asker::{AskError, Asker, PATIENCE};
use crate::asking::update::{NotSent, Update};
use crate::control;
use crate::engine;
use crate::engine::setup::Setup;
use crate::face::paper::Paper;
use crate::face::why;
use crate::face::wording;
use crate::failure::{Failure, Kind};
use crate::locale::Charset;
use crate::profile::{ProfileError, ProfileLock};
use crate::reading::shown::Shown;
use crate::start::cli::OneShot;

/// The time to wait for answers to messages of an earlier run.
const LEAVING: Duration = Duration::from_secs(2);

/// Carries out a command, and prints the result. False if the server refused the login, and what is kept on this machine
/// was printed.
pub async fn run(command: OneShot, setup: Setup, user: Option<UserName>) -> Result<bool, Failure> {
    let user = which_user(&setup, user)?;
    let json = matches!(command, OneShot::History { json: true, .. });
    let action = action(command)?;
    let profile = setup.profiles.of(&user);
    let failure = match done_somewhere(action.clone(), setup, user).await {
        Ok(answer) => return print(&answer, json).map(|()| true),
        Err(NotDone::Otherwise(failure)) => return Err(failure),
        Err(NotDone::NoLogin(failure)) => failure,
    };
    let is_barred = failure.is_refusal() || *failure.kind() == Kind::Barred;
    let kept = if failure.is_absence() || is_barred { kept::read(&profile, &action)? } else { Vec::new() };
    if kept.is_empty() {
        return Err(failure);
    }
    kept::explain(&failure);
    print(&Answer::History { messages: kept, complete: false, ended: Vec::new() }, json)?;
    Ok(!is_barred)
}

/// Why a command was not carried out.
enum NotDone {
    /// The user could not log in.
    NoLogin(Failure),
    /// Anything else.
    Otherwise(Failure),
}

impl<E: Into<Failure>> From<E> for NotDone {
    fn from(error: E) -> Self {
        Self::Otherwise(error.into())
    }
}

fn which_user(setup: &Setup, user: Option<UserName>) -> Result<UserName, Failure> {
    if let Some(user) = user {
        return Ok(user);
    }
    let folder = setup.profiles.folder().display();
    match setup.profiles.names().as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::usage(format!("there are no keys in {folder}; register a name first"))),
        _ => Err(Failure::usage(format!(
            "there are keys of several users in {folder}; say which: --user NAME"
        ))),
    }
}

fn action(command: OneShot) -> Result<Action, Failure> {
    Ok(match command {
        OneShot::Send { to, text } => {
            let text = match text {
                Some(text) => text,
                None => from_input()?,
            };
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let text = SafeText::parse(text).map_err(|error| {
                let failure = Failure::from(Refusal::from(error));
                match error {
                    TextError::Empty => failure.hinted(advice::EMPTY),
                    TextError::TooLong => failure.hinted(advice::too_long(text.len())),
                    TextError::ControlCharacter => failure,
                }
            })?;
            Action::Say { to: conversation(&to)?, text }
        }
        OneShot::Users => Action::Users,
        OneShot::History { conversation: name, limit, .. } => {
            Action::History { conversation: conversation(&name)?, before: None, generation: None, limit }
        }
    })
}

fn conversation(text: &str) -> Result<Conversation, Failure> {
    text.parse().map_err(|_| {
        Failure::usage(format!("'{text}' is no conversation; write #CHANNEL or @NAME"))
            .hinted(advice::conversation(text))
    })
}

/// The text on standard input. Reading stops as soon as it is too long.
fn from_input() -> Result<String, Failure> {
    let wrong = |reason: String| Failure::usage(format!("standard input: {reason}"));
    // A line feed at the end, and one byte too many.
    let most = TEXT_BYTES as u64 + 2;
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 == most {
        let hint =
            format!("the text on standard input has more than {TEXT_BYTES} bytes, the most for a message");
        return Err(Failure::from(Refusal::MessageTooLong).hinted(hint));
    }
    String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8".to_owned()))
}

async fn done_somewhere(action: Action, setup: Setup, user: UserName) -> Result<Answer, NotDone> {
    if setup.profiles.has(&user) {
        let folder = setup.profiles.of(&user);
        match ProfileLock::take(&folder) {
            // Released at once, because the engine takes it.
            Ok(lock) => drop(lock),
            Err(ProfileError::InUse) => {
                setup.check_pin(&user)?;
                let asked = control::ask(&setup.broker, &user, action, setup.server.clone());
                return Ok(patiently(asked).await?);
            }
            Err(error) => return Err(error.into()),
        }
    }
    let door = control::door(setup.broker.clone());
    let (engine, asker, mut updates) = engine::new(setup, door);
    let running = tokio::spawn(engine.run());
    let (tell, mut waiting) = watch::channel(0);
    let hearing = tokio::spawn(async move {
        // The engine waits until its updates are taken.
        while let Some(update) = updates.recv().await {
            match update {
                Update::Outbox { count, .. } => drop(tell.send_replace(count)),
                Update::NotSent(not_sent) => report(&not_sent),
                _ => {}
            }
        }
    });
    let outcome = logged_in(&asker, action, user).await;
    // Messages of an earlier run are stored or refused by now, or soon; otherwise the next run sends them.
    let _ = tokio::time::timeout(LEAVING, waiting.wait_for(|count| *count == 0)).await;
    let _ = asker.ask(Action::Quit).await;
    let _ = running.await;
    // It ends with the engine, which has said everything by then.
    let _ = hearing.await;
    outcome
}

/// Gives a message back that an earlier run had left to be sent.
fn report(not_sent: &NotSent) {
    let charset = Charset::of_process();
    let failure = not_sent.failure();
    let lines = [
        Some(format!("error: {failure}")),
        failure.hint().map(|hint| format!("hint: {hint}")),
        Some(format!("its text was: {}", not_sent.text)),
    ];
    for line in lines.into_iter().flatten() {
        eprintln!("{}", charset.line(&parlour_protocol::clean(&line)));
    }
}

async fn logged_in(asker: &Asker, action: Action, user: UserName) -> Result<Answer, NotDone> {
    asker.ask(Action::Login { name: user, patient: false }).await.map_err(NotDone::NoLogin)?;
    Ok(patiently(asker.ask(action)).await?)
}

/// Waits for a server that cannot be reached, up to a limit. A message is kept after that, and sent later.
async fn patiently(answer: impl Future<Output = Result<Answer, Failure>>) -> Result<Answer, Failure> {
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(AskError::Unsent.into()))
}

fn print(answer: &Answer, json: bool) -> Result<(), Failure> {
    let zone = TimeZone::system();
    let paper = Paper::output();
    let mut out = std::io::stdout().lock();
    let line = |shown: &Shown| {
        if json {
            serde_json::to_string(shown).unwrap_or_default()
        } else {
            paper.rows(&wording::line(shown, &zone))
        }
    };
    let written = match answer {
        Answer::Said { message } => writeln!(out, "{}", line(message)),
        Answer::Users { users } => {
            writeln!(out, "{}", users.iter().map(UserName::as_str).collect::<Vec<_>>().join(" "))
        }
        Answer::History { messages, .. } => messages.iter().try_for_each(|m| writeln!(out, "{}", line(m))),
        Answer::Why { conversation, ended, refused } => why::lines(conversation, ended, *refused, &zone)
            .iter()
            .try_for_each(|line| writeln!(out, "{line}")),
        Answer::Done | Answer::Registered { .. } | Answer::LoggedIn { .. } => Ok(()),
    };
    written.map_err(|error| Failure::usage(format!("standard output: {error}")))
}
