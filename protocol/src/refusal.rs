//! Why the server did not do what it was asked: a fixed text for people, a code for programs.

use crate::display::clean;
use std::fmt;

/// A refusal. `Display` is the text after `error: `; [`Refusal::code`] is the code in json.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No command has this name (with its slash in plain, without in json).
    UnknownCommand(String),
    /// Not logged in, or logged in already.
    NotNow,
    /// Wrong arguments.
    Format,
    /// The line had more bytes than allowed, and was skipped.
    LineTooLong,
    /// The text of a message had more bytes than allowed.
    MessageTooLong,
    /// The line was not UTF-8.
    NotUtf8,
    /// The line or a text in it held a control character.
    ControlCharacter,
    /// The name belongs to an account.
    UserExists,
    /// The TTP does not accept the enrolment or renewal request.
    RequestRefused,
    /// Whatever was wrong with a login.
    InvalidCredentials,
    /// This device has a session that lives.
    AlreadyLoggedIn,
    /// Nobody has this name.
    UserNotFound,
    /// No such conversation, or not for you.
    ConversationNotFound,
    /// A private message was not sealed.
    MustBeSealed,
    /// A sealed message does not name the account keys of its recipient and its sender.
    WrongKeys,
    /// This id was used for another message.
    IdInUse,
    /// The sender has stored as much as an account may.
    AccountFull,
    /// Too many attempts from this address; try again in so many seconds.
    TooMany {
        /// Seconds until the next attempt can succeed.
        seconds: u64,
    },
    /// The TTP cannot be reached now.
    AuthorityUnavailable,
    /// The server's disk is full, or fails: nothing was kept, and the same may be sent again.
    NotStored,
    /// Our own fault; the incident is in the server's log.
    Internal {
        /// What to look for in the log.
        incident: String,
    },
    /// A newer server refuses for a reason that has no name here. Only ever read, never said.
    Unknown {
        /// The code, clean.
        code: String,
        /// The server's words, clean; they may be empty.
        message: String,
    },
}

/// The longest part of an unknown word that is said back, in characters without its slash.
const WORD_CHARS: usize = 64;

impl Refusal {
    /// An unknown command, which is said back cleaned, and only its beginning when it is long.
    pub fn unknown(word: &str) -> Self {
        let slash = usize::from(word.starts_with('/'));
        let beginning: String = word.chars().take(slash + WORD_CHARS).collect();
        Self::UnknownCommand(clean(&beginning).into_owned())
    }

    /// The code in json, for programs.
    pub fn code(&self) -> &str {
        match self {
            Self::UnknownCommand(_) => "unknown_command",
            Self::NotNow => "not_now",
            Self::Format => "format",
            Self::LineTooLong => "line_too_long",
            Self::MessageTooLong => "message_too_long",
            Self::NotUtf8 => "not_utf8",
            Self::ControlCharacter => "control_character",
            Self::UserExists => "user_exists",
            Self::RequestRefused => "request_refused",
            Self::InvalidCredentials => "invalid_credentials",
            Self::AlreadyLoggedIn => "already_logged_in",
            Self::UserNotFound => "user_not_found",
            Self::ConversationNotFound => "conversation_not_found",
            Self::MustBeSealed => "must_be_sealed",
            Self::WrongKeys => "wrong_keys",
            Self::IdInUse => "id_in_use",
            Self::AccountFull => "account_full",
            Self::TooMany { .. } => "too_many",
            Self::AuthorityUnavailable => "authority_unavailable",
            Self::NotStored => "not_stored",
            Self::Internal { .. } => "internal",
            Self::Unknown { code, .. } => code,
        }
    }

    /// The refusal with this code and what json says besides; `None` for a code from a newer server.
    pub fn from_code(code: &str, detail: &Detail) -> Option<Self> {
        Some(match code {
            "unknown_command" => Self::UnknownCommand(words(detail.word.as_deref())),
            "not_now" => Self::NotNow,
            "format" => Self::Format,
            "line_too_long" => Self::LineTooLong,
            "message_too_long" => Self::MessageTooLong,
            "not_utf8" => Self::NotUtf8,
            "control_character" => Self::ControlCharacter,
            "user_exists" => Self::UserExists,
            "request_refused" => Self::RequestRefused,
            "invalid_credentials" => Self::InvalidCredentials,
            "already_logged_in" => Self::AlreadyLoggedIn,
            "user_not_found" => Self::UserNotFound,
            "conversation_not_found" => Self::ConversationNotFound,
            "must_be_sealed" => Self::MustBeSealed,
            "wrong_keys" => Self::WrongKeys,
            "id_in_use" => Self::IdInUse,
            "account_full" => Self::AccountFull,
            "too_many" => Self::TooMany { seconds: detail.seconds.unwrap_or(60) },
            "authority_unavailable" => Self::AuthorityUnavailable,
            "not_stored" => Self::NotStored,
            "internal" => Self::Internal { incident: words(detail.incident.as_deref()) },
            _ => return None,
        })
    }

    /// What json says besides the code and the text.
    pub fn detail(&self) -> Detail {
        match self {
            Self::UnknownCommand(word) => Detail { word: Some(word.clone()), ..Detail::default() },
            Self::TooMany { seconds } => Detail { seconds: Some(*seconds), ..Detail::default() },
            Self::Internal { incident } => Detail { incident: Some(incident.clone()), ..Detail::default() },
            _ => Detail::default(),
        }
    }
}

/// What the other side words as it likes, made harmless: these texts are shown as they are.
fn words(text: Option<&str>) -> String {
    clean(text.unwrap_or_default()).into_owned()
}

/// The members of a json error besides its code and text.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Detail {
    /// Of `unknown_command`: which.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "if_known")]
    pub word: Option<String>,
    /// Of `too_many`: when to try again.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "if_known")]
    pub seconds: Option<u64>,
    /// Of `internal`: what to look for in the server's log.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "if_known")]
    pub incident: Option<String>,
}

/// A member of the type that it has here; one of another type, which a newer server may give it, is left out.
pub(crate) fn if_known<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: serde::de::DeserializeOwned,
    D: serde::Deserializer<'de>,
{
    let value = <serde_json::Value as serde::Deserialize>::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCommand(word) => write!(f, "unknown command {word}"),
            Self::NotNow => f.write_str("command not currently available"),
            Self::Format => f.write_str("invalid command format"),
            Self::LineTooLong => f.write_str("line too long"),
            Self::MessageTooLong => f.write_str("message too long"),
            Self::NotUtf8 => f.write_str("line is not UTF-8"),
            Self::ControlCharacter => f.write_str("control characters are not allowed"),
            Self::UserExists => f.write_str("user already exists"),
            Self::RequestRefused => f.write_str("certificate request refused"),
            Self::InvalidCredentials => f.write_str("invalid credentials"),
            Self::AlreadyLoggedIn => f.write_str("user is already logged in"),
            Self::UserNotFound => f.write_str("user not found"),
            Self::ConversationNotFound => f.write_str("conversation not found"),
            Self::MustBeSealed => f.write_str("private messages must be sealed"),
            Self::WrongKeys => {
                f.write_str("message is not sealed to the account keys of its recipient and its sender")
            }
            Self::IdInUse => f.write_str("message id was used for another message"),
            Self::AccountFull => f.write_str("no room for more messages of yours"),
            Self::TooMany { seconds } => {
                write!(f, "too many attempts from this address, try again in {seconds} seconds")
            }
            Self::AuthorityUnavailable => f.write_str("certificates cannot be issued now, try again later"),
            Self::NotStored => f.write_str("the server cannot store anything now, try again later"),
            Self::Internal { incident } => write!(f, "internal error, incident {incident}"),
            Self::Unknown { code, message } if message.is_empty() => {
                write!(f, "refused for a reason that this version does not know: {code}")
            }
            Self::Unknown { message, .. } => f.write_str(message),
        }
    }
}

impl From<crate::line::LineFault> for Refusal {
    fn from(fault: crate::line::LineFault) -> Self {
        match fault {
            crate::line::LineFault::TooLong => Self::LineTooLong,
            crate::line::LineFault::NotUtf8 => Self::NotUtf8,
            crate::line::LineFault::ControlCharacter => Self::ControlCharacter,
        }
    }
}

impl From<crate::text::TextError> for Refusal {
    fn from(error: crate::text::TextError) -> Self {
        match error {
            crate::text::TextError::Empty => Self::Format,
            crate::text::TextError::TooLong => Self::MessageTooLong,
            crate::text::TextError::ControlCharacter => Self::ControlCharacter,
        }
    }
}
