//! The socket's file: bound by one process at a time, never more open than it should be.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Group, chown};
use thiserror::Error;

use crate::folder::AuthorityFolder;
use crate::ledger::LedgerError;

/// The reasons why the socket is not served.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Another process serves it.
    #[error("{} is already being served", .0.display())]
    AlreadyServed(PathBuf),
    /// Something else has its name.
    #[error("{} is there and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// No group has this name.
    #[error("there is no group '{0}'")]
    NoGroup(String),
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    System {
        /// The attempted action.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The database cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl ListenError {
    /// Advice for the operator.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::AlreadyServed(_) => {
                Some("one parlour-ttp serves a folder of keys; stop the other one first".to_owned())
            }
            Self::NotASocket(_) => Some("move it away".to_owned()),
            Self::NoGroup(_) => Some("name a group of this system, or give its number".to_owned()),
            Self::System { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => Some(
                    "run it as the user who owns the folder of keys, a member of the socket's group"
                        .to_owned(),
                ),
                io::ErrorKind::InvalidInput => Some(
                    "a socket's path has at most 107 bytes; use a shorter or a relative --keys".to_owned(),
                ),
                _ => None,
            },
            Self::Ledger(error) => error.hint(),
        }
    }
}

/// The bound socket. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct ServingSocket {
    path: PathBuf,
    listener: UnixListener,
    // Locked until the file is gone: fields are dropped after `drop`.
    _lock: File,
}

impl ServingSocket {
    /// Binds the socket with mode 0600, or with 0660 and a group. The socket of a dead process is replaced. Call it
    /// while the process has a single thread, because it changes the umask for a moment.
    pub fn bind(folder: &AuthorityFolder, group: Option<&str>) -> Result<Self, ListenError> {
        let path = folder.socket();
        let group = group.map(find_group).transpose()?;
        let lock = lock(&folder.socket_lock(), &path)?;
        remove_stale(&path)?;
        let before = umask(Mode::from_bits_truncate(0o177));
        let bound = UnixListener::bind(&path);
        umask(before);
        let listener = bound.map_err(system("make the socket", &path))?;
        let socket = Self { path, listener, _lock: lock };
        if let Some(group) = group {
            // The group is set before the mode, or another group could use the socket for a moment.
            chown(&socket.path, None, Some(group))
                .map_err(|errno| system("give to its group", &socket.path)(errno.into()))?;
            fs::set_permissions(&socket.path, Permissions::from_mode(0o660))
                .map_err(system("open to its group", &socket.path))?;
        }
        Ok(socket)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A listener on it, for the runtime that this is called in.
    pub(super) fn listen(&self) -> Result<tokio::net::UnixListener, ListenError> {
        let listen = || {
            let listener = self.listener.try_clone()?;
            listener.set_nonblocking(true)?;
            tokio::net::UnixListener::from_std(listener)
        };
        listen().map_err(system("listen on", &self.path))
    }
}

impl Drop for ServingSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove the socket");
        }
    }
}

fn system(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ListenError {
    let path = path.to_owned();
    move |source| ListenError::System { action, path, source }
}

/// Takes the lock of the process that serves. Unlike the socket's file it cannot be stale, because the system releases
/// it when the process dies.
fn lock(path: &Path, socket: &Path) -> Result<File, ListenError> {
    let options = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = options.map_err(system("open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ListenError::AlreadyServed(socket.to_owned())),
        Err(TryLockError::Error(source)) => Err(system("lock", path)(source)),
    }
}

fn remove_stale(path: &Path) -> Result<(), ListenError> {
    match fs::symlink_metadata(path) {
        // By the lock nobody serves it; but somebody may have deleted the lock's file.
        Ok(metadata) if metadata.file_type().is_socket() && UnixStream::connect(path).is_ok() => {
            Err(ListenError::AlreadyServed(path.to_owned()))
        }
        Ok(metadata) if metadata.file_type().is_socket() => {
            fs::remove_file(path).map_err(system("remove the old", path))
        }
        Ok(_) => Err(ListenError::NotASocket(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(system("look at", path)(error)),
    }
}

fn find_group(text: &str) -> Result<Gid, ListenError> {
    if let Ok(number) = text.parse() {
        return Ok(Gid::from_raw(number));
    }
    match Group::from_name(text) {
        Ok(Some(group)) => Ok(group.gid),
        Ok(None) | Err(_) => Err(ListenError::NoGroup(text.to_owned())),
    }
}
