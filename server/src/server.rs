//! Puts the server together from its parts and runs it until it is told to stop. The only place that
//! names the backends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::accounts::directory::Directory;
use crate::accounts::revocations::Follower;
use crate::accounts::ttp_client::TtpClient;
use crate::audit::{Kind, SecurityEvent};
use crate::clock::Clock;
use crate::delivery::hub::Hub;
use crate::delivery::in_flight::InFlight;
use crate::delivery::{Posting, deliver};
use crate::edge::entrance::Entrance;
use crate::edge::tls::{self, Identity};
use crate::edge::{listener, socket};
use crate::metrics::{Metrics, Process};
use crate::operations::config::Settings;
use crate::operations::danger::{self, Danger};
use crate::operations::data::DataDirectory;
use crate::operations::monitoring::{self, Monitoring};
use crate::operations::startup::StartError;
use crate::recorder::Recorder;
use crate::session::attempts::Attempts;
use crate::session::services::Services;
use crate::store::sqlite::SqliteStore;
use crate::store::{Bounds, Store, outcome_queue};

/// Everything that a server must open before it confines itself.
pub struct Prepared {
    begun: Instant,
    clock: Clock,
    socket: Socket,
    identity: Identity,
    data: DataDirectory,
    operator: Option<Socket>,
    process: Process,
}

impl Prepared {
    /// Listens, becomes the user that was named, reads the keys and takes the data directory. Call it while
    /// the process has a single thread.
    pub fn new(settings: &Settings) -> Result<Self, StartError> {
        let begun = Instant::now();
        let clock = Clock::with_offset(settings.clock_offset);
        // The steps that are cheapest to undo come first: a server that cannot start leaves nothing behind.
        // Ports below 1024 are root's; keys and data are the user's who reads and writes them later.
        let address = socket::resolve(&settings.listen)?;
        let buffer = usize::try_from(settings.limits.send_buffer_bytes).unwrap_or(usize::MAX);
        let socket = socket::bind(address, Some(buffer));
        let socket = socket.map_err(|error| StartError::Listen { address, reason: error.to_string() })?;
        let operator = settings.metrics.as_deref().map(monitoring::listen).transpose()?;
        if let Some(user) = &settings.run_as {
            parlour_sandbox::run_as(user)?;
        }
        let identity = tls::load(&settings.keys, clock)?;
        refuse_dangers(settings, address)?;
        let data = DataDirectory::open(&settings.data)?;
        let process = Process::open(clock.now());
        Ok(Self { begun, clock, socket, identity, data, operator, process })
    }
}

/// The addresses on which a server listens.
#[derive(Debug, Clone, Copy)]
pub struct Listening {
    /// For clients.
    pub address: SocketAddr,
    /// For the operator.
    pub metrics: Option<SocketAddr>,
}

/// Runs the server until it is told to stop, and stops it gracefully. `ready` is called once it listens.
pub async fn run(
    settings: Settings,
    prepared: Prepared,
    ready: impl FnOnce(Listening),
) -> Result<(), StartError> {
    let Prepared { begun, clock, socket, identity, mut data, operator, process } = prepared;
    let mut signals = Signals::new()?;
    let (socket, address) = opened(socket)?;
    let operator = operator.map(opened).transpose()?;
    let listening = Listening { address, metrics: operator.as_ref().map(|(_, address)| *address) };
    let metrics = Arc::new(Metrics::default());
    let (told, outcomes) = outcome_queue();
    let bounds = Bounds::new(&settings.limits);
    let store = SqliteStore::open(&data.database(), bounds, told, metrics.commits.clone())?;
    let store = Arc::new(store);
    let addresses: Vec<SocketAddr> = [address].into_iter().chain(listening.metrics).collect();
    data.note_addresses(&addresses)?;

    let limits = Arc::new(settings.limits.clone());
    let shared: Arc<dyn Store<Posting>> = Arc::clone(&store) as _;
    let hub = Arc::new(Hub::default());
    let mut delivery = tokio::spawn(deliver(Arc::clone(&hub), outcomes, Arc::clone(&metrics)));
    let recorder = Arc::new(Recorder::new(Arc::clone(&shared), clock, Arc::clone(&metrics)));
    let directory = Arc::new(Directory::new(Arc::clone(&shared)));
    let follower = Follower {
        ttp: TtpClient::new(&settings.ttp),
        root: Arc::clone(&identity.root),
        directory: Arc::clone(&directory),
        store: Arc::clone(&shared),
        hub: Arc::clone(&hub),
        recorder: Arc::clone(&recorder),
        metrics: Arc::clone(&metrics),
        clock,
    };
    let services = Arc::new(Services {
        directory,
        store: shared,
        hub,
        metrics,
        recorder: Arc::clone(&recorder),
        in_flight: InFlight::new(&limits),
        ttp: follower.ttp.clone(),
        attempts: Attempts::new(&limits),
        limits,
        clock,
        stopping: CancellationToken::new(),
    });
    let entrance = Arc::new(Entrance::new(Arc::clone(&services), identity));
    let sessions = TaskTracker::new();
    let workers = TaskTracker::new();
    workers.spawn(listener::listen(socket, Arc::clone(&entrance), sessions.clone()));
    workers.spawn(follower.follow(services.stopping.clone()));
    workers.spawn(Arc::clone(&recorder).run(services.stopping.clone()));
    // Monitoring still answers while sessions end, so it has a stop signal of its own.
    let unwatched = CancellationToken::new();
    let monitoring = TaskTracker::new();
    if let Some((socket, address)) = operator {
        let serving =
            Monitoring::new(Arc::clone(&entrance), process).serve(socket, address.port(), unwatched.clone());
        monitoring.spawn(serving);
        info!(%address, "metrics");
    }
    recorder.record(SecurityEvent::new(Kind::Started).because(env!("CARGO_PKG_VERSION")));
    info!(%address, millis = begun.elapsed().as_millis(), "ready");
    ready(listening);

    let delivers = serve_until_stopped(&mut signals, &mut delivery, &entrance, &settings).await;
    end_sessions(&services, &workers, &sessions).await;
    unwatched.cancel();
    monitoring.close();
    monitoring.wait().await;
    recorder.record(SecurityEvent::new(Kind::Stopped));
    recorder.close().await;
    store.close().await;
    if !delivers || delivery.await.is_err() {
        return Err(StartError::NoDelivery);
    }
    info!("stopped");
    Ok(())
}

/// Serves, and reloads when it is told to. Returns true when it is told to stop, and false when delivery has ended.
async fn serve_until_stopped(
    signals: &mut Signals,
    delivery: &mut JoinHandle<()>,
    entrance: &Entrance,
    settings: &Settings,
) -> bool {
    loop {
        match next_event(signals, delivery).await {
            Awaited::Reload => reload(entrance, settings),
            Awaited::Stop => return true,
            Awaited::NoDelivery => return false,
        }
    }
}

/// Tells sessions and workers to stop, and waits for them; for sessions only as long as the limit says.
async fn end_sessions(services: &Services, workers: &TaskTracker, sessions: &TaskTracker) {
    info!("stopping");
    services.stopping.cancel();
    workers.close();
    workers.wait().await;
    sessions.close();
    let drain = Duration::from_secs(services.limits.drain_seconds);
    if tokio::time::timeout(drain, sessions.wait()).await.is_err() {
        warn!(left = sessions.len(), "some sessions did not end in time");
    }
}

/// Refuses unsafe settings, unless they are allowed by name.
fn refuse_dangers(settings: &Settings, address: SocketAddr) -> Result<(), StartError> {
    let dangers = [
        (Danger::WorldReadableKeys, danger::of_keys(&settings.keys)),
        (Danger::WritableKeys, danger::of_keys_folder(&settings.keys)),
        (Danger::WritableData, danger::of_data(&settings.data)),
        (Danger::PublicWithoutLimits, danger::of_limits(address, &settings.limits)),
    ];
    for (danger, reason) in dangers {
        let Some(reason) = reason else { continue };
        if !settings.allow_unsafe.contains(&danger) {
            return Err(StartError::Unsafe { danger, reason });
        }
        warn!(%reason, allowed = danger.name(), "unsafe");
    }
    Ok(())
}

/// The socket as the runtime uses it, with its address.
fn opened(socket: Socket) -> Result<(TcpListener, SocketAddr), StartError> {
    let opened = TcpListener::from_std(socket.into()).and_then(|listener| {
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    opened.map_err(|error| StartError::System(error.to_string()))
}

/// Reads keys and certificates again; when they cannot be used the old ones stay.
fn reload(entrance: &Entrance, settings: &Settings) {
    let services = &entrance.services;
    match tls::load(&settings.keys, services.clock) {
        Ok(identity) => {
            entrance.show(identity);
            info!("keys and certificates were read again");
            services
                .recorder
                .record(SecurityEvent::new(Kind::Reload).because("keys and certificates were read again"));
        }
        Err(failure) => {
            error!(%failure, "keys and certificates were not read again; the old ones stay");
            let event =
                SecurityEvent::new(Kind::Reload).because(format_args!("the old keys stay: {failure}"));
            services.recorder.record(event);
        }
    }
}

/// An event that a running server waits for.
#[derive(Debug, PartialEq, Eq)]
enum Awaited {
    Stop,
    Reload,
    /// The delivery task has ended, through a fault of ours.
    NoDelivery,
}

/// Waits for a signal, or for the end of the delivery task. Without delivery nobody would be answered, so the server
/// must not go on.
async fn next_event(signals: &mut Signals, delivery: &mut JoinHandle<()>) -> Awaited {
    tokio::select! {
        event = signals.next() => event,
        ended = delivery => {
            error!(panicked = ended.is_err(), "delivery has ended: the server stops");
            Awaited::NoDelivery
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, StartError> {
        let listen = |kind| signal(kind).map_err(|error| StartError::System(error.to_string()));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Awaited {
        tokio::select! {
            _ = self.terminate.recv() => Awaited::Stop,
            _ = self.interrupt.recv() => Awaited::Stop,
            _ = self.hangup.recv() => Awaited::Reload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_server_notices_that_the_delivery_task_has_ended_or_panicked() {
        let mut signals = Signals::new().unwrap();
        let mut ended = tokio::spawn(async {});
        assert_eq!(next_event(&mut signals, &mut ended).await, Awaited::NoDelivery);
        let mut panicked = tokio::spawn(async { panic!("a fault in delivery") });
        assert_eq!(next_event(&mut signals, &mut panicked).await, Awaited::NoDelivery);
    }
}
