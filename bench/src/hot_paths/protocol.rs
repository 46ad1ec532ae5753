//! Reading and writing lines.

use std::hint::black_box;

use anyhow::{Context as _, Result, anyhow};
use parlour_protocol::json::{self, RequestId};
use parlour_protocol::limits::LINE_BYTES;
use parlour_protocol::{Body, Command, Dialect, Event, LineSplitter, Message, Post, Refusal, Request, plain};
use parlour_server::delivery::peer::append_event;

use super::Work;

/// Splits off one line.
pub(super) fn split(message: &Message) -> Work {
    let line = plain_line(message) + "\n";
    let mut splitter = LineSplitter::new(LINE_BYTES);
    Box::new(move || {
        splitter.feed(black_box(line.as_bytes()));
        black_box(splitter.next_line().context("no line")??);
        Ok(())
    })
}

/// Parses a client's message in plain.
pub(super) fn parse_plain(message: &Message) -> Work {
    let line = plain_line(message);
    Box::new(move || {
        black_box(command(plain::parse(black_box(&line)))?);
        Ok(())
    })
}

/// Parses a client's message in json.
pub(super) fn parse_json(message: Message) -> Work {
    let Message { to, id, body, .. } = message;
    let line = json::encode_command(&RequestId::Number(1), &Command::Post(Post { to, id: Some(id), body }));
    Box::new(move || {
        black_box(command(json::parse(black_box(&line)).request)?);
        Ok(())
    })
}

fn command(request: Result<Request, Refusal>) -> Result<Command> {
    request.and_then(|request| request.command).map_err(|refusal| anyhow!("{refusal}"))
}

/// Writes the line that the other clients receive.
pub(super) fn write(dialect: Dialect, message: Message) -> Work {
    let event = Event::Message(message);
    let mut lines = Vec::new();
    Box::new(move || {
        lines.clear();
        append_event(black_box(&event), dialect == Dialect::Json, &mut lines);
        black_box(lines.as_slice());
        Ok(())
    })
}

/// Parses in the client a message from the server.
pub(super) fn parse_server_line(message: Message) -> Result<Work> {
    let mut line = Vec::new();
    json::write_event(&mut line, &Event::Message(message));
    let line = String::from_utf8(line)?;
    Ok(Box::new(move || {
        black_box(json::parse_server_line(black_box(&line))?);
        Ok(())
    }))
}

/// The line that the sender writes in plain.
fn plain_line(message: &Message) -> String {
    match &message.body {
        Body::Text(text) => text.as_str().to_owned(),
        Body::Sealed(sealed) => format!("{} {}", message.to, sealed.as_json()),
        Body::Unknown => String::new(),
    }
}
