//! The json dialect: one JSON object a line, for programs.
//!
//! A command has an `id` of the client's choosing (a number or a short text) and its name in `cmd`; the
//! reply bears the same `id` and says in `ok` what it is, or has an `error`. An event says in `event`
//! what it is. Members that a side does not know are ignored, so that both sides can grow.

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

pub use decode::{parse, parse_server_line};
pub use encode::{encode_command, write_event, write_refusal, write_reply};

/// What a client calls a command, so that it knows the reply.
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

    /// Whether it can go back with a reply: on one line, which nobody takes for a faulty one.
    fn is_sound(&self) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Text(text) => text.len() <= Self::TEXT_BYTES && !has_control(text, b""),
        }
    }
}

/// By hand, because what `serde` derives for this keeps a copy of every value to try it twice.
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

/// A line from a client: its id, if it had one that could be read, and the request. `Err` is an
/// unknown command or no JSON.
#[derive(Debug)]
pub struct Incoming {
    /// Goes back with the reply; `null` there when it is `None`.
    pub id: Option<RequestId>,
    /// The request.
    pub request: Result<Request, Refusal>,
}

/// A line from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerLine {
    /// The answer to the command with this id; `None` when the server could not read the id.
    Reply {
        /// Whose answer.
        id: Option<RequestId>,
        /// The answer.
        reply: Result<Reply, Refusal>,
    },
    /// Something happened.
    Event(Event),
    /// A newer server closes, for a reason that has no name here; its words, clean.
    UnknownFarewell(String),
    /// Another event of a newer server, or a message in a kind of conversation that has no name here; what it
    /// is, clean.
    UnknownEvent(String),
}

/// A line from a server that this program cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the server's line is not understood: {0}")]
pub struct ServerLineError(pub(crate) String);

#[cfg(test)]
mod tests;
