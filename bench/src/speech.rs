//! The lines with which the measured programs say the same thing.

use parlour_protocol::{Dialect, MessageId, UserName};

use crate::peers::Program;
use crate::target::Kind;
use crate::visitor::fresh_id;

/// The protocol of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    /// Each line is a message: our plain dialect, and the reference.
    Plain,
    /// Our json dialect.
    Json,
    /// RFC 2812.
    Irc,
    /// The client protocol of NATS.
    Nats,
}

impl Speech {
    /// The protocol of a target; `dialect` is only for our server.
    pub(crate) const fn with(kind: Kind, dialect: Dialect) -> Self {
        match (kind, dialect) {
            (Kind::Ours, Dialect::Json) => Self::Json,
            (Kind::Ours | Kind::Bare, _) => Self::Plain,
            (Kind::Peer(Program::Ngircd), _) => Self::Irc,
            (Kind::Peer(Program::Nats), _) => Self::Nats,
        }
    }

    /// Returns true if a sender receives its own messages.
    pub(crate) const fn echoes(self) -> bool {
        !matches!(self, Self::Irc)
    }

    /// The line that posts to the lobby.
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

    /// The line that sends the sealed message `id` to a user, which only our server and the reference know.
    pub(crate) fn private(self, to: &UserName, id: MessageId, sealed: &str) -> String {
        if self == Self::Json {
            format!(
                "{{\"id\":1,\"cmd\":\"post\",\"to\":\"@{to}\",\"message_id\":\"{id}\",\"sealed\":{sealed}}}\n"
            )
        } else {
            format!("@{to} {sealed}\n")
        }
    }

    /// Text near the beginning of every line that delivers a message for a user.
    pub(crate) fn mark(self, user: &UserName) -> String {
        if self == Self::Json {
            format!("{{\"event\":\"message\",\"to\":\"@{user}\"")
        } else {
            format!("@{user} ")
        }
    }

    /// Returns true if a line from a target delivers a message. With our server and the reference every line does.
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
