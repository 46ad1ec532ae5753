//! What went wrong, as a user hears it: a fact, and where there is one, what to do about it.

use std::path::PathBuf;

use parlour_protocol::{Detail, NameError, Refusal, ServerAddress, UserName};
use parlour_sandbox::SandboxError;
use thiserror::Error;

/// Something that was not done. `Display` is the text after `error: `, [`Failure::hint`] what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// The server, or the client in its place, says no.
    #[error("{0}")]
    Refused(Refusal),
    /// There are no keys for this name here, so nobody could log in with it.
    #[error("{}", Refusal::InvalidCredentials)]
    NoKeys {
        /// The name.
        name: UserName,
        /// Where they were looked for.
        folder: PathBuf,
    },
    /// Only who is not logged in can do that.
    #[error("{}", Refusal::NotNow)]
    LoggedIn {
        /// As whom we are logged in.
        name: UserName,
    },
    /// A command that means nothing without a terminal.
    #[error("{0} is for the terminal")]
    ForTerminal(&'static str),
    /// Another client on this machine has the profile.
    #[error("{}", Refusal::AlreadyLoggedIn)]
    ProfileInUse,
    /// The server cannot be reached.
    #[error("cannot reach {server}: {reason}")]
    Unreachable {
        /// Which.
        server: ServerAddress,
        /// What the system said.
        reason: String,
    },
    /// The connection was lost before the answer came.
    #[error("the connection was lost before the answer came")]
    Lost,
    /// The server said more than can be kept here until it is handled.
    #[error("the server sent more at once than this client keeps in memory")]
    Flooded,
    /// There is no connection now.
    #[error("not connected to the server")]
    NotConnected,
    /// The server's certificate does not come from the pinned root.
    #[error("{server} is not the server that you trust: {reason}")]
    Untrusted {
        /// Which.
        server: ServerAddress,
        /// What is wrong with its certificate.
        reason: String,
    },
    /// The client does not know which root to trust.
    #[error("no certificate authority is known")]
    NoRoot,
    /// What the server says is not the protocol.
    #[error("the server says something that is not understood: {0}")]
    Protocol(String),
    /// The server ended the connection and said why.
    #[error("the server closed the connection: {0}")]
    Dismissed(String),
    /// What the server handed out is not what was asked for.
    #[error("the server's answer does not fit the request: {0}")]
    WrongAnswer(String),
    /// The recipient's account key is not the one that is known.
    #[error("the account key of {name} has changed; nothing was sent")]
    KeyChanged {
        /// Whose.
        name: UserName,
        /// The key that the server has now (its RFC 7638 thumbprint).
        kid: String,
    },
    /// The recipient's account certificate does not hold.
    #[error("the account certificate of {name} does not hold: {reason}; nothing was sent")]
    BadAccount {
        /// Whose.
        name: UserName,
        /// What is wrong.
        reason: String,
    },
    /// A file could not be read or written, or holds something else.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A user's keys cannot be used as they are.
    #[error("{path}: {reason}")]
    Keys {
        /// Which file or folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// What mends it.
        hint: String,
    },
    /// The local history could not be used.
    #[error("the local history: {0}")]
    Records(String),
    /// The disk of this machine does not take the local history.
    #[error("the local history cannot be written: {0}")]
    Disk(String),
    /// The local history was damaged on the disk.
    #[error("the local history, local.db, is damaged: {0}")]
    Damaged(String),
    /// A key could not be made or used.
    #[error("a key could not be used: {0}")]
    Key(String),
    /// Options, or the configuration file, do not hold.
    #[error("{0}")]
    Usage(String),
    /// The sandbox is required and the kernel has none.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The server has no room for a message. It waits here, and is sent again by itself.
    #[error("the server cannot store it now")]
    PutOff,
    /// Messages wait, and the client was told to end.
    #[error("{0} not sent: the server cannot be reached")]
    Unsent(String),
    /// The client is ending.
    #[error("the client is ending")]
    Ending,
    /// Another client on this machine did not do it.
    #[error("{message}")]
    Elsewhere {
        /// Its word for programs.
        code: String,
        /// Its text.
        message: String,
        /// What it says to do.
        hint: Option<String>,
    },
}

impl Failure {
    /// Why a line that `user` has typed, or else a guest, is not carried out.
    pub fn of_line(refusal: Refusal, user: Option<&UserName>) -> Self {
        match (refusal, user) {
            (Refusal::NotNow, Some(name)) => Self::LoggedIn { name: name.clone() },
            (refusal, _) => Self::Refused(refusal),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoKeys { name, folder } => {
                format!("there are no keys for {name} in {}; /register {name} makes them", folder.display())
            }
            Self::LoggedIn { name } => {
                format!("you are logged in as {name}; /exit, and start again, to be somebody else")
            }
            Self::ForTerminal(_) => "in plain lines a text goes to #lobby, and @NAME TEXT to NAME".to_owned(),
            Self::ProfileInUse => "another client on this machine is logged in with these keys".to_owned(),
            Self::Unreachable { .. } => "is the server running, and is this its address?".to_owned(),
            Self::Untrusted { .. } => {
                "nothing was sent to it; ask the one who runs the server for an invitation".to_owned()
            }
            Self::NoRoot => {
                "start with an invitation (parlour://...), or with --ca FILE from the one who runs the server"
                    .to_owned()
            }
            Self::KeyChanged { name, kid } => {
                format!("ask {name} in another way whether the new key is {kid}, and if it is, /trust {name}")
            }
            Self::Unsent(_) => "it is kept, and sent after the next login".to_owned(),
            Self::Disk(_) => {
                "free some space where the folder of keys is; what the server has is not lost".to_owned()
            }
            Self::Damaged(_) => DAMAGED.to_owned(),
            Self::PutOff => {
                "it is kept here, and sent by itself later, at the latest after the next login".to_owned()
            }
            Self::Sandbox(error) => error.hint().to_owned(),
            Self::Refused(refusal) => return hint_of(refusal),
            Self::Keys { hint, .. } => hint.clone(),
            Self::Elsewhere { hint, .. } => return hint.clone(),
            Self::Lost
            | Self::Flooded
            | Self::NotConnected
            | Self::Protocol(_)
            | Self::Dismissed(_)
            | Self::WrongAnswer(_)
            | Self::BadAccount { .. }
            | Self::File { .. }
            | Self::Records(_)
            | Self::Key(_)
            | Self::Usage(_)
            | Self::Ending => {
                return None;
            }
        })
    }

    /// A short word for programs.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::NoKeys { .. } => Refusal::InvalidCredentials.code(),
            Self::LoggedIn { .. } => Refusal::NotNow.code(),
            Self::ProfileInUse => Refusal::AlreadyLoggedIn.code(),
            Self::Unreachable { .. } => "unreachable",
            Self::Lost | Self::Flooded | Self::NotConnected => "lost",
            Self::Untrusted { .. } => "untrusted",
            Self::NoRoot => "no_root",
            Self::Protocol(_) => "protocol",
            Self::Dismissed(_) => "dismissed",
            Self::WrongAnswer(_) => "wrong_answer",
            Self::KeyChanged { .. } => "key_changed",
            Self::BadAccount { .. } => "bad_account",
            Self::File { .. } | Self::Keys { .. } => "file",
            Self::Records(_) => "records",
            Self::Disk(_) => "disk",
            Self::Damaged(_) => "damaged",
            Self::Key(_) => "key",
            Self::Usage(_) | Self::ForTerminal(_) => "usage",
            Self::PutOff => Refusal::NotStored.code(),
            Self::Unsent(_) => "unsent",
            Self::Sandbox(_) => "sandbox",
            Self::Ending => "ending",
            Self::Elsewhere { code, .. } => code,
        }
    }

    /// Whether the server, or the client in its place, said no; also to a client that asked for us.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused(_) | Self::LoggedIn { .. } | Self::PutOff => true,
            Self::Elsewhere { code, .. } => Refusal::from_code(code, &Detail::default()).is_some(),
            _ => false,
        }
    }

    /// Whether the connection is over: what was asked can be asked again on the next one.
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Lost | Self::Flooded | Self::NotConnected | Self::Dismissed(_))
    }

    /// Whether there was no server to answer.
    pub const fn is_absence(&self) -> bool {
        matches!(self, Self::Unreachable { .. }) || self.is_over()
    }

    /// Whether trying again later may help, without anybody doing anything.
    pub fn passes(&self) -> bool {
        match self {
            Self::PutOff => true,
            failure if failure.is_absence() => true,
            Self::Refused(refusal) => matches!(
                refusal,
                Refusal::AlreadyLoggedIn
                    | Refusal::TooMany { .. }
                    | Refusal::AuthorityUnavailable
                    | Refusal::NotStored
                    | Refusal::Internal { .. }
            ),
            _ => false,
        }
    }
}

/// What to do about a local history that does not open.
pub(crate) const DAMAGED: &str = "move local.db, local.db-wal and local.db-shm away from the folder of your keys and log in \
    again: what was said is fetched from the server; known account keys are learnt anew, and what waited to be sent \
    is in the old file alone";

fn hint_of(refusal: &Refusal) -> Option<String> {
    Some(match refusal {
        Refusal::NotNow => "/login NAME or /register NAME first; /help lists the commands".to_owned(),
        Refusal::UnknownCommand(_) => {
            "/help lists the commands; //text sends a text that begins with a slash".to_owned()
        }
        Refusal::Format => "/help shows how each command is written".to_owned(),
        Refusal::AccountFull => {
            "ask whoever runs the server for more room; what you wrote was not sent".to_owned()
        }
        Refusal::NotStored => {
            "its disk is full or fails; who runs the server finds the reason in its log".to_owned()
        }
        Refusal::UserExists => "choose another name, or /login with the keys of this one".to_owned(),
        _ => return None,
    })
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<NameError> for Failure {
    fn from(_: NameError) -> Self {
        Self::Refused(Refusal::Format)
    }
}

impl From<parlour_crypto::KeyFailure> for Failure {
    fn from(failure: parlour_crypto::KeyFailure) -> Self {
        Self::Key(failure.to_string())
    }
}
