//! The reasons why the server does not start, each with advice.

use std::net::SocketAddr;
use std::path::Path;

use parlour_sandbox::{PrivilegeError, SandboxError};
use parlour_upkeep::logging::LogError;
use thiserror::Error;

use crate::edge::socket::AddressError;
use crate::edge::tls::IdentityError;
use crate::operations::config::ConfigError;
use crate::operations::danger::Danger;
use crate::operations::data::{DataError, FULL};
use crate::operations::monitoring::OperatorListenError;
use crate::store::sqlite::OpenError;

/// A reason why the server does not start. `Display` is the fact, [`StartError::hint`] the advice.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log cannot be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A key or certificate cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The task that delivers messages ended while the server ran.
    #[error("the delivery of messages has failed, and the server has stopped")]
    NoDelivery,
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        reason: String,
    },
    /// There is no such address to listen on.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The operator's address cannot be listened on.
    #[error(transparent)]
    ListenForOperator(#[from] OperatorListenError),
    /// It cannot run as the user that was named.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// The sandbox is required and the kernel has none.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// It would be unsafe, and is not allowed.
    #[error("{reason}")]
    Unsafe {
        /// The danger.
        danger: Danger,
        /// The reason.
        reason: String,
    },
    /// The system refused something that every server needs.
    #[error("the system refused: {0}")]
    System(String),
}

impl StartError {
    /// Advice for the operator.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Config(error) => error.hint().to_owned(),
            Self::Log(error) => error.hint(),
            Self::Identity(IdentityError::Unusable { path, .. }) => key_hint(path),
            Self::Identity(IdentityError::Withheld { path, .. }) => {
                let folder = path.parent().unwrap_or(path).display();
                format!(
                    "run it as the user whose key this is, or give that user the folder: chown -R USER: {folder}"
                )
            }
            Self::Data(error) => error.hint().to_owned(),
            Self::Store(OpenError::Newer { .. }) => {
                "use the version of parlour-server that wrote it, or a newer one".to_owned()
            }
            Self::Store(OpenError::Full(_)) => FULL.to_owned(),
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
            Self::NoDelivery => {
                "start it again; what was confirmed is kept. The log says why: please report it".to_owned()
            }
            Self::Listen { .. } => {
                "is another server running? choose another address with --listen".to_owned()
            }
            Self::Address(error) => error.hint().to_owned(),
            Self::ListenForOperator(error) => error.hint().to_owned(),
            Self::Privileges(error) => return error.hint(),
            Self::Sandbox(error) => error.hint().to_owned(),
            Self::Unsafe { danger, .. } => {
                format!("to allow it all the same, write allow-unsafe = [\"{}\"] in the file", danger.name())
            }
            Self::System(_) => return None,
        })
    }
}

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

/// Advice about a missing key. `parlour-ttp server-cert` always mints into a folder named `server`.
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
    fn the_hint_for_a_missing_key_is_a_command_that_mints_it_there() {
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
