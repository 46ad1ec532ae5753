//! Asking in JSON, one object a line: the language of the json face and of a running client's socket.
//!
//! `{"id":1,"do":"say","to":"@sam","text":"hello"}` is answered by `{"id":1,"ok":"said","message":{...}}`
//! or `{"id":1,"error":{"code":"...","message":"...","hint":"..."}}`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::action::{Action, Answer};
use crate::failure::Failure;

/// An action with an id.
#[derive(Serialize, Deserialize)]
pub struct Request {
    /// Any JSON value; it goes back with the response.
    pub id: Value,
    /// The action.
    #[serde(flatten)]
    pub action: Action,
}

/// What came of a request: an answer or an error.
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
    /// What the user can do about it, for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
}

impl Request {
    /// Reads a line. What is wrong with a request that has an `id` goes back under that id.
    pub fn parse(line: &str) -> Result<Self, (Value, String)> {
        serde_json::from_str(line).map_err(|error| {
            let object: Option<Value> = serde_json::from_str(line).ok();
            let id = object.and_then(|mut object| object.get_mut("id").map(Value::take));
            (id.unwrap_or_default(), format!("not understood: {error}"))
        })
    }
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
            (None, Some(ErrorObject { code, message, hint })) => {
                Some(Err(Failure::elsewhere(code, message, hint)))
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
        }
    }
}
