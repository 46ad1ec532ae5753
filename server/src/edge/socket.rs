//! Addresses to listen on, and the sockets that do.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

/// Connections that the system keeps until they are accepted; it may keep fewer.
const BACKLOG: i32 = 1_024;

/// The reasons why an address cannot be listened on.
#[derive(Debug, Error)]
pub enum AddressError {
    /// The address does not parse.
    #[error("'{0}' is no address to listen on")]
    Malformed(String),
    /// The address names a host that cannot be found.
    #[error("no address is known for '{listen}': {source}")]
    UnknownHost {
        /// The address as it was written.
        listen: String,
        /// The system's error.
        source: io::Error,
    },
}

impl AddressError {
    /// Advice for the operator.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "write it as HOST:PORT, for example 127.0.0.1:7275",
            Self::UnknownHost { .. } => {
                "name an address of this machine, or a host that it can look up, in /etc/hosts for example"
            }
        }
    }
}

/// Looks up the first address of `HOST:PORT`.
pub(crate) fn resolve(listen: &str) -> Result<SocketAddr, AddressError> {
    let malformed = || AddressError::Malformed(listen.to_owned());
    match listen.to_socket_addrs() {
        Ok(mut found) => found.next().ok_or_else(malformed),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(malformed()),
        Err(source) => Err(AddressError::UnknownHost { listen: listen.to_owned(), source }),
    }
}

/// Listens. Connections wait until the server accepts them.
pub(crate) fn bind(address: SocketAddr, send_buffer: Option<usize>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Connections inherit this. By default the system would hold megabytes for each client that does not read.
    if let Some(bytes) = send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}
