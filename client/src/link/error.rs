//! Why there is no connection, or no answer over it.

use parlour_protocol::{Farewell, Refusal, ServerAddress};
use thiserror::Error;

use crate::failure::{Explain, Explanation, Kind};

/// Why a connection, or a command over it, failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
// Each variant's text says what its fields are.
#[allow(missing_docs)]
pub enum LinkError {
    /// The server refused.
    #[error("{0}")]
    Refused(Refusal),
    /// The server cannot be reached.
    #[error("cannot reach {server}: {reason}")]
    Unreachable { server: ServerAddress, reason: String },
    /// The server's certificate does not come from the pinned root.
    #[error("{server} is not the server that you trust: {reason}")]
    Untrusted { server: ServerAddress, reason: String },
    /// The client does not know which root to trust.
    #[error("no certificate authority is known")]
    NoRoot,
    /// The address cannot stand in a certificate.
    #[error("{0} is no address of a server")]
    Address(ServerAddress),
    /// The keys of a user, or the settings of TLS, could not be used.
    #[error("a key could not be used: {0}")]
    Key(String),
    /// The connection was lost before the answer came.
    #[error("the connection was lost before the answer came")]
    Lost,
    /// The server sent more than can be kept here until it is handled.
    #[error("the server sent more at once than this client keeps in memory")]
    Flooded,
    /// There is no connection now.
    #[error("not connected to the server")]
    NotConnected,
    /// The server does not follow the protocol.
    #[error("the server does not follow the protocol: {0}")]
    Protocol(String),
    /// The server closed the connection and said why.
    #[error("the server closed the connection: {0}")]
    Dismissed(Farewell),
    /// The server closed the connection for a reason that this version does not know, in these words.
    #[error("the server closed the connection: {0}")]
    DismissedAnew(String),
}

impl LinkError {
    /// The error for a server that does not follow the protocol.
    pub fn protocol(what: impl Into<String>) -> Self {
        Self::Protocol(what.into())
    }
}

impl Explain for LinkError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Refused(refusal) => refusal.explain(),
            Self::Unreachable { .. } => Explanation::new("unreachable", Kind::Unreachable)
                .hint("is the server running, and is this its address?"),
            Self::Untrusted { .. } => Explanation::new("untrusted", Kind::Broken)
                .hint("nothing was sent to it; ask the person who runs the server for an invitation"),
            Self::NoRoot => Explanation::new("no_root", Kind::Broken).hint(
                "start with an invitation (parlour://...), or with --ca FILE from the person who runs the server",
            ),
            Self::Address(_) => Explanation::new("usage", Kind::Broken),
            Self::Key(_) => Explanation::new("key", Kind::Broken),
            Self::Lost | Self::Flooded | Self::NotConnected => Explanation::new("lost", Kind::Over),
            Self::Protocol(_) => Explanation::new("protocol", Kind::Failed),
            Self::Dismissed(Farewell::Revoked) => Explanation::new("dismissed", Kind::Barred).hint(
                "its keys cannot log in any more, and its name is not given again: /register another name, and if you \
                 did not expect this, ask the operator of the server",
            ),
            Self::Dismissed(Farewell::TakenOver) => Explanation::new("dismissed", Kind::Barred)
                .hint("another client with the same keys is logged in: end that one before you log in here"),
            Self::Dismissed(_) | Self::DismissedAnew(_) => Explanation::new("dismissed", Kind::Over),
        }
    }
}

impl From<parlour_crypto::KeyFailure> for LinkError {
    fn from(failure: parlour_crypto::KeyFailure) -> Self {
        Self::Key(failure.to_string())
    }
}
