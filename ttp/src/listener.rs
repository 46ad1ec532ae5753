//! Serves the authority on a Unix socket: the protocol of [`parlour_protocol::ttp`].

mod connection;
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

/// Connections at once; a further one waits until it is accepted.
const CONNECTIONS: usize = 64;

/// Connections at once that watch: fewer, so that there is always room for requests. A further one is
/// refused.
const WATCHERS: usize = 16;

/// Time for a request to arrive, and for an answer to be taken; then the connection is closed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time for what is under way when the listener stops.
const DRAIN: Duration = Duration::from_secs(5);

/// How often the database is asked whether somebody revoked.
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

    /// Serves until `stop`, then ends what is under way.
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

/// Waits for a place, then for a connection. `None` never comes while the semaphore is open.
async fn accept(socket: &UnixListener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    loop {
        match socket.accept().await {
            Ok((stream, _)) => return Some((stream, place)),
            Err(error) => {
                // Out of descriptors, as a rule; trying again at once would only spin.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
