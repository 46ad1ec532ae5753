//! What went wrong, as a user hears it. Every operation has an error of its own, which says how it reads by
//! [`Explain`]; at the faces' edge each of them becomes a [`Failure`].

use std::borrow::Cow;
use std::fmt;

use parlour_protocol::{Conversation, Detail, Refusal};

use crate::asking::advice;

/// An error that a user can hear of. Its `Display` is the text after `error: `.
pub trait Explain: fmt::Display {
    /// What there is to it besides its text.
    fn explain(&self) -> Explanation;

    /// Whether the connection is over: what was asked can be asked again on the next one.
    fn is_over(&self) -> bool {
        matches!(self.explain().kind, Kind::Over | Kind::Barred)
    }

    /// Whether there was no server to answer.
    fn is_absence(&self) -> bool {
        self.explain().kind.is_absence()
    }

    /// Whether trying again later may help, without anybody doing anything.
    fn passes(&self) -> bool {
        self.explain().kind.passes()
    }
}

/// What there is to an error besides its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// A short word for programs.
    pub code: Cow<'static, str>,
    /// By which the client decides how to go on.
    pub kind: Kind,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Explanation {
    /// Without a hint.
    pub fn new(code: &'static str, kind: Kind) -> Self {
        Self { code: code.into(), kind, hint: None }
    }

    /// With a hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// How the client goes on after an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The server, or the client in its place, said no.
    Refused(Refusal),
    /// Only a guest can do that, and somebody is logged in.
    LoggedIn,
    /// The server has no room for a message. It waits here, and is sent again by itself.
    PutOff,
    /// No connection could be made.
    Unreachable,
    /// There was a connection, and it has ended.
    Over,
    /// The server has ended the connection, and there must be no other unless the user asks for it.
    Barred,
    /// No command can mend it: something of this machine or its settings is not as it must be.
    Broken,
    /// One thing was not done; everything else goes on.
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

/// Something that was not done, as a face says it: a fact, then what to do.
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

    /// With a hint.
    #[must_use]
    pub fn hinted(self, hint: impl Into<String>) -> Self {
        Self { explanation: self.explanation.hint(hint), ..self }
    }

    /// Says first what it was that came to nothing.
    #[must_use]
    pub fn of(self, what: &str) -> Self {
        Self { fact: format!("{what}: {}", self.fact), ..self }
    }

    /// Says which user or channel was not found: the words of a refusal are fixed and do not.
    #[must_use]
    pub fn about(self, subject: &Conversation) -> Self {
        match self.kind() {
            Kind::Refused(Refusal::UserNotFound | Refusal::ConversationNotFound) => {
                self.hinted(advice::not_found(subject))
            }
            _ => self,
        }
    }

    /// What another client on this machine did not do, in its words. `refused` tells what the server said from what
    /// came of itself; an older client leaves it out.
    pub fn elsewhere(code: String, fact: String, hint: Option<String>, refused: bool) -> Self {
        let kind = match Refusal::from_code(&code, &Detail::default()) {
            Some(refusal) => Kind::Refused(refusal),
            None if refused => Kind::Refused(Refusal::Unknown { code: code.clone(), message: fact.clone() }),
            None => Kind::Failed,
        };
        Self { fact, explanation: Explanation { code: code.into(), kind, hint } }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        self.explanation.hint.as_deref()
    }

    /// A short word for programs.
    pub fn code(&self) -> &str {
        &self.explanation.code
    }

    /// By which a face decides how to go on.
    pub const fn kind(&self) -> &Kind {
        &self.explanation.kind
    }

    /// Whether the server, or the client in its place, said no.
    pub const fn is_refusal(&self) -> bool {
        matches!(self.explanation.kind, Kind::Refused(_) | Kind::LoggedIn | Kind::PutOff)
    }

    /// Whether there was no server to answer.
    pub const fn is_absence(&self) -> bool {
        self.explanation.kind.is_absence()
    }

    /// Whether trying again later may help, without anybody doing anything.
    pub fn passes(&self) -> bool {
        self.explanation.kind.passes()
    }

    /// Whether no command can mend it, so that a face without a terminal ends.
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
            Self::AccountFull => "ask whoever runs the server for more room; what you wrote was not sent",
            Self::NotStored => "its disk is full or fails; who runs the server finds the reason in its log",
            Self::UserExists => {
                "choose another name: this one, or one that looks like it, has an account; with its keys, /login"
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
