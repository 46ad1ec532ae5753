//! The paths in the folder of keys.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The folder that `--keys` names, with the TTP's part and the server's part in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFolder {
    path: PathBuf,
}

/// Keeps other processes from changing the same folder until it is dropped.
#[derive(Debug)]
pub struct FolderLock {
    _folder: File,
}

impl KeyFolder {
    /// The folder at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The TTP's part.
    pub fn authority(&self) -> AuthorityFolder {
        AuthorityFolder { path: self.path.join("ttp") }
    }

    /// The folder in which [`authority`](Self::authority) is built before it gets its name.
    pub(crate) fn unfinished_authority(&self) -> AuthorityFolder {
        AuthorityFolder { path: self.path.join(".ttp.new") }
    }

    /// The server's part.
    pub fn server(&self) -> ServerFolder {
        ServerFolder { path: self.path.join("server") }
    }

    /// Waits until no other process changes the folder. The lock is on the folder itself, so it leaves no file behind,
    /// and the system releases it when the process dies.
    pub(crate) fn lock(&self) -> io::Result<FolderLock> {
        fs::create_dir_all(&self.path)?;
        let folder = File::open(&self.path)?;
        folder.lock()?;
        Ok(FolderLock { _folder: folder })
    }
}

/// The TTP's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityFolder {
    path: PathBuf,
}

impl AuthorityFolder {
    /// The folder itself, mode 0711: the server may reach the socket and read the certificate.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The root's private key, 0600.
    pub fn root_key(&self) -> PathBuf {
        self.path.join("ca.key")
    }

    /// The root certificate, 0644.
    pub fn root_certificate(&self) -> PathBuf {
        self.path.join("ca.crt")
    }

    /// The private key that signs the key log, 0600.
    pub fn log_key(&self) -> PathBuf {
        self.path.join("log.key")
    }

    /// The certificate of that key, 0644.
    pub fn log_certificate(&self) -> PathBuf {
        self.path.join("log.crt")
    }

    /// The database, 0600.
    pub fn database(&self) -> PathBuf {
        self.path.join("ttp.db")
    }

    /// The socket, which exists while it is served.
    pub fn socket(&self) -> PathBuf {
        self.path.join("ttp.sock")
    }

    /// Held locked by the process that serves the socket, 0600.
    pub fn socket_lock(&self) -> PathBuf {
        self.path.join("ttp.lock")
    }
}

/// The server's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFolder {
    path: PathBuf,
}

impl ServerFolder {
    /// The folder itself, mode 0700.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The server's private key, 0600.
    pub fn key(&self) -> PathBuf {
        self.path.join("server.key")
    }

    /// The server's certificate and the root's after it.
    pub fn chain(&self) -> PathBuf {
        self.path.join("server.crt")
    }

    /// The root certificate.
    pub fn root_certificate(&self) -> PathBuf {
        self.path.join("ca.crt")
    }
}
