//! The verbs between client and broker, each one message of JSON.

use std::net::SocketAddr;

use parlour_protocol::UserName;
use serde::{Deserialize, Serialize};

/// The broker's first message, which brings the standard input: the broker is confined, and the client can begin.
pub(crate) const BEGIN: &[u8] = b"begin";

/// The client's request. The broker parses every argument again.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Request {
    /// Look up the addresses of a server, `HOST:PORT`.
    Resolve { server: String },
    /// Make a listening socket in the folder of this user's profile.
    Listen { user: UserName },
    /// Connect to the socket in that folder.
    Connect { user: UserName },
}

/// The broker's answer.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Answer {
    /// The first addresses that were found.
    Addresses(Vec<SocketAddr>),
    /// The socket, which comes with the answer.
    Socket,
    /// The reason for the failure.
    Failed(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verb_takes_its_own_arguments_and_no_others() {
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
