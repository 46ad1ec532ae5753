//! The socket of a running client, `parlour.sock` in its profile: one-shot commands go through it,
//! since one process owns the profile. It speaks the json face. The broker makes it and connects to it, because the
//! client may not.

use std::path::{Path, PathBuf};

use parlour_protocol::{ServerAddress, UserName};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::asking::action::{Action, Answer};
use crate::asking::asker::Asker;
use crate::asking::json::{Request, Response};
use crate::broker::Broker;
use crate::engine::OpenDoor;
use crate::face::json::{self, Requests};
use crate::failure::Failure;
use crate::link::LinkError;
use crate::profile::{Profile, ProfileError};

/// The most one-shot commands at the same time; further ones wait.
const AT_ONCE: usize = 16;

/// The socket in the folder of a profile.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("parlour.sock")
}

/// Lets an engine listen in the folder of the profile that it has taken.
pub fn door(broker: Broker) -> OpenDoor {
    Box::new(move |profile, server, asker| Box::new(listen(&broker, profile, server, asker)))
}

/// Listens in the profile's folder until the result is dropped. Without a socket (its path may be too long for the
/// system) the client works as well, but one-shot commands cannot reach it.
fn listen(broker: &Broker, profile: &Profile, server: &ServerAddress, asker: Asker) -> Control {
    let mut control = Control { path: path(&profile.folder), tasks: JoinSet::new() };
    // The caller holds the profile's lock, so nobody listens on a socket that an earlier run left.
    let _ = std::fs::remove_file(&control.path);
    let listening = broker.listen(&profile.name).and_then(|listener| {
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener)
    });
    if let Ok(listener) = listening {
        control.tasks.spawn(accept(listener, server.clone(), asker));
    }
    control
}

/// The listening socket and the tasks that serve it, which end when this is dropped.
struct Control {
    path: PathBuf,
    tasks: JoinSet<()>,
}

impl Drop for Control {
    fn drop(&mut self) {
        self.tasks.abort_all();
        // The next run replaces one that stays.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, server: ServerAddress, asker: Asker) {
    let mut commands = JoinSet::new();
    loop {
        if commands.len() >= AT_ONCE {
            commands.join_next().await;
        }
        let Ok((stream, _)) = listener.accept().await else { return };
        let requests = Requests::at(server.clone(), asker.clone());
        commands.spawn(async move {
            let (input, output) = stream.into_split();
            // If this fails, the command that asked has ended.
            let _ = json::serve(input, output, requests, None, None).await;
        });
        while commands.try_join_next().is_some() {}
    }
}

/// Asks the client that owns this user's profile to carry out an action. If a `server` is named, only a client at that
/// server does.
pub async fn ask(
    broker: &Broker,
    user: &UserName,
    action: Action,
    server: Option<ServerAddress>,
) -> Result<Answer, Failure> {
    let gone = |_: std::io::Error| Failure::from(ProfileError::InUse);
    let stream = broker.connect(user).await.map_err(gone)?;
    stream.set_nonblocking(true).map_err(gone)?;
    let stream = UnixStream::from_std(stream).map_err(gone)?;
    let (input, mut output) = stream.into_split();
    let server = server.map(|server| server.to_string());
    let request = Request { id: Value::from(1), action, server };
    let mut line = serde_json::to_vec(&request).map_err(|error| Failure::usage(error.to_string()))?;
    line.push(b'\n');
    output.write_all(&line).await.map_err(gone)?;
    let mut answer = String::new();
    BufReader::new(input).read_line(&mut answer).await.map_err(gone)?;
    let response: Response = serde_json::from_str(&answer).map_err(|_| LinkError::Lost)?;
    response.outcome().unwrap_or(Err(LinkError::Lost.into()))
}
