//! Whether the address can be listened on, or our own server does so already.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use parlour_upkeep::Finding;
use tokio::net::TcpListener;

use crate::data::{self, Use};
use crate::server::resolve;

const ANOTHER: &str = "stop the program that listens there, or choose another address with --listen";

/// Tries to listen, and lets go again.
pub(super) async fn find(listen: Option<&str>, data: Option<&Path>) -> Finding {
    let Some(listen) = listen else {
        return Finding::not_checked("port", "no --listen was given");
    };
    let address = match resolve(listen) {
        Ok(address) => address,
        Err(error) => return Finding::wrong("port", error.to_string(), error.hint().unwrap_or_default()),
    };
    match TcpListener::bind(address).await {
        Ok(_) => Finding::well("port", format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => taken(address, data),
        Err(error) => Finding::wrong("port", format!("cannot listen on {address}: {error}"), ANOTHER),
    }
}

/// Our own server may be the one that listens.
fn taken(address: SocketAddr, data: Option<&Path>) -> Finding {
    let problem = format!("another program listens on {address}");
    match data.map(data::usage) {
        Some(Ok(Use::Running(Some(ours)))) if ours == address => {
            Finding::well("port", format!("the server listens on {address}"))
        }
        Some(_) => Finding::wrong("port", problem, ANOTHER),
        None => {
            let fix = format!("{ANOTHER}; if it is this server, name its folder with --data");
            Finding::wrong("port", problem, fix)
        }
    }
}
