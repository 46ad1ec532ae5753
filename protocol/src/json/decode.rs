//! Reads the json dialect.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Incoming, RequestId, ServerLine, ServerLineError};
use crate::command::{Command, Dialect, HistoryRange, Post, Request, Verb};
use crate::conversation::Conversation;
use crate::event::{Event, Farewell};
use crate::limits::{HISTORY_PAGE, SEALED_BYTES};
use crate::message::{Body, Message, Seq};
use crate::message_id::MessageId;
use crate::name::{DeviceId, UserName};
use crate::object::from_object;
use crate::refusal::{Detail, Refusal, if_known, told};
use crate::reply::{AccountInfo, ConversationHead, Reply, RevokedDevice};
use crate::sealed::SealedMessage;
use crate::text::SafeText;
use crate::timestamp::Timestamp;

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
pub(super) fn parse_in_two(line: &str) -> Incoming {
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

#[derive(Deserialize)]
struct ServerHead {
    #[serde(default)]
    id: Option<RequestId>,
    ok: Option<String>,
    error: Option<ErrorObject>,
    event: Option<String>,
}

#[derive(Deserialize)]
struct ErrorObject {
    code: String,
    #[serde(default, deserialize_with = "if_known")]
    message: Option<String>,
    #[serde(flatten)]
    detail: Detail,
}

#[derive(Deserialize)]
struct MessageObject<'a> {
    #[serde(borrow)]
    to: Cow<'a, str>,
    from: UserName,
    seq: Seq,
    message_id: MessageId,
    time: Timestamp,
    text: Option<String>,
    #[serde(borrow)]
    sealed: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RegisteredObject {
    device_certificate: String,
    account_certificate: String,
}

#[derive(Deserialize)]
struct RenewedObject {
    device_certificate: String,
}

#[derive(Deserialize)]
struct LoggedInObject {
    user: UserName,
    device: DeviceId,
    time: Timestamp,
}

#[derive(Deserialize)]
struct UsersObject {
    users: Vec<UserName>,
}

#[derive(Deserialize)]
struct HelpObject {
    commands: Vec<String>,
}

#[derive(Deserialize)]
struct PostedObject<'a> {
    #[serde(borrow)]
    message: MessageObject<'a>,
}

#[derive(Deserialize)]
struct AccountObject {
    user: UserName,
    certificate: String,
    #[serde(default)]
    revoked: Vec<RevokedDevice>,
}

#[derive(Deserialize)]
struct ConversationsObject {
    conversations: Vec<HeadObject>,
}

#[derive(Deserialize)]
struct HeadObject {
    name: String,
    last: Seq,
}

#[derive(Deserialize)]
struct HistoryObject<'a> {
    last: Seq,
    #[serde(borrow)]
    messages: Vec<MessageObject<'a>>,
}

#[derive(Deserialize)]
struct RevocationsObject {
    revocations: Vec<String>,
    #[serde(default)]
    more: bool,
}

#[derive(Deserialize)]
struct DialectObject {
    dialect: String,
}

#[derive(Deserialize)]
struct GoodbyeObject {
    reason: String,
    message: Option<String>,
}

#[derive(Deserialize)]
struct RevokedObject {
    user: UserName,
    device: DeviceId,
    time: Timestamp,
    number: Option<u64>,
    statement: Option<String>,
}

/// Reads a line from a server.
pub fn parse_server_line(line: &str) -> Result<ServerLine, ServerLineError> {
    let head: ServerHead = object(line)?;
    let id = head.id.filter(RequestId::is_sound);
    match (head.ok, head.error, head.event) {
        (Some(ok), None, None) => match reply(&ok, line) {
            Ok(reply) => Ok(ServerLine::Reply { id, reply: Ok(reply) }),
            Err(Unread::Newer(what)) => Ok(ServerLine::Reply { id, reply: Err(unknown_reply(&what)) }),
            Err(Unread::Faulty(error)) => Err(error),
        },
        (None, Some(error), None) => {
            // A code that this program does not know keeps its text for the user.
            let refusal = Refusal::from_code(&error.code, &error.detail)
                .unwrap_or_else(|| Refusal::newer(&error.code, error.message.as_deref()));
            Ok(ServerLine::Reply { id, reply: Err(refusal) })
        }
        (None, None, Some(name)) => match event(&name, line) {
            Err(Unread::Newer(what)) => Ok(ServerLine::UnknownEvent(told(&what))),
            Err(Unread::Faulty(error)) => Err(error),
            Ok(line) => Ok(line),
        },
        _ => Err(ServerLineError("not exactly one of ok, error and event".to_owned())),
    }
}

fn object<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, ServerLineError> {
    // The error quotes the line.
    from_object(line).map_err(|error| ServerLineError(told(&error.to_string())))
}

fn certificate(text: &str) -> Result<Vec<u8>, ServerLineError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| ServerLineError("a certificate is not base64url".to_owned()))
}

/// The reasons why a line was not read.
enum Unread {
    /// The line contains something that only a newer version knows, named here. The connection goes on.
    Newer(String),
    /// No version writes such a line.
    Faulty(ServerLineError),
}

impl From<ServerLineError> for Unread {
    fn from(error: ServerLineError) -> Self {
        Self::Faulty(error)
    }
}

/// A refusal that stands for an unknown reply of a newer server: it is neither a success nor a fault of the line.
fn unknown_reply(what: &str) -> Refusal {
    let message =
        format!("the server answered with something that this version does not know: {}", told(what));
    Refusal::Unknown { code: "unknown_reply".to_owned(), message }
}

fn reply(ok: &str, line: &str) -> Result<Reply, Unread> {
    Ok(match ok {
        "registered" => {
            let RegisteredObject { device_certificate, account_certificate } = object(line)?;
            Reply::Registered {
                device_certificate: certificate(&device_certificate)?,
                account_certificate: certificate(&account_certificate)?,
            }
        }
        "renewed" => Reply::Renewed {
            device_certificate: certificate(&object::<RenewedObject>(line)?.device_certificate)?,
        },
        "logged_in" => {
            let LoggedInObject { user, device, time } = object(line)?;
            Reply::LoggedIn { user, device, time }
        }
        "users" => Reply::Users(object::<UsersObject>(line)?.users),
        "goodbye" => Reply::Goodbye,
        "help" => Reply::Help(object::<HelpObject>(line)?.commands),
        "dialect" => {
            let DialectObject { dialect } = object(line)?;
            let known = serde_json::from_value(serde_json::Value::from(dialect.as_str()));
            Reply::Dialect(known.map_err(|_| Unread::Newer(format!("dialect {dialect}")))?)
        }
        "posted" => Reply::Posted(message(object::<PostedObject<'_>>(line)?.message)?),
        "account" => {
            let AccountObject { user, certificate: der, revoked } = object(line)?;
            Reply::Account(AccountInfo { user, certificate: certificate(&der)?, revoked })
        }
        "conversations" => {
            // Unknown kinds of conversation are skipped.
            let heads = object::<ConversationsObject>(line)?.conversations.into_iter();
            let known =
                |head: HeadObject| Some(ConversationHead { name: head.name.parse().ok()?, last: head.last });
            Reply::Conversations(heads.filter_map(known).collect())
        }
        "history" => {
            let HistoryObject { last, messages } = object(line)?;
            let messages = messages.into_iter().map(message).collect::<Result<_, _>>()?;
            Reply::History { messages, last }
        }
        "revocations" => {
            let RevocationsObject { revocations, more } = object(line)?;
            Reply::Revocations { statements: revocations, more }
        }
        "pong" => Reply::Pong,
        _ => return Err(Unread::Newer(ok.to_owned())),
    })
}

fn event(name: &str, line: &str) -> Result<ServerLine, Unread> {
    Ok(ServerLine::Event(match name {
        "message" => Event::Message(message(object(line)?)?),
        "ping" => Event::Ping,
        "goodbye" => {
            let GoodbyeObject { reason, message } = object(line)?;
            let Some(farewell) = farewell(&reason) else {
                let words = message.unwrap_or(reason);
                return Ok(ServerLine::UnknownFarewell(told(&words)));
            };
            Event::Goodbye(farewell)
        }
        "revoked" => {
            let RevokedObject { user, device, time, number, statement } = object(line)?;
            Event::Revoked { user, device, time, number, statement }
        }
        _ => return Err(Unread::Newer(name.to_owned())),
    }))
}

/// The known reason with this name.
fn farewell(reason: &str) -> Option<Farewell> {
    serde_json::from_value(serde_json::Value::from(reason)).ok()
}

/// The largest number that every JSON reader holds exactly (RFC 8259, 6). No conversation or clock reaches it.
const MOST: u64 = 1 << 53;

fn message(object: MessageObject<'_>) -> Result<Message, Unread> {
    let MessageObject { to, from, seq, message_id, time, text, sealed } = object;
    if !(1..=MOST).contains(&seq) || time.as_millis().unsigned_abs() > MOST {
        return Err(ServerLineError("a number is out of bounds".to_owned()).into());
    }
    let body = match (text, sealed) {
        (Some(text), None) => {
            Body::Text(SafeText::parse(&text).map_err(|error| ServerLineError(error.to_string()))?)
        }
        (None, Some(json)) => SealedMessage::from_json(json.get()).map_or(Body::Unknown, Body::Sealed),
        (None, None) | (Some(_), Some(_)) => Body::Unknown,
    };
    let to = to.parse().map_err(|_| Unread::Newer(format!("a message in {to}")))?;
    Ok(Message { to, from, seq, id: message_id, time, body })
}
