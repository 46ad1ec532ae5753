//! Asking in JSON, one object a line: the language of the json face and of a running client's socket.
//!
//! `{"id":1,"do":"say","to":"@sam","text":"hello"}` is answered by `{"id":1,"ok":"said","message":{...}}`
//! or `{"id":1,"error":{"code":"...","message":"...","hint":"..."}}`.

use parlour_protocol::{Conversation, SafeText, ServerAddress, TextError, UserName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::action::{Action, Answer};
use super::advice;
use crate::failure::{Explain, Explanation, Failure, Kind};

/// An action with an id.
#[derive(Serialize, Deserialize)]
pub struct Request {
    /// Any JSON value; the response repeats it.
    pub id: Value,
    /// The action.
    #[serde(flatten)]
    pub action: Action,
    /// The server that the request is for; needed where that is not obvious.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub server: Option<String>,
}

/// The client that was asked is connected to another server than the one that was named.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the client that is running with these keys is at {here}")]
pub struct OtherServer {
    /// Its server.
    pub here: ServerAddress,
}

impl Explain for OtherServer {
    fn explain(&self) -> Explanation {
        Explanation::new("other_server", Kind::Failed)
            .hint("name that server, or none, to ask that client; or end it first")
    }
}

/// The response to a request: an answer or an error.
#[derive(Serialize, Deserialize)]
pub struct Response {
    /// The request's id.
    pub id: Value,
    /// The answer, when it was done.
    #[serde(flatten)]
    pub answer: Option<Answer>,
    /// The error, when it was not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<ErrorObject>,
}

/// Why something was not done, and what the user can do about it.
#[derive(Serialize, Deserialize)]
pub struct ErrorObject {
    /// For programs.
    pub code: String,
    /// For people.
    pub message: String,
    /// Advice on what to do about it, for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// True if the request was refused, false if it failed. Older clients leave it out.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub refused: bool,
}

impl Request {
    /// Reads a line. A fault in a request that has an `id` is answered under that id.
    pub fn parse(line: &str) -> Result<Self, Box<Response>> {
        serde_json::from_str(line).map_err(|error| {
            let object: Value = serde_json::from_str(line).unwrap_or_default();
            let failure = Failure::usage(format!("not understood: {error}"));
            let failure = match wrong(&object) {
                Some(hint) => failure.hinted(hint),
                None => failure,
            };
            Box::new(Response::new(object.get("id").cloned().unwrap_or_default(), Err(failure)))
        })
    }
}

/// Names the member of a request that is wrong, where that can be told.
fn wrong(request: &Value) -> Option<String> {
    let text = |member: &str| request.get(member).and_then(Value::as_str);
    let name = text("name").filter(|name| name.parse::<UserName>().is_err()).map(advice::name);
    let conversation = || {
        let named = ["to", "conversation"].into_iter().find_map(text)?;
        named.parse::<Conversation>().is_err().then(|| advice::conversation(named))
    };
    let said = || match SafeText::parse(text("text")?) {
        Err(TextError::TooLong) => Some(advice::too_long(text("text")?.len())),
        Err(TextError::Empty) => Some(advice::EMPTY.to_owned()),
        Ok(_) | Err(TextError::ControlCharacter) => None,
    };
    name.or_else(conversation).or_else(said)
}

impl Response {
    /// The response to request `id`.
    pub fn new(id: Value, outcome: Result<Answer, Failure>) -> Self {
        match outcome {
            Ok(answer) => Self { id, answer: Some(answer), error: None },
            Err(failure) => Self { id, answer: None, error: Some(ErrorObject::new(&failure)) },
        }
    }

    /// The outcome on the asking side. `None` for a response that holds neither answer nor error.
    pub fn outcome(self) -> Option<Result<Answer, Failure>> {
        match (self.answer, self.error) {
            (Some(answer), _) => Some(Ok(answer)),
            (None, Some(ErrorObject { code, message, hint, refused })) => {
                Some(Err(Failure::elsewhere(code, message, hint, refused)))
            }
            (None, None) => None,
        }
    }
}

impl ErrorObject {
    /// A failure as JSON.
    pub fn new(failure: &Failure) -> Self {
        Self {
            code: failure.code().to_owned(),
            message: failure.to_string(),
            hint: failure.hint().map(str::to_owned),
            refused: failure.is_refusal(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_names_the_member_of_a_request_that_is_wrong() {
        for (line, hint) in [
            (r#"{"id":1,"do":"register","name":"Sam"}"#.to_owned(), "did you mean sam?"),
            (r#"{"id":1,"do":"say","to":"@SAM","text":"x"}"#.to_owned(), "did you mean @sam?"),
            (r#"{"id":1,"do":"history","conversation":"lobby"}"#.to_owned(), "did you mean #lobby?"),
            (
                format!(r##"{{"id":1,"do":"say","to":"#lobby","text":"{}"}}"##, "x".repeat(9_000)),
                "9000 bytes",
            ),
        ] {
            let refused = Request::parse(&line).err().unwrap();
            let error = refused.error.unwrap();
            assert_eq!((refused.id, error.code.as_str()), (Value::from(1), "usage"));
            assert!(error.hint.as_ref().is_some_and(|said| said.contains(hint)), "{line}: {:?}", error.hint);
        }
    }

    #[test]
    fn a_request_names_its_server_where_it_has_one() {
        let written = |server: Option<&str>| {
            let server = server.map(str::to_owned);
            serde_json::to_string(&Request { id: 1.into(), action: Action::Users, server }).unwrap()
        };
        assert_eq!(written(None), r#"{"id":1,"do":"users"}"#);
        let line = written(Some("chat.example.org:7275"));
        assert_eq!(Request::parse(&line).ok().unwrap().server.as_deref(), Some("chat.example.org:7275"));
    }
}
