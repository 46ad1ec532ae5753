//! A connection to the server: TLS, the json dialect, and the value that binds a login to it.

mod error;
mod requests;
pub mod trust;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use parlour_keylog::RootCertificate;
use parlour_protocol::json::{self, RequestId, ServerLine};
use parlour_protocol::{
    Command, EXPORTER_BYTES, EXPORTER_LABEL, Event, Farewell, LineSplitter, Refusal, Reply, ServerAddress,
};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::broker::Broker;
use crate::clock::DOUBT;
use crate::link::trust::Tls;
use waiting::Waiting;

pub use error::LinkError;
pub use requests::Requests;
use requests::Waiter;

/// The time limit for connecting and for the first answer.
const CONNECT: Duration = Duration::from_secs(10);

/// The time limit for an answer.
const ANSWER: Duration = Duration::from_secs(30);

/// The longest line that is accepted from a server.
const LONGEST: usize = parlour_protocol::limits::REPLY_BYTES;

/// A server that says nothing for this long, though it pings every 15 seconds, is gone.
const SILENCE: Duration = Duration::from_secs(45);

/// A guest is not pinged; the server ends a guest's connection after ten idle minutes by itself.
const GUEST_SILENCE: Duration = Duration::from_hours(1);

/// The most lines that wait to be handled; beyond this, the server's lines wait in the network.
const QUEUE: usize = 256;

/// The most bytes of those lines: two of the longest, since at least one must fit.
const QUEUE_BYTES: usize = 2 * LONGEST;

/// A line from the server, in the order in which it came.
#[derive(Debug)]
pub enum Heard {
    /// The answer to a command.
    Reply(u64, Result<Reply, Refusal>),
    /// Something happened.
    Event(Event),
    /// The connection is over.
    Closed(LinkError),
}

/// A line from the server, and the memory that keeping it takes.
struct Queued {
    heard: Heard,
    bytes: usize,
    /// Its room in the queue, given back when it is taken out.
    _room: Option<OwnedSemaphorePermit>,
}

/// A live connection. Dropping it closes it.
pub struct Link {
    /// The server at the other end.
    pub server: ServerAddress,
    /// The exporter value of this very connection (RFC 9266), to which a login is bound.
    pub exporter: [u8; EXPORTER_BYTES],
    /// The root that the server's certificate came from.
    pub root: RootCertificate,
    requests: Requests,
    heard: mpsc::Receiver<Queued>,
    waiting: Waiting,
    /// Ends the tasks with the link.
    _tasks: JoinSet<()>,
}

impl Link {
    /// Connects, to an address that the broker looks up, and changes to json.
    /// A server pings those who are logged in; so one that says nothing to a `user` is taken for dead.
    pub async fn open(
        server: &ServerAddress,
        broker: &Broker,
        tls: &Tls,
        user: bool,
    ) -> Result<Self, LinkError> {
        let unreachable = |reason: String| LinkError::Unreachable { server: server.clone(), reason };
        let attempt = async {
            let addresses =
                broker.resolve(server).await.map_err(|error| unreachable(plain_reason(&error)))?;
            let stream = TcpStream::connect(addresses.as_slice())
                .await
                .map_err(|error| unreachable(plain_reason(&error)))?;
            stream.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
            let name =
                ServerName::try_from(server.host.clone()).map_err(|_| LinkError::Address(server.clone()))?;
            TlsConnector::from(Arc::clone(&tls.config))
                .connect(name, stream)
                .await
                .map_err(|error| tls_failure(server, &error))
        };
        let stream =
            timeout(CONNECT, attempt).await.map_err(|_| unreachable("no answer in time".to_owned()))??;
        let exporter = stream
            .get_ref()
            .1
            .export_keying_material([0; EXPORTER_BYTES], EXPORTER_LABEL, None)
            .map_err(|error| LinkError::Protocol(error.to_string()))?;
        let root = tls.root().ok_or(LinkError::NoRoot)?;
        let (mut read, mut write) = split(stream);
        let lost = |error: std::io::Error| tls_failure(server, &error);
        write.write_all(b"/dialect json\n").await.map_err(lost)?;
        write.flush().await.map_err(lost)?;
        let mut lines = LineSplitter::new(LONGEST);
        timeout(CONNECT, greeting(server, &mut read, &mut lines))
            .await
            .map_err(|_| unreachable("no answer in time".to_owned()))??;

        let (out, outgoing) = mpsc::channel(QUEUE);
        let (tell, heard) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        tasks.spawn(write_lines(write, outgoing));
        let patience = if user { SILENCE } else { GUEST_SILENCE };
        let requests = Requests::new(out);
        tasks.spawn(read_lines(read, lines, tell, requests.clone(), patience));
        let server = server.clone();
        Ok(Self { server, exporter, root, requests, heard, waiting: Waiting::default(), _tasks: tasks })
    }

    /// A handle with which others ask over this link.
    pub fn requests(&self) -> Requests {
        self.requests.clone()
    }

    /// Sends a command and returns the number that its answer will bear.
    pub async fn send(&mut self, command: &Command) -> Result<u64, LinkError> {
        let id = self.requests.next_id();
        // If the connection is over, the reading side has said why.
        let _ = self.requests.expect(id, Waiter::Reader);
        self.requests.send(id, command).await?;
        Ok(id)
    }

    /// Sends a command and waits for its answer; what comes in between is kept for [`Link::next`].
    pub async fn ask(&mut self, command: &Command) -> Result<Reply, LinkError> {
        let id = self.send(command).await?;
        let answer = async {
            loop {
                let Some(Queued { heard, bytes, .. }) = self.heard.recv().await else {
                    return Err(LinkError::Lost);
                };
                match heard {
                    Heard::Reply(number, reply) if number == id => return reply.map_err(LinkError::Refused),
                    Heard::Closed(failure) => return Err(self.waiting.close(failure)),
                    other => self.waiting.keep(other, bytes)?,
                }
            }
        };
        let answered = timeout(ANSWER, answer).await;
        answered.unwrap_or_else(|_| {
            // A server that does not answer counts as gone; the engine is told so and reconnects.
            Err(self.waiting.close(LinkError::Lost))
        })
    }

    /// The next line that came.
    pub async fn next(&mut self) -> Heard {
        if let Some(heard) = self.waiting.next() {
            return heard;
        }
        self.heard.recv().await.map_or(Heard::Closed(LinkError::Lost), |queued| queued.heard)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The tasks end with the link; nobody shall wait for lines that they would have read.
        self.requests.close();
    }
}

/// The answer to `/dialect json`, which is the first line unless the server has no place for us.
async fn greeting(
    server: &ServerAddress,
    read: &mut ReadHalf<TlsStream<TcpStream>>,
    lines: &mut LineSplitter,
) -> Result<(), LinkError> {
    let mut chunk = vec![0; 4_096];
    loop {
        match lines.next_line() {
            Some(Ok(line)) if json::is_begun(line) => return Ok(()),
            Some(Ok(line)) => {
                return Err(match line.strip_prefix("goodbye: ") {
                    Some(words) => dismissed(words),
                    None => LinkError::Protocol("it does not speak json".to_owned()),
                });
            }
            Some(Err(fault)) => return Err(LinkError::Protocol(fault.to_string())),
            None => {}
        }
        let count = read.read(&mut chunk).await.map_err(|error| tls_failure(server, &error))?;
        match chunk.get(..count) {
            Some(bytes) if !bytes.is_empty() => lines.feed(bytes),
            _ => return Err(LinkError::Lost),
        }
    }
}

/// A goodbye of the plain dialect, which has only its words.
fn dismissed(words: &str) -> LinkError {
    let known = Farewell::ALL.into_iter().find(|farewell| farewell.to_string() == words);
    known.map_or_else(|| LinkError::DismissedAnew(parlour_protocol::excerpt(words)), LinkError::Dismissed)
}

async fn write_lines(mut write: WriteHalf<TlsStream<TcpStream>>, mut outgoing: mpsc::Receiver<String>) {
    while let Some(mut line) = outgoing.recv().await {
        line.push('\n');
        // The reading side notices a broken connection and reports it.
        if write.write_all(line.as_bytes()).await.is_err() || write.flush().await.is_err() {
            return;
        }
    }
    let _ = write.shutdown().await;
}

async fn read_lines(
    mut read: ReadHalf<TlsStream<TcpStream>>,
    mut lines: LineSplitter,
    tell: mpsc::Sender<Queued>,
    requests: Requests,
    patience: Duration,
) {
    let room = Arc::new(Semaphore::new(QUEUE_BYTES));
    let failure = loop {
        match drain(&mut lines, &tell, &room, &requests).await {
            Ok(()) => {}
            Err(failure) => break failure,
        }
        let mut chunk = vec![0; 16_384];
        match timeout(patience, read.read(&mut chunk)).await {
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
                break LinkError::Protocol(error.to_string());
            }
            Err(_) | Ok(Ok(0) | Err(_)) => break LinkError::Lost,
            Ok(Ok(count)) => lines.feed(chunk.get(..count).unwrap_or_default()),
        }
    };
    // If the link was dropped, nobody listens.
    let _ = tell.send(Queued { heard: Heard::Closed(failure), bytes: 0, _room: None }).await;
    // This comes last, so that the reason for the end is heard first.
    requests.close();
}

async fn drain(
    lines: &mut LineSplitter,
    tell: &mpsc::Sender<Queued>,
    room: &Arc<Semaphore>,
    requests: &Requests,
) -> Result<(), LinkError> {
    while let Some(line) = lines.next_line() {
        let line = line.map_err(|fault| LinkError::Protocol(fault.to_string()))?;
        // A short line takes more room once it is parsed.
        let bytes = line.len().max(size_of::<Queued>());
        let line = json::parse_server_line(line).map_err(|error| LinkError::Protocol(error.to_string()))?;
        let heard = match line {
            ServerLine::Event(Event::Ping) => {
                requests.send(0, &Command::Pong).await?;
                continue;
            }
            ServerLine::Event(Event::Goodbye(farewell)) => {
                return Err(LinkError::Dismissed(farewell));
            }
            ServerLine::UnknownFarewell(words) => return Err(LinkError::DismissedAnew(words)),
            ServerLine::Event(event) => Heard::Event(event),
            ServerLine::Reply { id: Some(RequestId::Number(id)), reply } => {
                match requests.waiter(id) {
                    Some(Waiter::Other(asker)) => {
                        // A caller that no longer waits does not need to know.
                        let _ = asker.send(reply);
                        continue;
                    }
                    Some(Waiter::Reader) => Heard::Reply(id, reply),
                    None => continue,
                }
            }
            // This is an answer that nobody asked for, or an event of a newer server.
            ServerLine::Reply { .. } | ServerLine::UnknownEvent(_) => continue,
        };
        let share = u32::try_from(bytes.min(QUEUE_BYTES)).unwrap_or(u32::MAX);
        let room = Arc::clone(room).acquire_many_owned(share).await.map_err(|_| LinkError::Lost)?;
        tell.send(Queued { heard, bytes, _room: Some(room) }).await.map_err(|_| LinkError::Lost)?;
    }
    Ok(())
}

/// The system's reason without its error number.
fn plain_reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        _ => error.to_string(),
    }
}

fn tls_failure(server: &ServerAddress, error: &std::io::Error) -> LinkError {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(reason)) => {
            LinkError::Untrusted { server: server.clone(), reason: certificate_reason(reason) }
        }
        // The server rejected our certificate: the same as any failed login.
        Some(rustls::Error::AlertReceived(_)) => LinkError::Refused(Refusal::InvalidCredentials),
        Some(other) => {
            LinkError::Unreachable { server: server.clone(), reason: format!("no TLS 1.3: {other}") }
        }
        None => LinkError::Unreachable { server: server.clone(), reason: plain_reason(error) },
    }
}

fn certificate_reason(reason: &rustls::CertificateError) -> String {
    use rustls::CertificateError as E;
    match reason {
        E::UnknownIssuer | E::BadSignature => {
            "its certificate does not come from the authority that you trust".to_owned()
        }
        E::Expired | E::ExpiredContext { .. } => format!("its certificate has expired; {DOUBT}"),
        E::NotValidYet | E::NotValidYetContext { .. } => {
            format!("its certificate is not valid yet; {DOUBT}")
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            "its certificate is for another name".to_owned()
        }
        other => format!("{other:?}"),
    }
}
