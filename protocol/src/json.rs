//! The json dialect: one JSON object on each line, for programs.
//!
//! A command has an `id` chosen by the client (a number or a short text) and its name in `cmd`. The reply has the
//! same `id` and its kind in `ok`, or an `error`. An event has its kind in `event`. Both sides ignore members that
//! they do not know, so that both can be extended.

mod decode;
mod encode;

use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use crate::command::Request;
use crate::event::Event;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::text::has_control;

pub use decode::{is_begun, parse, parse_server_line};
pub use encode::{encode_command, write_event, write_refusal, write_reply};

/// The client's id for a command, which the reply repeats.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(untagged)]
pub enum RequestId {
    /// A whole number from 0 to 2^64 - 1.
    Number(u64),
    /// A text of at most [`RequestId::TEXT_BYTES`] bytes without control characters.
    Text(String),
}

impl RequestId {
    /// The longest text, in bytes.
    pub const TEXT_BYTES: usize = 64;

    /// Returns true if the id can be sent back in a reply: on one line, and not read as a faulty one.
    fn is_sound(&self) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Text(text) => text.len() <= Self::TEXT_BYTES && !has_control(text, b""),
        }
    }
}

/// Written by hand, because the code that `serde` derives copies every value to try it twice.
impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;

        impl Visitor<'_> for NumberOrText {
            type Value = RequestId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or a text")
            }

            fn visit_u64<E>(self, number: u64) -> Result<RequestId, E> {
                Ok(RequestId::Number(number))
            }

            fn visit_str<E>(self, text: &str) -> Result<RequestId, E> {
                Ok(RequestId::Text(text.to_owned()))
            }
        }

        deserializer.deserialize_any(NumberOrText)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A line from a client: its id, if it has a readable one, and the request. `Err` is an unknown command, or a line
/// that is not JSON.
#[derive(Debug)]
pub struct Incoming {
    /// Repeated in the reply, as `null` when it is `None`.
    pub id: Option<RequestId>,
    /// The request.
    pub request: Result<Request, Refusal>,
}

/// A line from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerLine {
    /// The answer to the command with this id; `None` when the server could not read the id.
    Reply {
        /// The command's id.
        id: Option<RequestId>,
        /// The reply.
        reply: Result<Reply, Refusal>,
    },
    /// Something happened, without a command.
    Event(Event),
    /// A newer server closes the connection, for a reason that is unknown here. Its text, cleaned.
    UnknownFarewell(String),
    /// Another event from a newer server, or a message in an unknown kind of conversation. Its kind, cleaned.
    UnknownEvent(String),
}

/// A line from a server that this program cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a line is not understood: {0}")]
pub struct ServerLineError(pub(crate) String);

/// The cases of a file of lines from the future: each is a comment, of which the word before the colon is returned,
/// and the lines that follow it.
#[cfg(test)]
pub(crate) fn future_cases(file: &str, lines: usize) -> Vec<(&str, Vec<&str>)> {
    let all: Vec<&str> = file.lines().collect();
    all.chunks(lines + 1)
        .map(|case| {
            let word = case[0].strip_prefix("# ").and_then(|about| about.split_once(": ")).unwrap().0;
            assert_eq!(case.len(), lines + 1, "{}", case[0]);
            (word, case[1..].to_vec())
        })
        .collect()
}

#[cfg(test)]
mod tests;
