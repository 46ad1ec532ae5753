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

/// Writes one object, member by member, at the end of a buffer.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    begun: bool,
}

impl<'a> Object<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, begun: false }
    }

    /// Begins a member; its value comes next.
    #[inline]
    fn name(&mut self, name: &str) {
        let opening = if std::mem::replace(&mut self.begun, true) { b',' } else { b'{' };
        self.out.extend_from_slice(&[opening, b'"']);
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// Adds a member whose value is JSON already.
    fn raw(mut self, name: &str, json: &str) -> Self {
        self.name(name);
        self.out.extend_from_slice(json.as_bytes());
        self
    }

    fn member<T: Serialize + ?Sized>(mut self, name: &str, value: &T) -> Self {
        self.name(name);
        write_value(self.out, value);
        self
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

    /// Adds a member whose value is an object.
    fn object(mut self, name: &str, members: impl FnOnce(Object<'_>) -> Object<'_>) -> Self {
        self.name(name);
        members(Object::new(self.out)).close();
        self
    }

    /// Adds a member whose value is an array of messages.
    fn messages(mut self, name: &str, messages: &[Message]) -> Self {
        self.name(name);
        let mut before = b'[';
        for message in messages {
            self.out.push(std::mem::replace(&mut before, b','));
            Object::new(self.out).message(message).close();
        }
        self.out.extend_from_slice(if messages.is_empty() { b"[]" } else { b"]" });
        self
    }

    #[inline]
    fn message(self, message: &Message) -> Self {
        let object = self
            .member("to", &message.to)
            .member("from", &message.from)
            .member("seq", &message.seq)
            .member("message_id", &message.id)
            .member("time", &message.time);
        object.body(&message.body)
    }

    #[inline]
    fn body(self, body: &Body) -> Self {
        match body {
            Body::Text(text) => self.member("text", text.as_str()),
            Body::Sealed(sealed) => self.raw("sealed", sealed.as_json()),
            Body::Unknown => self,
        }
    }

    fn close(self) {
        self.out.extend_from_slice(if self.begun { b"}" } else { b"{}" });
    }
}

/// This can fail only for keys that are not text, for values that cannot be serialized, and for writers that fail.
/// Our types have neither, and writing to a vector never fails.
fn write_value<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let before = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(before);
        out.extend_from_slice(b"null");
    }
}

/// A command as its line, without line feed.
pub fn encode_command(id: &RequestId, command: &Command) -> String {
    let mut line = Vec::with_capacity(256);
    write_command(&mut line, id, command);
    // Only text was written above.
    String::from_utf8(line).unwrap_or_default()
}

fn write_command(out: &mut Vec<u8>, id: &RequestId, command: &Command) {
    let object = Object::new(out).member("id", id);
    let cmd = |name: &str| object.member("cmd", name);
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
        Command::Revocations { after } => cmd("revocations").member("after", after),
        Command::Pong => cmd("pong"),
    }
    .close();
}

/// Appends a reply as its line, without line feed.
pub fn write_reply(out: &mut Vec<u8>, id: Option<&RequestId>, reply: &Reply) {
    let object = Object::new(out).member("id", &id);
    let ok = |name: &str| object.member("ok", name);
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
        Reply::Posted(message) => ok("posted").object("message", |object| object.message(message)),
        Reply::Account(account) => ok("account")
            .member("user", &account.user)
            .bytes("certificate", &account.certificate)
            .member("revoked", &account.revoked),
        Reply::Conversations(heads) => ok("conversations").member("conversations", heads),
        Reply::History { messages, last } => {
            ok("history").member("last", last).messages("messages", messages)
        }
        Reply::Revocations { statements, more } => {
            ok("revocations").member("revocations", statements).member("more", more)
        }
        Reply::Pong => ok("pong"),
    }
    .close();
}

/// Appends a refusal as its line, without line feed.
pub fn write_refusal(out: &mut Vec<u8>, id: Option<&RequestId>, refusal: &Refusal) {
    let detail = refusal.detail();
    Object::new(out)
        .member("id", &id)
        .object("error", |error| {
            error
                .member("code", refusal.code())
                .member("message", &refusal.to_string())
                .maybe("word", detail.word.as_ref())
                .maybe("seconds", detail.seconds.as_ref())
                .maybe("incident", detail.incident.as_ref())
        })
        .close();
}

/// Appends an event as its line, without line feed.
pub fn write_event(out: &mut Vec<u8>, event: &Event) {
    let object = Object::new(out);
    let named = |name: &str| object.member("event", name);
    match event {
        Event::Message(message) => named("message").message(message),
        Event::Ping => named("ping"),
        Event::Revoked { user, device, time, number, statement } => named("revoked")
            .member("user", user)
            .member("device", device)
            .member("time", time)
            .maybe("number", number.as_ref())
            .maybe("statement", statement.as_ref()),
        Event::Goodbye(farewell) => {
            named("goodbye").member("reason", farewell).member("message", &farewell.to_string())
        }
    }
    .close();
}
