//! Asking the broker: the process that a person starts, of which this client is the child.
//!
//! The client can make no Unix socket and look nothing up. It asks its broker, by a few fixed verbs, over a
//! socket pair that it gets as its standard input: the real one comes over it with the word to begin. Each
//! request carries a channel for its own answer, so a slow lookup holds up nothing else. The broker itself is
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

/// The end of the client's socket pair.
#[derive(Debug, Clone)]
pub struct Broker {
    socket: Arc<OwnedFd>,
}

impl Broker {
    /// Whether a broker started this process.
    pub fn is_above() -> bool {
        std::env::args_os().next().is_some_and(|name| name == CLIENT)
    }

    /// Takes the socket pair from standard input, and puts the real one there. `None` when the broker has
    /// ended before it said the word; it has told why. To be called first of all.
    pub fn adopt() -> io::Result<Option<Self>> {
        // By its own name, not as `exe`, of which the broker started it.
        set_name(c"parlour")?;
        // A terminal face gives the terminal back at this signal, which a broker that is gone cannot do.
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

    /// The control socket of a user whose profile this client owns. It must not be there.
    pub fn listen(&self, user: &UserName) -> io::Result<UnixListener> {
        match self.ask(&Request::Listen { user: user.clone() })? {
            (Answer::Socket, Some(socket)) => Ok(socket.into()),
            other => Err(refusal(other)),
        }
    }

    /// A connection to the client that owns this user's profile.
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
        // What it does not answer, it closes; so must we.
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
