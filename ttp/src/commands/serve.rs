//! `serve`: issues certificates on the socket, until SIGTERM or SIGINT.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use parlour_upkeep::look;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::CommandError;
use crate::authority::{Authority, OpenError};
use crate::cli::{Danger, ServeArgs};
use crate::clock::Clock;
use crate::folder::KeyFolder;
use crate::listener::{self, ListenError, ServingSocket};
use crate::store::{Store, inspect};

/// Why nothing is served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The authority cannot work.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Others can read a key.
    #[error("others than its owner can read {path}; 'chmod 600 {path}' takes that away", path = .0.display())]
    OpenToOthers(PathBuf),
    /// The database is not what was written.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The socket cannot be used.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The system refused something that every program needs.
    #[error("the system refused: {0}")]
    System(io::Error),
}

impl ServeError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Open(error) => error.hint(),
            Self::Listen(error) => error.hint(),
            Self::OpenToOthers(_) => Some(
                "to allow it all the same, write allow-unsafe = [\"world-readable-keys\"] in the file"
                    .to_owned(),
            ),
            Self::Damaged(_) => Some(
                "'parlour-ttp check' lists the damage; restore the newest good backup: on damaged data a name \
                 could be issued twice"
                    .to_owned(),
            ),
            Self::System(_) => None,
        }
    }
}

pub(super) fn run(
    keys: &KeyFolder,
    args: &ServeArgs,
    clock: impl Clock,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    if !args.allow_unsafe.contains(&Danger::WorldReadableKeys) {
        refuse_open_keys(keys)?;
    }
    let authority = Authority::open(keys.path(), clock).map_err(ServeError::from)?;
    refuse_damage(keys)?;
    // A connection of its own: SQLite tells a connection of the others' writes, not of its own.
    let observer =
        Store::open(&keys.authority().database()).map_err(OpenError::from).map_err(ServeError::from)?;
    // Before there is a second thread: the umask belongs to the whole process.
    let socket =
        ServingSocket::bind(&keys.authority(), args.socket_group.as_deref()).map_err(ServeError::from)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .enable_all()
        .build()
        .map_err(ServeError::System)?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        stop_on_signals(stop.clone()).map_err(ServeError::System)?;
        let listener =
            listener::Listener::new(&socket, Arc::new(authority), observer).map_err(ServeError::from)?;
        writeln!(out, "serving on {}", socket.path().display())?;
        out.flush()?;
        tracing::info!(path = %socket.path().display(), "serving");
        listener.run(stop).await;
        tracing::info!("stopped");
        Ok(())
    })
}

/// Whoever reads these keys can be this authority.
fn refuse_open_keys(keys: &KeyFolder) -> Result<(), ServeError> {
    let folder = keys.authority();
    let open = [folder.root_key(), folder.log_key()].into_iter().find(|key| look::is_readable_by_others(key));
    open.map_or(Ok(()), |key| Err(ServeError::OpenToOthers(key)))
}

/// Who owns a name is what this program is for, and SQLite itself does not notice a changed byte.
fn refuse_damage(keys: &KeyFolder) -> Result<(), ServeError> {
    let inspection = inspect(&keys.authority().database(), None).map_err(OpenError::from)?;
    inspection.damage().map_or(Ok(()), |damage| Err(ServeError::Damaged(damage)))
}

fn stop_on_signals(stop: CancellationToken) -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Ends with the runtime, which ends with the listener that it stops.
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}
