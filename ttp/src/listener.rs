//! Serves the authority on a Unix socket: the protocol of [`parlour_protocol::ttp`].

mod connection;
mod lines;
mod request;
mod socket;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use socket::{ListenError, ServingSocket};

use crate::authority::Authority;
use crate::ledger::Ledger;
use connection::Connection;
use watch::Observer;

/// The most connections at once. A further one waits until it is accepted.
const CONNECTIONS: usize = 64;

/// The most connections that watch at once. There are fewer, so that there is always room for requests. A further one
/// is refused.
const WATCHERS: usize = 16;

/// The time for a request to arrive, and for an answer to be read. Then the connection is closed.
const PATIENCE: Duration = Duration::from_secs(5);

/// The time for requests under way when the listener stops.
const DRAIN: Duration = Duration::from_secs(5);

/// The time between two checks of the database for new revocations.
const POLL: Duration = Duration::from_millis(200);

/// Accepts connections and answers them.
pub struct Listener {
    socket: UnixListener,
    authority: Arc<Authority>,
    observer: Observer,
}

impl Listener {
    /// Takes over a socket. `observer` is a second connection to the authority's database.
    pub fn new(
        socket: &ServingSocket,
        authority: Arc<Authority>,
        observer: Ledger,
    ) -> Result<Self, ListenError> {
        Ok(Self { socket: socket.listen()?, authority, observer: Observer::new(observer)? })
    }

    /// Serves until `stop`, then waits for requests under way.
    pub async fn run(self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let news = self.observer.news();
        tasks.spawn(self.observer.run(stop.clone()));
        let (places, watchers) = (Arc::new(Semaphore::new(CONNECTIONS)), Arc::new(Semaphore::new(WATCHERS)));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = accept(&self.socket, &places) => accepted,
            };
            let Some((stream, place)) = accepted else { break };
            let connection = Connection {
                authority: Arc::clone(&self.authority),
                news: news.clone(),
                watchers: Arc::clone(&watchers),
                stop: stop.clone(),
            };
            tasks.spawn(async move {
                connection.serve(stream).await;
                drop(place);
            });
        }
        drop(self.socket);
        stop.cancel();
        tasks.close();
        if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
            tracing::warn!("connections were cut off");
        }
    }
}

type Accepted = (tokio::net::UnixStream, tokio::sync::OwnedSemaphorePermit);

/// Waits for a place, then for a connection. Never `None`, because nothing closes the semaphore.
async fn accept(socket: &UnixListener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    loop {
        match socket.accept().await {
            Ok((stream, _)) => return Some((stream, place)),
            Err(error) => {
                // Usually there are no descriptors left; trying again at once would only spin.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
