//! The lines by which the programs that are measured say the same thing.

use parlour_protocol::{Dialect, MessageId, UserName};

use crate::peers::Program;
use crate::target::Kind;
use crate::visitor::fresh_id;

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    /// A line is a message: our plain dialect, and the reference.
    Plain,
    /// Our json dialect.
    Json,
    /// RFC 2812.
    Irc,
    /// The client protocol of NATS.
    Nats,
}

impl Speech {
    /// What is spoken with a target; `dialect` is for ours alone.
    pub(crate) const fn with(kind: Kind, dialect: Dialect) -> Self {
        match (kind, dialect) {
            (Kind::Ours, Dialect::Json) => Self::Json,
            (Kind::Ours | Kind::Bare, _) => Self::Plain,
            (Kind::Peer(Program::Ngircd), _) => Self::Irc,
            (Kind::Peer(Program::Nats), _) => Self::Nats,
        }
    }

    /// Whether a sender hears its own message.
    pub(crate) const fn echoes(self) -> bool {
        !matches!(self, Self::Irc)
    }

    /// The line that says something in the lobby.
    pub(crate) fn public(self, text: &str) -> String {
        match self {
            Self::Plain => format!("{text}\n"),
            Self::Json => {
                let id = fresh_id();
                format!(
                    "{{\"id\":1,\"cmd\":\"post\",\"to\":\"#lobby\",\"message_id\":\"{id}\",\"text\":\"{text}\"}}\n"
                )
            }
            Self::Irc => format!("PRIVMSG #lobby :{text}\r\n"),
            Self::Nats => format!("PUB lobby {}\r\n{text}\r\n", text.len()),
        }
    }

    /// The line that sends the sealed message `id` to a user. The others have no such thing.
    pub(crate) fn private(self, to: &UserName, id: MessageId, sealed: &str) -> String {
        if self == Self::Json {
            format!(
                "{{\"id\":1,\"cmd\":\"post\",\"to\":\"@{to}\",\"message_id\":\"{id}\",\"sealed\":{sealed}}}\n"
            )
        } else {
            format!("@{to} {sealed}\n")
        }
    }

    /// What a line that tells of a message for a user has near its beginning.
    pub(crate) fn mark(self, user: &UserName) -> String {
        if self == Self::Json {
            format!("{{\"event\":\"message\",\"to\":\"@{user}\"")
        } else {
            format!("@{user} ")
        }
    }

    /// Whether a line that a target wrote tells of a message. Ours and the reference write no others.
    pub(crate) fn tells_of_message(self, line: &[u8]) -> bool {
        match self {
            Self::Plain | Self::Json => true,
            Self::Irc => line.windows(9).any(|window| window == b" PRIVMSG "),
            // A message takes two lines, of which the second is its text.
            Self::Nats => {
                ![b"MSG ".as_slice(), b"PING", b"PONG", b"INFO"].iter().any(|w| line.starts_with(w))
            }
        }
    }
}
