//! What the server does for each command: one verb, one file.

mod account;
mod history;
mod login;
mod post;
mod register;
mod renew;

use parlour_protocol::authority::AuthorityRefusal;
use parlour_protocol::json::RequestId;
use parlour_protocol::{Command, Refusal, Reply, Verb, plain};
use tracing::{error, warn};

use crate::accounts::ttp_client::AuthorityError;
use crate::session::{Session, Standing};
use crate::store::StoreError;

/// What becomes of the session after a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum After {
    /// It goes on.
    Stay,
    /// It ends once everything queued was sent.
    Leave,
}

/// Carries out one command, and queues its one reply.
pub async fn run(session: &mut Session, id: Option<RequestId>, command: Command) -> After {
    if let Command::Post(post) = command {
        // Messages are answered when they are stored; the next may be read meanwhile.
        if let Err(refusal) = post::run(session, id.clone(), post).await {
            session.settle().await;
            session.answer(id.as_ref(), &Err(refusal));
        }
        return After::Stay;
    }
    // What was said before is sent: this may take its time.
    session.peer.flush();
    // Replies come in the order of commands.
    session.settle().await;
    let verb = command.verb();
    let answer = match command {
        Command::Post(_) => return After::Stay,
        Command::Register { name, request } => register::run(session, &name, request).await,
        Command::Renew { request } => renew::run(session, request).await,
        Command::Login { name, signature } => login::run(session, &name, &signature).await,
        Command::Users => Ok(Reply::Users(session.services.hub.users())),
        Command::Exit => Ok(Reply::Goodbye),
        Command::Help => Ok(Reply::Help(help(session))),
        Command::Dialect(dialect) => Ok(Reply::Dialect(dialect)),
        Command::Account { name } => account::run(session, &name).await,
        Command::Conversations => conversations(session).await,
        Command::History { conversation, range, limit } => {
            history::run(session, &conversation, range, limit).await
        }
        Command::Pong => Ok(Reply::Pong),
    };
    session.answer(id.as_ref(), &answer);
    let after = match answer {
        Ok(Reply::Goodbye) => After::Leave,
        // Each guess at a login costs a handshake.
        Err(Refusal::InvalidCredentials) if verb == Verb::Login => After::Leave,
        _ => After::Stay,
    };
    session.peer.outbox.release(after == After::Stay);
    after
}

fn help(session: &Session) -> Vec<String> {
    if session.peer.speaks_json() {
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
            "pong",
        ]
        .map(str::to_owned)
        .to_vec()
    } else {
        plain::help()
    }
}

async fn conversations(session: &Session) -> Result<Reply, Refusal> {
    let Standing::User { user, .. } = &session.standing else { return Err(Refusal::NotNow) };
    let heads = session.services.store.conversations(user.clone()).await;
    heads.map(Reply::Conversations).map_err(|error| store_refusal(&error))
}

/// Our own fault gets an opaque number, under which the log says more.
fn internal(error: &dyn std::fmt::Display) -> Refusal {
    let incident = format!("{:08x}", rand::random::<u32>());
    error!(incident, %error, "internal error");
    Refusal::Internal { incident }
}

/// What a client hears of a failing store.
pub(crate) fn store_refusal(error: &StoreError) -> Refusal {
    match error {
        StoreError::NameTaken => Refusal::UserExists,
        StoreError::IdInUse => Refusal::IdInUse,
        StoreError::AccountFull => Refusal::AccountFull,
        // The writer tells the log, once for many.
        StoreError::Full | StoreError::NotWritten => Refusal::NotStored,
        StoreError::OtherRevocation | StoreError::Damaged(_) | StoreError::Failed(_) | StoreError::Closed => {
            internal(error)
        }
    }
}

/// A refusal with its real reason, which is for the audit log alone.
struct Refused {
    refusal: Refusal,
    reason: String,
}

impl Refused {
    fn by_authority(error: &AuthorityError) -> Self {
        Self { refusal: authority_refusal(error), reason: error.to_string() }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { reason: refusal.to_string(), refusal }
    }
}

/// What a client hears of a failing authority.
fn authority_refusal(error: &AuthorityError) -> Refusal {
    match error {
        AuthorityError::Refused(refusal) => match refusal {
            AuthorityRefusal::NameTaken => Refusal::UserExists,
            AuthorityRefusal::UnknownDevice | AuthorityRefusal::Revoked => Refusal::InvalidCredentials,
            AuthorityRefusal::Format | AuthorityRefusal::BadRequest => Refusal::RequestRefused,
            AuthorityRefusal::Internal => {
                warn!("the authority failed on its side; its log says why");
                Refusal::AuthorityUnavailable
            }
        },
        AuthorityError::Unavailable(_) => {
            warn!(%error, "a request was not passed on");
            Refusal::AuthorityUnavailable
        }
    }
}
