//! The verbs between client and broker, each one message of JSON.

use std::net::SocketAddr;

use parlour_protocol::UserName;
use serde::{Deserialize, Serialize};

/// The broker's first message, with standard input: it has confined itself, and the client can begin.
pub(crate) const BEGIN: &[u8] = b"begin";

/// Asked by the client. The broker parses every argument again.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Request {
    /// The addresses of a server, `HOST:PORT`.
    Resolve { server: String },
    /// A listening socket in the folder of this user's profile.
    Listen { user: UserName },
    /// A connection to the socket that is there.
    Connect { user: UserName },
}

/// The broker's answer.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Answer {
    /// The first of what was found.
    Addresses(Vec<SocketAddr>),
    /// The socket comes with the answer.
    Socket,
    /// Why there is none.
    Failed(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verb_takes_what_it_says_and_nothing_else() {
        let sam = || "sam".parse().unwrap();
        for (text, request) in [
            (
                r#"{"verb":"resolve","server":"localhost:7275"}"#,
                Request::Resolve { server: "localhost:7275".to_owned() },
            ),
            (r#"{"verb":"listen","user":"sam"}"#, Request::Listen { user: sam() }),
            (r#"{"verb":"connect","user":"sam"}"#, Request::Connect { user: sam() }),
        ] {
            assert_eq!(serde_json::from_str::<Request>(text).unwrap(), request);
            assert_eq!(serde_json::to_string(&request).unwrap(), text);
        }
        for wrong in [
            r#"{"verb":"listen","user":"../sam"}"#,
            r#"{"verb":"listen","user":"sam/../erik"}"#,
            r#"{"verb":"listen","user":"sam","path":"/tmp"}"#,
            r#"{"verb":"run","user":"sam"}"#,
            r#"{"user":"sam"}"#,
        ] {
            assert!(serde_json::from_str::<Request>(wrong).is_err(), "{wrong}");
        }
    }
}
