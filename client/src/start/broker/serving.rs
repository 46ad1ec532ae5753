//! Answers the client's requests: looks names up, and makes and connects sockets. The client may be under an
//! attacker's control, so every argument is parsed here, and sending an answer never blocks.

use std::io;
use std::net::ToSocketAddrs as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use parlour_protocol::{ServerAddress, UserName};

use crate::broker::{Answer, Request, receive, send};
use crate::control;
use crate::profile::Profiles;

/// The most requests at the same time; further ones are refused.
const AT_ONCE: usize = 8;

/// The most addresses of one server that are returned; a client tries them in turn.
const ADDRESSES: usize = 16;

/// The answering side.
pub(super) struct Serving {
    profiles: Arc<Profiles>,
}

impl Serving {
    pub(super) fn new(profiles: Profiles) -> Self {
        Self { profiles: Arc::new(profiles) }
    }

    /// Serves on a thread of its own, which ends with this process.
    pub(super) fn begin(self, client: OwnedFd) -> io::Result<()> {
        thread::Builder::new().name("requests".to_owned()).spawn(move || self.serve(&client)).map(drop)
    }

    fn serve(self, client: &OwnedFd) {
        // Each request under way holds a reference.
        let running = Arc::new(());
        // A malformed request ends the service.
        while let Ok(Some((request, Some(answers)))) = receive(client) {
            let Ok(request) = serde_json::from_slice::<Request>(&request) else { return };
            if Arc::strong_count(&running) > AT_ONCE {
                reply(&answers, &Answer::Failed("too many requests at once".to_owned()), None);
                continue;
            }
            let (profiles, place) = (Arc::clone(&self.profiles), Arc::clone(&running));
            // If no thread can be started, the channel for the answer closes.
            let _ = thread::Builder::new().spawn(move || {
                match answer(&profiles, request) {
                    Ok((answer, socket)) => reply(&answers, &answer, socket.as_ref()),
                    Err(error) => reply(&answers, &Answer::Failed(error.to_string()), None),
                }
                drop(place);
            });
        }
    }
}

fn answer(profiles: &Profiles, request: Request) -> io::Result<(Answer, Option<OwnedFd>)> {
    let socket = |user: &UserName| -> PathBuf { control::path(&profiles.of(user)) };
    Ok(match request {
        Request::Resolve { server } => {
            let server: ServerAddress = server.parse().map_err(io::Error::other)?;
            let found = (server.host.as_str(), server.port).to_socket_addrs()?;
            (Answer::Addresses(found.take(ADDRESSES).collect()), None)
        }
        Request::Listen { user } => (Answer::Socket, Some(UnixListener::bind(socket(&user))?.into())),
        Request::Connect { user } => (Answer::Socket, Some(UnixStream::connect(socket(&user))?.into())),
    })
}

fn reply(client: &OwnedFd, answer: &Answer, socket: Option<&OwnedFd>) {
    // This fails if the client has stopped waiting.
    if let Ok(answer) = serde_json::to_vec(answer) {
        let _ = send(client, &answer, socket.map(AsFd::as_fd));
    }
}
