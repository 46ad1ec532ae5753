//! Reads what clients send to a server.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::MOST;
use crate::command::{Command, Dialect, HistoryRange, Post, Request, Verb};
use crate::conversation::Conversation;
use crate::json::{Incoming, RequestId};
use crate::limits::{HISTORY_PAGE, SEALED_BYTES};
use crate::message::{Body, Seq};
use crate::message_id::MessageId;
use crate::name::UserName;
use crate::object::from_object;
use crate::refusal::Refusal;
use crate::sealed::SealedMessage;
use crate::text::SafeText;

#[derive(Deserialize)]
struct CommandHead {
    #[serde(default)]
    id: Option<RequestId>,
    cmd: Option<String>,
}

/// A complete `post`, which is parsed in one pass because most lines, and the longest ones, are posts.
#[derive(Deserialize)]
struct PostLine<'a> {
    id: RequestId,
    #[serde(borrow)]
    cmd: Cow<'a, str>,
    to: Conversation,
    message_id: MessageId,
    text: Option<String>,
    #[serde(borrow)]
    sealed: Option<&'a RawValue>,
}

/// Reads a line from a client.
pub fn parse(line: &str) -> Incoming {
    match from_object::<PostLine<'_>>(line) {
        Ok(PostLine { id, cmd, to, message_id, text, sealed }) if cmd == "post" && id.is_sound() => {
            let command = post(PostArguments { to, message_id, text, sealed }).map(Command::Post);
            Incoming { id: Some(id), request: Ok(Request { verb: Verb::Post, command }) }
        }
        _ => parse_in_two(line),
    }
}

/// Parses the command's name first and its arguments after that. This distinguishes wrong arguments from a line
/// that names no command.
pub(in crate::json) fn parse_in_two(line: &str) -> Incoming {
    let Ok(head) = from_object::<CommandHead>(line) else {
        return Incoming { id: None, request: Err(Refusal::Format) };
    };
    let id = head.id.filter(RequestId::is_sound);
    let Some(cmd) = head.cmd else {
        return Incoming { id, request: Err(Refusal::Format) };
    };
    let request = match verb(&cmd) {
        None => Err(Refusal::unknown(&cmd)),
        Some(verb) if id.is_none() => Ok(refused(verb)),
        Some(verb) => Ok(Request { verb, command: arguments(verb, line) }),
    };
    Incoming { id, request }
}

fn refused(verb: Verb) -> Request {
    Request { verb, command: Err(Refusal::Format) }
}

fn verb(cmd: &str) -> Option<Verb> {
    Some(match cmd {
        "register" => Verb::Register,
        "renew" => Verb::Renew,
        "login" => Verb::Login,
        "users" => Verb::Users,
        "exit" => Verb::Exit,
        "help" => Verb::Help,
        "dialect" => Verb::Dialect,
        "post" => Verb::Post,
        "account" => Verb::Account,
        "conversations" => Verb::Conversations,
        "history" => Verb::History,
        "revocations" => Verb::Revocations,
        "pong" => Verb::Pong,
        _ => return None,
    })
}

#[derive(Deserialize)]
struct RegisterArguments {
    name: UserName,
    request: String,
}

#[derive(Deserialize)]
struct RenewArguments {
    request: String,
}

#[derive(Deserialize)]
struct LoginArguments {
    name: UserName,
    signature: String,
}

#[derive(Deserialize)]
struct DialectArguments {
    dialect: Dialect,
}

#[derive(Deserialize)]
struct AccountArguments {
    name: UserName,
}

#[derive(Deserialize)]
struct HistoryArguments {
    conversation: Conversation,
    before: Option<Seq>,
    after: Option<Seq>,
    limit: Option<u16>,
}

#[derive(Deserialize)]
struct PostArguments<'a> {
    to: Conversation,
    message_id: MessageId,
    text: Option<String>,
    #[serde(borrow)]
    sealed: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RevocationsArguments {
    after: u64,
}

fn arguments(verb: Verb, line: &str) -> Result<Command, Refusal> {
    Ok(match verb {
        Verb::Register => {
            let RegisterArguments { name, request } = read(line)?;
            Command::Register { name, request }
        }
        Verb::Renew => Command::Renew { request: read::<RenewArguments>(line)?.request },
        Verb::Login => {
            let LoginArguments { name, signature } = read(line)?;
            Command::Login { name, signature: bytes(&signature).ok_or(Refusal::Format)? }
        }
        Verb::Users => Command::Users,
        Verb::Exit => Command::Exit,
        Verb::Help => Command::Help,
        Verb::Dialect => Command::Dialect(read::<DialectArguments>(line)?.dialect),
        Verb::Post => Command::Post(post(read(line)?)?),
        Verb::Account => Command::Account { name: read::<AccountArguments>(line)?.name },
        Verb::Conversations => Command::Conversations,
        Verb::History => history(read(line)?)?,
        Verb::Revocations => revocations(&read(line)?)?,
        Verb::Pong => Command::Pong,
    })
}

fn read<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, Refusal> {
    from_object(line).map_err(|_| Refusal::Format)
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD.decode(text)).ok()
}

fn post(arguments: PostArguments<'_>) -> Result<Post, Refusal> {
    let PostArguments { to, message_id, text, sealed } = arguments;
    let body = match (&to, text, sealed) {
        (Conversation::Channel(_), Some(text), None) => Body::Text(SafeText::parse(&text)?),
        (Conversation::Direct(_), None, Some(json)) => {
            if json.get().len() > SEALED_BYTES {
                return Err(Refusal::MessageTooLong);
            }
            Body::Sealed(SealedMessage::from_json(json.get()).map_err(|_| Refusal::MustBeSealed)?)
        }
        (Conversation::Direct(_), Some(_), None) => return Err(Refusal::MustBeSealed),
        _ => return Err(Refusal::Format),
    };
    match &body {
        Body::Sealed(sealed) if sealed.id != message_id => Err(Refusal::Format),
        _ => Ok(Post { to, id: Some(message_id), body }),
    }
}

fn history(arguments: HistoryArguments) -> Result<Command, Refusal> {
    let HistoryArguments { conversation, before, after, limit } = arguments;
    let range = match (before, after) {
        (None, None) => HistoryRange::Newest,
        (Some(seq), None) => HistoryRange::Before(seq),
        (None, Some(seq)) => HistoryRange::After(seq),
        (Some(_), Some(_)) => return Err(Refusal::Format),
    };
    let limit = limit.unwrap_or(HISTORY_PAGE);
    if !(1..=HISTORY_PAGE).contains(&limit) {
        return Err(Refusal::Format);
    }
    Ok(Command::History { conversation, range, limit })
}

fn revocations(arguments: &RevocationsArguments) -> Result<Command, Refusal> {
    let RevocationsArguments { after } = *arguments;
    if after < MOST { Ok(Command::Revocations { after }) } else { Err(Refusal::Format) }
}
