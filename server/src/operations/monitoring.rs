//! Answers the operator's programs by HTTP, on a loopback address: `/healthz` while the server runs, `/readyz` while
//! it can do its work, and `/metrics` with its counters.

mod host;
mod live;
mod readiness;
mod serving;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use socket2::Socket;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::error;

use self::live::Live;
use self::readiness::Readiness;
use crate::edge::entrance::Entrance;
use crate::edge::socket::{self, AddressError};
use crate::metrics::Process;
use crate::session::services::Services;

/// The media type of `/metrics`.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The reasons why an address cannot be the operator's.
#[derive(Debug, Error)]
pub enum OperatorAddressError {
    /// There is no such address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The address is not a loopback address.
    #[error("metrics are for this machine alone, and others reach {0}")]
    Public(SocketAddr),
}

impl OperatorAddressError {
    /// Advice for the operator.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Address(error) => error.hint(),
            Self::Public(_) => {
                "use a loopback address, for example --metrics 127.0.0.1:9275, and put a reverse proxy or an ssh \
                 tunnel before it"
            }
        }
    }
}

/// The reasons why the server cannot listen for the operator.
#[derive(Debug, Error)]
pub enum OperatorListenError {
    /// The address cannot be the operator's.
    #[error(transparent)]
    Address(#[from] OperatorAddressError),
    /// The system refused.
    #[error("cannot listen on {address} for metrics: {reason}")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        reason: String,
    },
}

impl OperatorListenError {
    /// Advice for the operator.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Address(error) => error.hint(),
            Self::Refused { .. } => {
                "is another program listening there? choose another address with --metrics"
            }
        }
    }
}

/// Looks up the loopback address `HOST:PORT`. No other is accepted, because answers are not encrypted and need no
/// password.
pub(crate) fn address(text: &str) -> Result<SocketAddr, OperatorAddressError> {
    let address = socket::resolve(text)?;
    if !address.ip().to_canonical().is_loopback() {
        return Err(OperatorAddressError::Public(address));
    }
    Ok(address)
}

/// Listens on that address. Call it before the process is confined.
pub(crate) fn listen(text: &str) -> Result<Socket, OperatorListenError> {
    let address = address(text)?;
    socket::bind(address, None)
        .map_err(|error| OperatorListenError::Refused { address, reason: error.to_string() })
}

/// Answers the operator.
pub struct Monitoring {
    router: Router,
}

/// The state that the answers are made from.
struct Office {
    services: Arc<Services>,
    readiness: Readiness,
    registry: Registry,
    /// Readiness in the registry, set at each request.
    ready: Gauge,
}

impl Monitoring {
    /// Monitoring of this server and this process.
    pub fn new(entrance: Arc<Entrance>, process: Process) -> Self {
        let services = Arc::clone(&entrance.services);
        let ready = Gauge::default();
        let mut registry = Registry::default();
        registry.register_collector(Box::new(process));
        let ours = registry.sub_registry_with_prefix("parlour");
        ours.register("build", "The version that runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        ours.register("ready", "1 while /readyz says so", ready.clone());
        services.metrics.register(ours);
        ours.register_collector(Box::new(Live::new(entrance)));
        let readiness = Readiness::new(Arc::clone(&services));
        let office = Arc::new(Office { services, readiness, registry, ready });
        let router = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .fallback(|| async { (StatusCode::NOT_FOUND, "there are /healthz, /readyz and /metrics\n") })
            .with_state(office);
        Self { router }
    }

    /// Serves until it is told to stop.
    pub async fn serve(self, listener: TcpListener, port: u16, stop: CancellationToken) {
        let router = self.router.layer(from_fn(move |request, next| host::check(port, request, next)));
        serving::serve(listener, router, stop).await;
    }
}

async fn readyz(State(office): State<Arc<Office>>) -> Response {
    let reasons = office.readiness.reasons().await;
    // Chat goes on without the TTP, so its absence is mentioned but does not count.
    let ttp = match office.services.metrics.ttp_connected.get() {
        0 => "TTP: not connected; nobody can register or renew, and no revocation comes, until it is back",
        _ => "TTP: connected",
    };
    if reasons.is_empty() {
        return format!("ready\n{ttp}\n").into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n{ttp}\n", reasons.join("\n"))).into_response()
}

async fn metrics(State(office): State<Arc<Office>>) -> Response {
    let is_ready = office.readiness.reasons().await.is_empty();
    office.ready.set(i64::from(is_ready));
    let mut text = String::new();
    match encode(&mut text, &office.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(failure) => {
            error!(%failure, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_accepted() {
        for local in ["127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(address(local).is_ok(), "{local}");
        }
        for public in
            ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "192.0.2.1:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1"]
        {
            assert!(matches!(address(public), Err(OperatorAddressError::Public(_))), "{public}");
        }
        for none in ["", "9275", "127.0.0.1", "127.0.0.1:port"] {
            assert!(
                matches!(address(none), Err(OperatorAddressError::Address(AddressError::Malformed(_)))),
                "{none}"
            );
        }
    }
}
