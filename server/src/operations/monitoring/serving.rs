//! HTTP for a few programs that ask rarely: one request a connection, with limits on everything. Connections without a
//! request keep no other out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// The most connections at once. For a further one an old one ends.
const CONNECTIONS: usize = 16;

/// The time for a request's head.
const HEAD: Duration = Duration::from_secs(5);

/// The time for a whole connection.
const CONNECTION: Duration = Duration::from_secs(10);

/// The time for answers under way when the server stops.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The longest head of a request, in bytes.
const HEAD_BYTES: usize = 8 * 1024;

/// The pause after the system could not accept, for instance because files ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is told to stop. Connections that are left then end with this.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let mut connections = Connections::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.tasks.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.make_room().await;
                    connections.begin(stream, router.clone(), stop.clone());
                }
                Err(error) => {
                    warn!(%error, "cannot accept a connection for metrics");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    let mut connections = connections.tasks;
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(LAST_WORDS, ended).await;
}

/// The connections that are served, at most [`CONNECTIONS`].
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    /// Oldest first; some may have ended.
    places: Vec<Place>,
}

/// The place of one connection.
struct Place {
    task: AbortHandle,
    /// True once its request has come.
    has_asked: Arc<AtomicBool>,
}

impl Connections {
    fn begin(&mut self, stream: TcpStream, router: Router, stop: CancellationToken) {
        let has_asked = Arc::new(AtomicBool::new(false));
        let task = self.tasks.spawn(answer(stream, router, Arc::clone(&has_asked), stop));
        self.places.push(Place { task, has_asked });
    }

    /// If all places are taken, ends the oldest connection without a request: an honest client sends it at once. If
    /// all have sent one, ends the oldest connection, which does not read its answer.
    async fn make_room(&mut self) {
        self.places.retain(|place| !place.task.is_finished());
        if self.places.len() < CONNECTIONS {
            return;
        }
        let silent = self.places.iter().position(|place| !place.has_asked.load(Ordering::Relaxed));
        self.places.remove(silent.unwrap_or(0)).task.abort();
        debug!("a connection for metrics made room for another");
        while self.tasks.len() >= CONNECTIONS && self.tasks.join_next().await.is_some() {}
    }
}

async fn answer(stream: TcpStream, router: Router, has_asked: Arc<AtomicBool>, stop: CancellationToken) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        has_asked.store(true, Ordering::Relaxed);
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let served = async {
        tokio::pin!(connection);
        tokio::select! {
            ended = &mut connection => return ended,
            () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    };
    match timeout(CONNECTION, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a request for metrics failed"),
        Err(_) => debug!("a request for metrics took too long"),
    }
}
