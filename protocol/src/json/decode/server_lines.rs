//! Reads what a server sends to clients. Parts that only a newer server writes are kept as unknown.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::MOST;
use crate::conversation::Conversation;
use crate::event::{Event, Farewell};
use crate::json::{RequestId, ServerLine, ServerLineError};
use crate::message::{Body, Message, Seq};
use crate::message_id::MessageId;
use crate::name::{DeviceId, UserName};
use crate::object::from_object;
use crate::refusal::{Detail, Refusal, excerpt, if_known};
use crate::reply::{AccountInfo, ConversationHead, Reply, RevokedDevice};
use crate::sealed::SealedMessage;
use crate::text::SafeText;
use crate::timestamp::Timestamp;

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
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    sealed: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct DestinationObject<'a> {
    #[serde(borrow)]
    to: Cow<'a, str>,
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
    #[serde(default, deserialize_with = "if_known")]
    newest: Option<MessageId>,
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
    #[serde(default, deserialize_with = "if_known")]
    message: Option<String>,
}

#[derive(Deserialize)]
struct RevokedObject {
    user: UserName,
    device: DeviceId,
    time: Timestamp,
    #[serde(default, deserialize_with = "if_known")]
    number: Option<u64>,
    #[serde(default, deserialize_with = "if_known")]
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
            Err(Unread::Newer(what)) => Ok(ServerLine::UnknownEvent(excerpt(&what))),
            Err(Unread::Faulty(error)) => Err(error),
            Ok(line) => Ok(line),
        },
        (None, None, None) => {
            let what = "a line that is neither a reply nor an event";
            Ok(match id {
                Some(id) => ServerLine::Reply { id: Some(id), reply: Err(unknown_reply(what)) },
                None => ServerLine::UnknownEvent(what.to_owned()),
            })
        }
        _ => Err(ServerLineError("more than one of ok, error and event".to_owned())),
    }
}

/// Returns true for the line with which a server answers `/dialect json`: what follows is json.
pub fn is_begun(line: &str) -> bool {
    from_object::<DialectObject>(line).is_ok_and(|object| object.dialect == "json")
}

fn object<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, ServerLineError> {
    // The error quotes the line, so it is cleaned.
    from_object(line).map_err(|error| ServerLineError(excerpt(&error.to_string())))
}

fn certificate(text: &str) -> Result<Vec<u8>, ServerLineError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| ServerLineError("a certificate is not base64url".to_owned()))
}

/// The reasons why a line was not read.
enum Unread {
    /// The line contains something that only a newer version knows, named here. The connection goes on.
    Newer(String),
    /// A line that no version writes.
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
        format!("the server answered with something that this version does not know: {}", excerpt(what));
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
            let known = |head: HeadObject| {
                let HeadObject { name, last, newest } = head;
                Some(ConversationHead { name: name.parse().ok()?, last, newest })
            };
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
        "message" => Event::Message(message_event(line)?),
        "ping" => Event::Ping,
        "goodbye" => {
            let GoodbyeObject { reason, message } = object(line)?;
            let Some(farewell) = farewell(&reason) else {
                let words = message.unwrap_or(reason);
                return Ok(ServerLine::UnknownFarewell(excerpt(&words)));
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

/// Reads a message event. One in an unknown kind of conversation may have members of any form.
fn message_event(line: &str) -> Result<Message, Unread> {
    object(line).map_err(Unread::from).and_then(message).map_err(|unread| {
        match object::<DestinationObject<'_>>(line) {
            Ok(DestinationObject { to }) if to.parse::<Conversation>().is_err() => newer_conversation(&to),
            _ => unread,
        }
    })
}

fn newer_conversation(to: &str) -> Unread {
    Unread::Newer(format!("a message in {to}"))
}

fn message(object: MessageObject<'_>) -> Result<Message, Unread> {
    let MessageObject { to, from, seq, message_id, time, text, sealed } = object;
    let to = to.parse().map_err(|_| newer_conversation(&to))?;
    if !(1..=MOST).contains(&seq) || time.as_millis().unsigned_abs() > MOST {
        return Err(ServerLineError("a number is out of bounds".to_owned()).into());
    }
    let body = match (text, sealed) {
        (Some(json), None) => text_of(json).map_or(Body::Unknown, Body::Text),
        (None, Some(json)) => SealedMessage::from_json(json.get()).map_or(Body::Unknown, Body::Sealed),
        (None, None) | (Some(_), Some(_)) => Body::Unknown,
    };
    Ok(Message { to, from, seq, id: message_id, time, body })
}

/// A text of the kind that this version knows. A newer one may be longer, or no JSON text at all.
fn text_of(json: &RawValue) -> Option<SafeText> {
    let text: Cow<'_, str> = serde_json::from_str(json.get()).ok()?;
    SafeText::parse(&text).ok()
}
