//! Writes the json dialect.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::RequestId;
use crate::command::{Command, Dialect, HistoryRange};
use crate::event::Event;
use crate::message::{Body, Message};
use crate::refusal::Refusal;
use crate::reply::Reply;

/// Writes one object, member by member, into a string.
struct Object {
    text: String,
}

impl Object {
    fn new() -> Self {
        Self { text: String::with_capacity(256) }
    }

    /// Adds a member whose value is JSON already.
    fn raw(mut self, name: &str, json: &str) -> Self {
        self.text.push(if self.text.is_empty() { '{' } else { ',' });
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
        self.text.push_str(json);
        self
    }

    fn member<T: Serialize + ?Sized>(self, name: &str, value: &T) -> Self {
        let json = value_json(value);
        self.raw(name, &json)
    }

    fn bytes(self, name: &str, value: &[u8]) -> Self {
        self.member(name, &URL_SAFE_NO_PAD.encode(value))
    }

    fn maybe<T: Serialize>(self, name: &str, value: Option<&T>) -> Self {
        match value {
            Some(value) => self.member(name, value),
            None => self,
        }
    }

    fn message(self, message: &Message) -> Self {
        let object = self
            .member("to", &message.to)
            .member("from", &message.from)
            .member("seq", &message.seq)
            .member("message_id", &message.id)
            .member("time", &message.time);
        object.body(&message.body)
    }

    fn body(self, body: &Body) -> Self {
        match body {
            Body::Text(text) => self.member("text", text),
            Body::Sealed(sealed) => self.raw("sealed", &sealed.to_json()),
        }
    }

    fn close(mut self) -> String {
        if self.text.is_empty() {
            self.text.push('{');
        }
        self.text.push('}');
        self.text
    }
}

/// Our types have text keys and no failing parts, which are the two ways in which this can fail.
fn value_json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// A command as its line, without line feed.
pub fn encode_command(id: &RequestId, command: &Command) -> String {
    let cmd = |name: &str| Object::new().member("id", id).member("cmd", name);
    match command {
        Command::Register { name, request } => {
            cmd("register").member("name", name).member("request", request)
        }
        Command::Renew { request } => cmd("renew").member("request", request),
        Command::Login { name, signature } => cmd("login").member("name", name).bytes("signature", signature),
        Command::Users => cmd("users"),
        Command::Exit => cmd("exit"),
        Command::Help => cmd("help"),
        Command::Dialect(dialect) => cmd("dialect").member("dialect", dialect),
        Command::Post(post) => {
            cmd("post").member("to", &post.to).maybe("message_id", post.id.as_ref()).body(&post.body)
        }
        Command::Account { name } => cmd("account").member("name", name),
        Command::Conversations => cmd("conversations"),
        Command::History { conversation, range, limit } => {
            let object = cmd("history").member("conversation", conversation);
            let object = match range {
                HistoryRange::Newest => object,
                HistoryRange::Before(seq) => object.member("before", seq),
                HistoryRange::After(seq) => object.member("after", seq),
            };
            object.member("limit", limit)
        }
        Command::Pong => cmd("pong"),
    }
    .close()
}

/// A reply as its line, without line feed.
pub fn encode_reply(id: Option<&RequestId>, reply: &Reply) -> String {
    let ok = |name: &str| Object::new().member("id", &id).member("ok", name);
    match reply {
        Reply::Registered { device_certificate, account_certificate } => ok("registered")
            .bytes("device_certificate", device_certificate)
            .bytes("account_certificate", account_certificate),
        Reply::Renewed { device_certificate } => {
            ok("renewed").bytes("device_certificate", device_certificate)
        }
        Reply::LoggedIn { user, device, time } => {
            ok("logged_in").member("user", user).member("device", device).member("time", time)
        }
        Reply::Users(users) => ok("users").member("users", users),
        Reply::Goodbye => ok("goodbye"),
        Reply::Help(lines) => ok("help").member("commands", lines),
        Reply::Dialect(dialect) => ok("dialect").member::<Dialect>("dialect", dialect),
        Reply::Posted(message) => ok("posted").raw("message", &Object::new().message(message).close()),
        Reply::Account(account) => ok("account")
            .member("user", &account.user)
            .bytes("certificate", &account.certificate)
            .member("revoked", &account.revoked),
        Reply::Conversations(heads) => ok("conversations").member("conversations", heads),
        Reply::History { messages, last } => {
            let items: Vec<String> = messages.iter().map(|m| Object::new().message(m).close()).collect();
            ok("history").member("last", last).raw("messages", &format!("[{}]", items.join(",")))
        }
        Reply::Pong => ok("pong"),
    }
    .close()
}

/// A refusal as its line, without line feed.
pub fn encode_refusal(id: Option<&RequestId>, refusal: &Refusal) -> String {
    let detail = refusal.detail();
    let error = Object::new()
        .member("code", refusal.code())
        .member("message", &refusal.to_string())
        .maybe("word", detail.word.as_ref())
        .maybe("seconds", detail.seconds.as_ref())
        .maybe("incident", detail.incident.as_ref())
        .close();
    Object::new().member("id", &id).raw("error", &error).close()
}

/// An event as its line, without line feed.
pub fn encode_event(event: &Event) -> String {
    let named = |name: &str| Object::new().member("event", name);
    match event {
        Event::Message(message) => named("message").message(message),
        Event::Ping => named("ping"),
        Event::Revoked { user, device, time } => {
            named("revoked").member("user", user).member("device", device).member("time", time)
        }
        Event::Goodbye(farewell) => {
            named("goodbye").member("reason", farewell).member("message", &farewell.to_string())
        }
    }
    .close()
}
