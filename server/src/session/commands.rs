//! The commands: one verb, one file.

mod account;
mod conversations;
mod history;
mod login;
mod post;
mod register;
mod renew;
mod revocations;

use parlour_protocol::json::RequestId;
use parlour_protocol::ttp::TtpRefusal;
use parlour_protocol::{Command, Dialect, Refusal, Reply, plain};
use tracing::warn;

use crate::accounts::ttp_client::AskError;
use crate::session::caller::Caller;
use crate::session::connection::LoggedIn;
use crate::session::posts::Posts;

/// The answer to a command, and what changes in the session that gave it.
pub struct Outcome {
    /// Goes to the client.
    pub answer: Result<Reply, Refusal>,
    /// Applied together with the answer.
    pub effect: Effect,
}

/// A change that a command makes to its session.
pub enum Effect {
    /// Nothing.
    None,
    /// The session belongs to a user from now on.
    LogIn(LoggedIn),
    /// The session speaks another dialect after the answer.
    Speak(Dialect),
    /// The session ends once everything queued is sent.
    Leave,
}

impl From<Result<Reply, Refusal>> for Outcome {
    /// An answer that changes nothing.
    fn from(answer: Result<Reply, Refusal>) -> Self {
        Self { answer, effect: Effect::None }
    }
}

/// Carries out one command. `None` for a message that the store has accepted: delivery answers it when it is durable,
/// and the next command may be read meanwhile.
pub async fn run(
    caller: &Caller<'_>,
    posts: &Posts,
    id: Option<&RequestId>,
    command: Command,
) -> Option<Outcome> {
    if !matches!(command, Command::Post(_)) {
        // Send earlier answers now: this command may take a while.
        caller.peer.flush();
        // Replies come in the order of commands.
        posts.settle().await;
    }
    let services = caller.services;
    let answer = match command {
        Command::Post(post) => {
            let refusal = post::run(caller, posts, id, post).await.err()?;
            posts.settle().await;
            Err(refusal)
        }
        Command::Login { name, signature } => return Some(login::run(caller, &name, &signature).await),
        Command::Exit => return Some(Outcome { answer: Ok(Reply::Goodbye), effect: Effect::Leave }),
        Command::Dialect(dialect) => {
            return Some(Outcome { answer: Ok(Reply::Dialect(dialect)), effect: Effect::Speak(dialect) });
        }
        Command::Register { name, request } => register::run(caller, &name, request).await,
        Command::Renew { request } => renew::run(caller, request).await,
        Command::Users => Ok(Reply::Users(services.hub.users())),
        Command::Help => Ok(Reply::Help(help(caller.peer.speaks_json()))),
        Command::Account { name } => account::run(&services.directory, &name).await,
        Command::Conversations => match caller.user() {
            Ok(user) => conversations::run(user, &*services.store).await,
            Err(refusal) => Err(refusal),
        },
        Command::History { conversation, range, limit } => match caller.user() {
            Ok(user) => {
                let asked = history::Asked { conversation: &conversation, range, limit };
                history::run(user, &services.directory, &*services.store, asked).await
            }
            Err(refusal) => Err(refusal),
        },
        Command::Revocations { after } => revocations::run(&*services.store, after).await,
        Command::Pong => Ok(Reply::Pong),
    };
    Some(answer.into())
}

fn help(in_json: bool) -> Vec<String> {
    if in_json {
        [
            "register",
            "renew",
            "login",
            "users",
            "exit",
            "help",
            "dialect",
            "post",
            "account",
            "conversations",
            "history",
            "revocations",
            "pong",
        ]
        .map(str::to_owned)
        .to_vec()
    } else {
        plain::help()
    }
}

/// A refusal with the real reason, which only the audit log gets.
struct Refused {
    refusal: Refusal,
    reason: String,
}

impl Refused {
    fn by_ttp(error: &AskError) -> Self {
        Self { refusal: ttp_refusal(error), reason: error.to_string() }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { reason: refusal.to_string(), refusal }
    }
}

/// The refusal that a client gets if the TTP does not issue.
fn ttp_refusal(error: &AskError) -> Refusal {
    match error {
        AskError::Refused(refusal) => match refusal {
            TtpRefusal::NameTaken => Refusal::UserExists,
            TtpRefusal::UnknownDevice | TtpRefusal::Revoked => Refusal::InvalidCredentials,
            TtpRefusal::Format | TtpRefusal::BadRequest | TtpRefusal::Unknown => Refusal::RequestRefused,
            TtpRefusal::Internal => {
                warn!("the TTP failed; its log says why");
                Refusal::AuthorityUnavailable
            }
        },
        AskError::Unavailable(_) => {
            warn!(%error, "a request was not passed on");
            Refusal::AuthorityUnavailable
        }
    }
}
