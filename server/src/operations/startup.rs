//! Why the server does not start: each fact with what to do about it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use parlour_sandbox::{PrivilegeError, SandboxError};
use parlour_upkeep::logging::LogError;
use thiserror::Error;

use crate::operations::danger::Danger;
use crate::store::sqlite::OpenError;

/// A reason not to start. `Display` is the fact, [`StartError::hint`] what to do.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration file cannot be used.
    #[error("configuration {path}: {reason}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is no log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A limit cannot be set.
    #[error(transparent)]
    Limit(#[from] parlour_protocol::limits::LimitError),
    /// A key or certificate cannot be used.
    #[error("{path}: {reason}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key or certificate is there, and this user may not read it.
    #[error("{path}: cannot be read: {source}")]
    KeyWithheld {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data directory cannot be used.
    #[error("data directory {path}: {reason}")]
    Data {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is no room in the data directory.
    #[error("no space left on {0}")]
    Full(PathBuf),
    /// Another server uses the data directory.
    #[error("data directory {0} is in use by another server")]
    DataInUse(PathBuf),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        reason: String,
    },
    /// The operator's address cannot be listened on.
    #[error("cannot listen on {address} for metrics: {reason}")]
    ListenForOperator {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        reason: String,
    },
    /// The operator's address is not this machine's alone.
    #[error("metrics are for this machine alone, and others reach {0}")]
    PublicMetrics(SocketAddr),
    /// The address does not parse.
    #[error("'{0}' is no address to listen on")]
    Address(String),
    /// The address is that of a host that cannot be found.
    #[error("no address is known for '{listen}': {source}")]
    UnknownHost {
        /// As it was written.
        listen: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It cannot run as the user that was named.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// The sandbox is required and the kernel has none.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// It would be unsafe, and nobody allowed it.
    #[error("{reason}")]
    Unsafe {
        /// What would be.
        danger: Danger,
        /// In which way.
        reason: String,
    },
    /// The system refused something that every server needs.
    #[error("the system refused: {0}")]
    System(String),
}

impl StartError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Config { .. } => "parlour-server run --help lists the options and their names".to_owned(),
            Self::Log(error) => error.hint(),
            Self::Limit(_) => "parlour-server run --help lists the limits".to_owned(),
            Self::Key { path, .. } => key_hint(path),
            Self::KeyWithheld { path, .. } => {
                let folder = path.parent().unwrap_or(path).display();
                format!("run it as the user whose key this is, or give that user the folder: chown -R USER: {folder}")
            }
            Self::Data { .. } => "choose a directory that this user may write, with --data".to_owned(),
            Self::DataInUse(_) => {
                "stop the other server, or give this one a directory of its own with --data".to_owned()
            }
            Self::Store(OpenError::Newer { .. }) => {
                "use the version of parlour-server that wrote it, or a newer one".to_owned()
            }
            Self::Store(OpenError::Full(_)) | Self::Full(_) => FULL.to_owned(),
            Self::Store(OpenError::Empty(_)) => {
                "put back the newest good backup with 'parlour-server restore'; \
                 if nothing was ever stored here, remove the empty file"
                    .to_owned()
            }
            Self::Store(OpenError::Missing(path)) => missing_hint(path),
            Self::Store(OpenError::Misfit { path, .. }) => misfit_hint(path),
            Self::Store(OpenError::Failed { .. }) => {
                "check that the file is a database of Parlour's, that this user may read and write it, and \
                 that the disk works"
                    .to_owned()
            }
            Self::Listen { .. } => {
                "is another server running? choose another address with --listen".to_owned()
            }
            Self::ListenForOperator { .. } => {
                "is another program listening there? choose another address with --metrics".to_owned()
            }
            Self::PublicMetrics(_) => {
                "use a loopback address, for example --metrics 127.0.0.1:9275, and put a reverse proxy or an ssh \
                 tunnel before it"
                    .to_owned()
            }
            Self::Address(_) => "write it as HOST:PORT, for example 127.0.0.1:7275".to_owned(),
            Self::UnknownHost { .. } => {
                "name an address of this machine, or a host that it can look up, in /etc/hosts for example".to_owned()
            }
            Self::Privileges(error) => return error.hint(),
            Self::Sandbox(error) => error.hint().to_owned(),
            Self::Unsafe { danger, .. } => {
                format!("to allow it all the same, write allow-unsafe = [\"{}\"] in the file", danger.name())
            }
            Self::System(_) => return None,
        })
    }
}

const FULL: &str = "free some space there, or choose another directory with --data";

fn missing_hint(path: &Path) -> String {
    format!(
        "put the file back, or the newest good backup with 'parlour-server restore'; what is only in {}-wal is lost \
         without the file it belongs to; move that away once nobody needs it",
        path.display()
    )
}

fn misfit_hint(path: &Path) -> String {
    format!(
        "nothing was changed; keep a copy of the folder, then put back the newest good backup with 'parlour-server \
         restore', or, if {}-wal is of another database, move that file away",
        path.display()
    )
}

/// `parlour-ttp server-cert` mints into a folder `server`; in another one nothing would come of it.
fn key_hint(path: &Path) -> String {
    match path.parent().filter(|folder| folder.ends_with("server")).and_then(Path::parent) {
        Some(folder) => {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let folder = folder.display();
            format!("mint the server's key and certificate: parlour-ttp server-cert --keys {folder}")
        }
        None => "name the folder of the server's key with --keys; 'parlour-ttp server-cert --keys FOLDER' mints it in \
                 FOLDER/server"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lacks_a_key_is_told_a_command_that_mints_it_there() {
        for (path, ending) in [
            ("keys/server/server.key", "parlour-ttp server-cert --keys keys"),
            ("/etc/parlour/server/server.crt", "parlour-ttp server-cert --keys /etc/parlour"),
            ("server/server.key", "parlour-ttp server-cert --keys ."),
            ("keys/server.key", "mints it in FOLDER/server"),
            ("server.key", "mints it in FOLDER/server"),
        ] {
            let hint = key_hint(Path::new(path));
            assert!(hint.ends_with(ending), "{path}: {hint}");
        }
    }
}
