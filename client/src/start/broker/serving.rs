//! Answering the client: names are looked up, and sockets made and found. A client that was taken over asks as
//! well, so every argument is parsed here, and nobody is waited for.

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

/// Requests at the same time; further ones are refused.
const AT_ONCE: usize = 8;

/// Addresses of one server that are told; a client tries them in turn.
const ADDRESSES: usize = 16;

/// Serves while the client lives.
pub(super) struct Serving {
    profiles: Arc<Profiles>,
}

impl Serving {
    pub(super) fn new(profiles: Profiles) -> Self {
        Self { profiles: Arc::new(profiles) }
    }

    /// Serves from a thread of its own, which the end of this process ends.
    pub(super) fn begin(self, client: OwnedFd) -> io::Result<()> {
        thread::Builder::new().name("requests".to_owned()).spawn(move || self.serve(&client)).map(drop)
    }

    fn serve(self, client: &OwnedFd) {
        // Each request under way holds one more.
        let running = Arc::new(());
        // A client that does not keep to the form is not served any more.
        while let Ok(Some((request, Some(answers)))) = receive(client) {
            let Ok(request) = serde_json::from_slice::<Request>(&request) else { return };
            if Arc::strong_count(&running) > AT_ONCE {
                tell(&answers, &Answer::Failed("too many requests at once".to_owned()), None);
                continue;
            }
            let (profiles, place) = (Arc::clone(&self.profiles), Arc::clone(&running));
            // Where there can be no thread, the channel for the answer closes.
            let _ = thread::Builder::new().spawn(move || {
                match answer(&profiles, request) {
                    Ok((answer, socket)) => tell(&answers, &answer, socket.as_ref()),
                    Err(error) => tell(&answers, &Answer::Failed(error.to_string()), None),
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

fn tell(client: &OwnedFd, answer: &Answer, socket: Option<&OwnedFd>) {
    // A client that does not wait any more needs none.
    if let Ok(answer) = serde_json::to_vec(answer) {
        let _ = send(client, &answer, socket.map(AsFd::as_fd));
    }
}
