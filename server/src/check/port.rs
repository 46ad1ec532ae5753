//! Whether an address can be listened on, or our own server does so already.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use parlour_upkeep::Finding;
use tokio::net::TcpListener;

use crate::data::{self, Use};
use crate::monitoring;
use crate::server::resolve;
use crate::startup::StartError;

/// The address for clients.
pub(super) async fn find(listen: Option<&str>, data: Option<&Path>) -> Finding {
    look("port", "--listen", listen.map(resolve), data).await
}

/// The address for the operator.
pub(super) async fn find_metrics(metrics: Option<&str>, data: Option<&Path>) -> Finding {
    look("metrics", "--metrics", metrics.map(monitoring::address), data).await
}

/// Tries to listen, and lets go again.
async fn look(
    what: &'static str,
    option: &str,
    address: Option<Result<SocketAddr, StartError>>,
    data: Option<&Path>,
) -> Finding {
    let another = format!("stop the program that listens there, or choose another address with {option}");
    let address = match address {
        None => return Finding::not_checked(what, format!("no {option} was given")),
        Some(Ok(address)) => address,
        Some(Err(error)) => {
            return Finding::wrong(what, error.to_string(), error.hint().unwrap_or_default());
        }
    };
    match TcpListener::bind(address).await {
        Ok(_) => Finding::well(what, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => taken(what, address, data, another),
        Err(error) => Finding::wrong(what, format!("cannot listen on {address}: {error}"), another),
    }
}

/// Our own server may be the one that listens.
fn taken(what: &'static str, address: SocketAddr, data: Option<&Path>, another: String) -> Finding {
    let problem = format!("another program listens on {address}");
    match data.map(data::usage) {
        Some(Ok(Use::Running(ours))) if ours.contains(&address) => {
            Finding::well(what, format!("the server listens on {address}"))
        }
        Some(_) => Finding::wrong(what, problem, another),
        None => {
            let fix = format!("{another}; if it is this server, name its folder with --data");
            Finding::wrong(what, problem, fix)
        }
    }
}
