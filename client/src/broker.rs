//! Requests to the broker: the process that a person starts, of which this client is the child.
//!
//! The client can neither make a Unix socket nor look up a name. It asks its broker for these by a few fixed verbs,
//! over a socket pair that it gets as standard input. The real standard input comes over that pair with the message to
//! begin. Each request brings a channel for its own answer, so a slow lookup delays nothing else. The broker itself is
//! in [`crate::start::broker`].

mod passing;
mod request;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

use nix::sys::prctl::{set_name, set_pdeathsig};
use nix::sys::signal::Signal;
use parlour_protocol::{ServerAddress, UserName};

pub(crate) use passing::{pair, receive, send};
pub(crate) use request::{Answer, BEGIN, Request};

/// The name under which a broker starts its client, as its argument 0.
pub(crate) const CLIENT: &str = "parlour: client";

/// The client's end of the socket pair.
#[derive(Debug, Clone)]
pub struct Broker {
    socket: Arc<OwnedFd>,
}

impl Broker {
    /// True if a broker started this process.
    pub fn is_above() -> bool {
        std::env::args_os().next().is_some_and(|name| name == CLIENT)
    }

    /// Takes the socket pair from standard input, and puts the real standard input there. `None` if the broker ended
    /// before the message to begin; then the broker has reported why. Call this before anything else.
    pub fn adopt() -> io::Result<Option<Self>> {
        // The system has named this process after `/proc/self/exe`.
        set_name(c"parlour")?;
        // At this signal the terminal face restores the terminal, which a broker that is gone cannot do.
        set_pdeathsig(Signal::SIGTERM)?;
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        match receive(&socket)? {
            Some((word, Some(input))) if word == BEGIN => nix::unistd::dup2_stdin(input)?,
            Some(_) => return Err(io::Error::other("this is no broker")),
            None => return Ok(None),
        }
        Ok(Some(Self { socket: Arc::new(socket) }))
    }

    /// The addresses of a server.
    pub async fn resolve(&self, server: &ServerAddress) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = server.host.parse() {
            return Ok(vec![SocketAddr::new(address, server.port)]);
        }
        let request = Request::Resolve { server: server.to_string() };
        match self.ask_patiently(request).await? {
            (Answer::Addresses(addresses), _) => Ok(addresses),
            other => Err(refusal(other)),
        }
    }

    /// Listens on the control socket of a user whose profile this client owns. The socket must not exist.
    pub fn listen(&self, user: &UserName) -> io::Result<UnixListener> {
        match self.ask(&Request::Listen { user: user.clone() })? {
            (Answer::Socket, Some(socket)) => Ok(socket.into()),
            other => Err(refusal(other)),
        }
    }

    /// Connects to the client that owns this user's profile.
    pub async fn connect(&self, user: &UserName) -> io::Result<UnixStream> {
        match self.ask_patiently(Request::Connect { user: user.clone() }).await? {
            (Answer::Socket, Some(socket)) => Ok(socket.into()),
            other => Err(refusal(other)),
        }
    }

    async fn ask_patiently(&self, request: Request) -> io::Result<(Answer, Option<OwnedFd>)> {
        let broker = self.clone();
        tokio::task::spawn_blocking(move || broker.ask(&request)).await.map_err(io::Error::other)?
    }

    fn ask(&self, request: &Request) -> io::Result<(Answer, Option<OwnedFd>)> {
        let (answers, theirs) = pair()?;
        send(&self.socket, &serde_json::to_vec(request)?, Some(theirs.as_fd()))?;
        // The broker closes the channel of a request that it does not answer; that is noticed only if no copy is left
        // open here.
        drop(theirs);
        let (answer, socket) =
            receive(&answers)?.ok_or_else(|| io::Error::other("the broker does not answer"))?;
        Ok((serde_json::from_slice(&answer)?, socket))
    }
}

fn refusal((answer, _): (Answer, Option<OwnedFd>)) -> io::Error {
    match answer {
        Answer::Failed(reason) => io::Error::other(reason),
        Answer::Addresses(_) | Answer::Socket => io::Error::other("the broker answers something else"),
    }
}
