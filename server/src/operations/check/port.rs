//! Checks that an address can be listened on, unless our own server does so already.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use parlour_upkeep::{Finding, look};
use tokio::net::TcpListener;

use crate::edge::socket::resolve;
use crate::operations::data::{self, Use};
use crate::operations::monitoring::{self, OperatorListenError};
use crate::operations::startup::StartError;

/// The purposes of the addresses that a server notes, in their order.
const NOTED: [&str; 2] = ["clients", "the operator"];

/// The address for clients.
pub(super) async fn find(listen: Option<&str>, data: Option<&Path>) -> Finding {
    let port = Port { what: "port", option: "--listen", place: 0, data };
    port.look(listen.map(|listen| Ok(resolve(listen)?))).await
}

/// The address for the operator.
pub(super) async fn find_metrics(metrics: Option<&str>, data: Option<&Path>) -> Finding {
    let port = Port { what: "metrics", option: "--metrics", place: 1, data };
    port.look(metrics.map(|metrics| Ok(monitoring::address(metrics).map_err(OperatorListenError::from)?)))
        .await
}

/// An address in the configuration.
struct Port<'a> {
    what: &'static str,
    /// The option that names it.
    option: &'static str,
    /// Its place among the addresses that a server notes.
    place: usize,
    data: Option<&'a Path>,
}

impl Port<'_> {
    /// Tries to listen on the address, and closes it again.
    async fn look(&self, address: Option<Result<SocketAddr, StartError>>) -> Finding {
        let Self { what, option, .. } = *self;
        let address = match address {
            None => return Finding::not_checked(what, format!("no {option} was given")),
            Some(Ok(address)) => address,
            Some(Err(error)) => {
                return Finding::wrong(what, error.to_string(), error.hint().unwrap_or_default());
            }
        };
        let problem = |error| format!("cannot listen on {address}: {error}");
        match TcpListener::bind(address).await {
            Ok(_) => Finding::well(what, format!("{address} is free")),
            Err(error) if error.kind() == ErrorKind::AddrInUse => self.taken(address),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let fix = format!(
                    "run this as root, as the server is started for such a port, or {}",
                    self.other()
                );
                Finding::wrong(what, problem(error), fix)
            }
            Err(error) => Finding::wrong(what, problem(error), self.other()),
        }
    }

    /// A finding for an address in use, perhaps by our own server.
    fn taken(&self, address: SocketAddr) -> Finding {
        let another = format!("stop the program that listens there, or {}", self.other());
        let wrong = |fix| Finding::wrong(self.what, format!("another program listens on {address}"), fix);
        match self.data.map(data::usage) {
            Some(Ok(Use::Running(ours))) => match ours.iter().position(|noted| *noted == address) {
                Some(place) if place == self.place => {
                    Finding::well(self.what, format!("the server listens on {address}"))
                }
                Some(place) => {
                    let who = NOTED.get(place).copied().unwrap_or_default();
                    Finding::wrong(
                        self.what,
                        format!("the server listens on {address} for {who}"),
                        self.other(),
                    )
                }
                None => wrong(another),
            },
            Some(Err(error)) if error.kind() == ErrorKind::PermissionDenied => {
                look::out_of_reach(self.what, &format!("which program listens on {address}"))
            }
            Some(Ok(Use::Free) | Err(_)) => wrong(another),
            None => wrong(format!("{another}; if it is this server, name its folder with --data")),
        }
    }

    fn other(&self) -> String {
        format!("choose another address with {}", self.option)
    }
}
