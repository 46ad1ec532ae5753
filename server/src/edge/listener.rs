//! Accepts connections: the gate, the TLS handshake, then a session.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parlour_protocol::{EXPORTER_BYTES, EXPORTER_LABEL};
use rustls::CertificateError;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::audit::{Kind, SecurityEvent};
use crate::delivery::peer::Peer;
use crate::delivery::wire;
use crate::edge::entrance::Entrance;
use crate::edge::gate::Pass;
use crate::edge::handshakes::Underway;
use crate::metrics::{Bound, HandshakeFault};
use crate::session::{Connection, Session};

/// The pause after the system could not accept, for instance because files ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the server stops. Sessions run in `sessions`.
pub async fn listen(listener: TcpListener, entrance: Arc<Entrance>, sessions: TaskTracker) {
    let services = &entrance.services;
    let numbers = AtomicU64::new(1);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = services.stopping.cancelled() => return,
        };
        match accepted {
            Ok((stream, address)) => {
                let pass = match entrance.gate.enter(address.ip()) {
                    Ok(pass) => pass,
                    Err(full) => {
                        debug!(peer = %address, "{full}");
                        services.metrics.limits.count(full.into());
                        let event = SecurityEvent::new(Kind::RateLimit).from(address.ip()).because(full);
                        services.recorder.record(event);
                        continue;
                    }
                };
                // Taken here and not in the task, so that handshakes are in the order of their age.
                let place = pass.handshake();
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                let entrance = Arc::clone(&entrance);
                sessions.spawn(welcome(entrance, stream, address, (pass, place), number, sessions.clone()));
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn welcome(
    entrance: Arc<Entrance>,
    stream: TcpStream,
    address: SocketAddr,
    (mut pass, mut place): (Pass, Underway),
    number: u64,
    sessions: TaskTracker,
) {
    if let Err(error) = prepare(&stream) {
        debug!(peer = %address, %error, "socket options");
        return;
    }
    let services = Arc::clone(&entrance.services);
    let identity = entrance.identity();
    drop(entrance);
    let handshake = TlsAcceptor::from(Arc::clone(&identity.config)).accept(stream);
    let patience = Duration::from_secs(services.limits.handshake_seconds);
    let handshake = tokio::select! {
        result = timeout(patience, handshake) => result,
        () = place.ended() => {
            debug!(peer = %address, "handshake gave way to another");
            services.metrics.limits.count(Bound::Handshakes);
            let event = SecurityEvent::new(Kind::RateLimit).from(address.ip());
            return services.recorder.record(event.because("an unfinished handshake made room"));
        }
        () = services.stopping.cancelled() => return,
    };
    drop(place);
    let stream = match handshake {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            services.metrics.handshake_failures.count(HandshakeFault::of(&error));
            let Some(fault) = certificate_fault(&error) else {
                return debug!(peer = %address, %error, "handshake failed");
            };
            // The client presented an invalid certificate: this is a failed login.
            warn!(peer = %address, %error, "handshake failed");
            let event = SecurityEvent::new(Kind::LoginFailed).from(address.ip()).because(fault);
            return services.recorder.record(event);
        }
        Err(_) => {
            services.metrics.handshake_failures.count(HandshakeFault::Timeout);
            services.metrics.limits.count(Bound::HandshakeSeconds);
            return debug!(peer = %address, "handshake took too long");
        }
    };
    let (certificate, exporter) = match established(&stream) {
        Ok(established) => established,
        Err(error) => return warn!(peer = %address, %error, "no channel binding"),
    };
    let outgoing = usize::try_from(services.limits.outgoing_queue_bytes).unwrap_or(usize::MAX);
    services.metrics.handshakes.inc();
    let (wire, incoming) = wire::split(stream, Arc::clone(&services.metrics));
    let peer = Arc::new(Peer::new(number, outgoing, Some(wire)));
    if certificate.is_some() {
        pass.expect_login(&peer);
    } else if let Some(full) = pass.become_guest(&peer) {
        services.metrics.limits.count(full.into());
        let event = SecurityEvent::new(Kind::RateLimit).from(address.ip());
        services.recorder.record(event.because(full));
    }
    debug!(session = number, peer = %address, guest = certificate.is_none(), "connected");
    let root = Arc::clone(&identity.root);
    let connection = Connection::new(address, certificate, exporter, root);
    // A task of its own, so that nothing of the handshake is held for as long as the session lasts.
    let counted = services.metrics.session();
    sessions.spawn(async move {
        let _places = (pass, counted);
        Session::new(services, peer, connection).run(incoming).await;
        debug!(session = number, "gone");
    });
}

/// Names the fault of the client's certificate, if that is why the handshake failed. The words are fixed, because the
/// contents of a certificate are chosen by strangers.
fn certificate_fault(error: &std::io::Error) -> Option<&'static str> {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(fault)) = tls else { return None };
    Some(match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "certificate: expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate: not valid yet"
        }
        CertificateError::UnknownIssuer => "certificate: of another authority",
        CertificateError::BadSignature => "certificate: its signature does not hold",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "certificate: not for client authentication"
        }
        _ => "certificate: refused in the handshake",
    })
}

fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(20))
        .with_interval(Duration::from_secs(10))
        .with_retries(2);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(Duration::from_secs(40)))
}

type Established = (Option<Vec<u8>>, [u8; EXPORTER_BYTES]);

/// The client's leaf certificate, if any, and the RFC 9266 value.
fn established(stream: &TlsStream<TcpStream>) -> Result<Established, rustls::Error> {
    let (_, connection) = stream.get_ref();
    let leaf = connection.peer_certificates().and_then(<[_]>::first);
    let exporter = connection.export_keying_material([0; EXPORTER_BYTES], EXPORTER_LABEL, None)?;
    Ok((leaf.map(|certificate| certificate.to_vec()), exporter))
}
