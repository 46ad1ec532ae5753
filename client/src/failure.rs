//! Errors as a user sees them. Every operation has an error type of its own that implements [`Explain`]; the faces
//! turn each of them into a [`Failure`].

use std::borrow::Cow;
use std::fmt;

use parlour_protocol::{Conversation, Detail, Refusal};

use crate::asking::advice;

/// An error that can be shown to a user. Its `Display` is the text after `error: `.
pub trait Explain: fmt::Display {
    /// Its code, its kind and its hint.
    fn explain(&self) -> Explanation;

    /// True if the connection is over: the request can be made again on the next one.
    fn is_over(&self) -> bool {
        matches!(self.explain().kind, Kind::Over | Kind::Barred)
    }

    /// True if no server was there to answer.
    fn is_absence(&self) -> bool {
        self.explain().kind.is_absence()
    }

    /// True if a later attempt may succeed without anybody's help.
    fn passes(&self) -> bool {
        self.explain().kind.passes()
    }
}

/// An error's code, kind and hint, which stand beside its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// A short word for programs to act on.
    pub code: Cow<'static, str>,
    /// The kind, by which the client decides how to go on.
    pub kind: Kind,
    /// Advice on what to do about it.
    pub hint: Option<String>,
}

impl Explanation {
    /// An explanation without a hint.
    pub fn new(code: &'static str, kind: Kind) -> Self {
        Self { code: code.into(), kind, hint: None }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// The kinds of error, by which the client decides how to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The server, or the client in its place, refused.
    Refused(Refusal),
    /// Only a guest can do that, and a user is logged in.
    LoggedIn,
    /// The server has no room for a message, which waits here and is sent again without a request.
    PutOff,
    /// No connection could be made.
    Unreachable,
    /// There was a connection, and it has ended.
    Over,
    /// The server has ended the connection, and there must be no other unless the user asks for it.
    Barred,
    /// Something on this machine or in its settings is wrong, and no command can correct it.
    Broken,
    /// One request failed; everything else goes on.
    Failed,
}

impl Kind {
    const fn is_absence(&self) -> bool {
        matches!(self, Self::Unreachable | Self::Over)
    }

    fn passes(&self) -> bool {
        match self {
            Self::PutOff | Self::Unreachable | Self::Over => true,
            Self::Refused(refusal) => matches!(
                refusal,
                Refusal::AlreadyLoggedIn
                    | Refusal::TooMany { .. }
                    | Refusal::AuthorityUnavailable
                    | Refusal::NotStored
                    | Refusal::Internal { .. }
            ),
            Self::LoggedIn | Self::Barred | Self::Broken | Self::Failed => false,
        }
    }
}

/// An error as a face shows it: a fact, then advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    fact: String,
    explanation: Explanation,
}

impl Failure {
    /// Options, input or output that cannot be used.
    pub fn usage(fact: impl Into<String>) -> Self {
        Self { fact: fact.into(), explanation: Explanation::new("usage", Kind::Broken) }
    }

    /// Replaces the hint.
    #[must_use]
    pub fn hinted(self, hint: impl Into<String>) -> Self {
        Self { explanation: self.explanation.hint(hint), ..self }
    }

    /// Says first what it was that came to nothing.
    #[must_use]
    pub fn of(self, what: &str) -> Self {
        Self { fact: format!("{what}: {}", self.fact), ..self }
    }

    /// Adds the user or channel that was not found, which the fixed words of a refusal do not name.
    #[must_use]
    pub fn about(self, subject: &Conversation) -> Self {
        match self.kind() {
            Kind::Refused(Refusal::UserNotFound | Refusal::ConversationNotFound) => {
                self.hinted(advice::not_found(subject))
            }
            _ => self,
        }
    }

    /// The error of another client on this machine, in its own words. `refused` tells what the server said from what
    /// came of itself; an older client leaves it out.
    pub fn elsewhere(code: String, fact: String, hint: Option<String>, refused: bool) -> Self {
        let kind = match Refusal::from_code(&code, &Detail::default()) {
            Some(refusal) => Kind::Refused(refusal),
            None if refused => Kind::Refused(Refusal::Unknown { code: code.clone(), message: fact.clone() }),
            None => Kind::Failed,
        };
        Self { fact, explanation: Explanation { code: code.into(), kind, hint } }
    }

    /// Advice on what to do about it.
    pub fn hint(&self) -> Option<&str> {
        self.explanation.hint.as_deref()
    }

    /// A short word for programs to act on.
    pub fn code(&self) -> &str {
        &self.explanation.code
    }

    /// The kind, by which a face decides how to go on.
    pub const fn kind(&self) -> &Kind {
        &self.explanation.kind
    }

    /// True if the server, or the client in its place, refused.
    pub const fn is_refusal(&self) -> bool {
        matches!(self.explanation.kind, Kind::Refused(_) | Kind::LoggedIn | Kind::PutOff)
    }

    /// True if no server was there to answer.
    pub const fn is_absence(&self) -> bool {
        self.explanation.kind.is_absence()
    }

    /// True if a later attempt may succeed without anybody's help.
    pub fn passes(&self) -> bool {
        self.explanation.kind.passes()
    }

    /// True if no command can correct it, so that a face without a terminal ends.
    pub const fn is_final(&self) -> bool {
        matches!(self.explanation.kind, Kind::Unreachable | Kind::Broken)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fact)
    }
}

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { fact: error.to_string(), explanation: error.explain() }
    }
}

impl Explain for Refusal {
    fn explain(&self) -> Explanation {
        let hint = match self {
            Self::NotNow => "/login NAME or /register NAME first; /help lists the commands",
            Self::UnknownCommand(_) => {
                "/help lists the commands; //text sends a text that begins with a slash"
            }
            Self::Format => "/help shows how each command is written",
            Self::AccountFull => "ask the operator of the server for more room; your message was not sent",
            Self::NotStored => "its disk is full or fails; its operator finds the reason in its log",
            Self::InvalidCredentials => advice::NOT_ACCEPTED,
            Self::UserExists => {
                "choose another name: this one, or one that looks like it, has an account; if it is yours, log in where \
                 its keys are"
            }
            Self::Unknown { .. } => {
                "the server is newer than this client: a newer client may know more of it"
            }
            _ => "",
        };
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        Explanation { code: self.code().to_owned().into(), kind: Kind::Refused(self.clone()), hint }
    }
}
