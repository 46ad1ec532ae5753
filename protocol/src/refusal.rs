//! The reasons why the server refuses a command: a fixed text for people, a code for programs.

use crate::display::clean;
use std::fmt;

/// A refusal. `Display` is the text after `error: `; [`Refusal::code`] is the code in json.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No command has this name (with its slash in plain, without in json).
    UnknownCommand(String),
    /// The command is only for sessions that are logged in, or only for guests.
    NotNow,
    /// Wrong arguments.
    Format,
    /// The line was longer than the limit and was skipped.
    LineTooLong,
    /// The message's text was longer than the limit.
    MessageTooLong,
    /// The line was not UTF-8.
    NotUtf8,
    /// The line, or a text in it, had a control character.
    ControlCharacter,
    /// The name belongs to an existing account.
    UserExists,
    /// The TTP refuses the enrolment or renewal request.
    RequestRefused,
    /// The login failed, for any reason.
    InvalidCredentials,
    /// This device has another session that answers.
    AlreadyLoggedIn,
    /// No account has this name.
    UserNotFound,
    /// The conversation does not exist, or the user is not in it.
    ConversationNotFound,
    /// A private message was not sealed.
    MustBeSealed,
    /// A sealed message does not name the account keys of its recipient and its sender.
    WrongKeys,
    /// The id was used for another message.
    IdInUse,
    /// The sender's messages use all the space that an account may have.
    AccountFull,
    /// Too many attempts from this address.
    TooMany {
        /// Seconds until the next attempt can succeed.
        seconds: u64,
    },
    /// The TTP cannot be reached at the moment.
    AuthorityUnavailable,
    /// The server's disk is full or failing: nothing was stored, and the same command may be sent again.
    NotStored,
    /// The server failed; its log has the incident.
    Internal {
        /// The text to look for in the log.
        incident: String,
    },
    /// A reason from a newer server. It is only read and never sent.
    Unknown {
        /// The code, cleaned.
        code: String,
        /// The server's words, clean, or ours where it has none.
        message: String,
    },
}

/// The most characters of an unknown command that are quoted, not counting its slash.
const WORD_CHARS: usize = 64;

/// The most characters of the other side's own words that are shown.
const EXCERPT_CHARS: usize = 500;

impl Refusal {
    /// An unknown command. It is quoted cleaned, and cut off when it is long.
    pub fn unknown(word: &str) -> Self {
        let slash = usize::from(word.starts_with('/'));
        let beginning: String = word.chars().take(slash + WORD_CHARS).collect();
        Self::UnknownCommand(clean(&beginning).into_owned())
    }

    /// A refusal of a newer server, with its code and its words, if it has any.
    pub(crate) fn newer(code: &str, message: Option<&str>) -> Self {
        let code = excerpt(code);
        let message = match message {
            Some(words) if !words.is_empty() => excerpt(words),
            _ => format!("refused for a reason that this version does not know: {code}"),
        };
        Self::Unknown { code, message }
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

    /// The refusal with this code and detail; `None` for a code from a newer server.
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

    /// The json members besides the code and the text.
    pub fn detail(&self) -> Detail {
        match self {
            Self::UnknownCommand(word) => Detail { word: Some(word.clone()), ..Detail::default() },
            Self::TooMany { seconds } => Detail { seconds: Some(*seconds), ..Detail::default() },
            Self::Internal { incident } => Detail { incident: Some(incident.clone()), ..Detail::default() },
            _ => Detail::default(),
        }
    }
}

fn words(text: Option<&str>) -> String {
    excerpt(text.unwrap_or_default())
}

/// Text from the other side, to be shown as it is: cleaned, and cut off when it is long.
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT_CHARS) {
        Some((end, _)) => clean(text.get(..end).unwrap_or_default()).into_owned() + "…",
        None => clean(text).into_owned(),
    }
}

/// The members of a json error besides its code and text.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Detail {
    /// For `unknown_command`: the command.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "if_known")]
    pub word: Option<String>,
    /// For `too_many`: seconds until the next attempt.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "if_known")]
    pub seconds: Option<u64>,
    /// For `internal`: the text to look for in the server's log.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "if_known")]
    pub incident: Option<String>,
}

/// Reads a member of the expected type; one of another type, which a newer server may send, becomes `None`.
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
