//! `serve`: issues certificates on the socket, until SIGTERM or SIGINT.

use std::io::{self, Write};
use std::sync::Arc;

use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::CommandError;
use crate::authority::{Authority, OpenError};
use crate::clock::Clock;
use crate::folder::KeyFolder;
use crate::listener::{self, ListenError, ServingSocket};
use crate::store::Store;

/// Why nothing is served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The authority cannot work.
    #[error(transparent)]
    Open(#[from] OpenError),
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
            Self::System(_) => None,
        }
    }
}

pub(super) fn run(
    keys: &KeyFolder,
    group: Option<&str>,
    clock: impl Clock,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let authority = Authority::open(keys.path(), clock).map_err(ServeError::from)?;
    // A connection of its own: SQLite tells a connection of the others' writes, not of its own.
    let observer =
        Store::open(&keys.authority().database()).map_err(OpenError::from).map_err(ServeError::from)?;
    // Before there is a second thread: the umask belongs to the whole process.
    let socket = ServingSocket::bind(&keys.authority(), group).map_err(ServeError::from)?;
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
