//! The client of the TTP, which answers requests and sends revocations as they happen.

use std::path::{Path, PathBuf};
use std::time::Duration;

use parlour_protocol::limits::AUTHORITY_LINE_BYTES;
use parlour_protocol::ttp::{Issued, Revocation, TtpAnswer, TtpRefusal, TtpRequest};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Take};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tracing::info;

/// The time that the TTP has to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The TTP cannot be reached, or its answer is not understood.
#[derive(Debug, Error)]
#[error("the TTP is not available: {0}")]
pub struct TtpUnavailable(String);

impl From<std::io::Error> for TtpUnavailable {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Why there is no certificate.
#[derive(Debug, Error)]
pub enum AskError {
    /// The TTP refused.
    #[error("the TTP refuses: {0}")]
    Refused(#[from] TtpRefusal),
    /// The TTP did not answer.
    #[error(transparent)]
    Unavailable(#[from] TtpUnavailable),
}

/// Why revocations cannot be followed.
#[derive(Debug, Error)]
pub enum WatchError {
    /// The TTP does not let this server watch.
    #[error("the TTP refuses the subscription: {0}")]
    Refused(#[from] TtpRefusal),
    /// The connection failed.
    #[error(transparent)]
    Unavailable(#[from] TtpUnavailable),
}

/// A client of the TTP.
#[derive(Debug, Clone)]
pub struct TtpClient {
    socket: PathBuf,
}

impl TtpClient {
    /// The TTP behind this Unix socket.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Passes a request on and returns what was issued.
    pub async fn ask(&self, request: &TtpRequest) -> Result<Issued, AskError> {
        let exchange = async {
            let mut lines = self.open(request).await?;
            match next(&mut lines).await? {
                Some(TtpAnswer::Issued(issued)) => Ok(issued),
                Some(TtpAnswer::Error(refusal)) => Err(AskError::Refused(refusal)),
                _ => Err(wrong_kind().into()),
            }
        };
        timeout(PATIENCE, exchange).await.map_err(|_| late())?
    }

    /// Subscribes to the revocations with numbers above `after`.
    pub async fn watch(&self, after: u64) -> Result<Revocations, WatchError> {
        let mut lines = self.open(&TtpRequest::Watch { after }).await?;
        match timeout(PATIENCE, next(&mut lines)).await {
            Ok(Ok(Some(TtpAnswer::Watching {}))) => Ok(Revocations { lines }),
            Ok(Ok(Some(TtpAnswer::Error(refusal)))) => Err(WatchError::Refused(refusal)),
            Ok(Ok(_)) => Err(wrong_kind().into()),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(late().into()),
        }
    }

    async fn open(&self, request: &TtpRequest) -> Result<Lines, TtpUnavailable> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        let mut line = serde_json::to_string(request).map_err(|error| TtpUnavailable(error.to_string()))?;
        line.push('\n');
        stream.write_all(line.as_bytes()).await?;
        Ok(BufReader::new(stream.take(0)))
    }
}

type Lines = BufReader<Take<UnixStream>>;

/// A subscription to the TTP's revocations.
pub struct Revocations {
    lines: Lines,
}

impl Revocations {
    /// The next; `None` when the TTP ends the connection.
    pub async fn next(&mut self) -> Result<Option<Revocation>, TtpUnavailable> {
        loop {
            match next(&mut self.lines).await? {
                None => return Ok(None),
                Some(TtpAnswer::Revoked(revocation)) => return Ok(Some(revocation)),
                // A newer TTP may send more kinds of lines than this server knows.
                Some(TtpAnswer::Unknown) => {
                    info!("the TTP sent a line that this version does not know; it is skipped");
                }
                Some(_) => return Err(wrong_kind()),
            }
        }
    }
}

/// Reads a line that is not longer than it may be.
async fn next(lines: &mut Lines) -> Result<Option<TtpAnswer>, TtpUnavailable> {
    lines.get_mut().set_limit(AUTHORITY_LINE_BYTES as u64 + 1);
    let mut line = String::new();
    if lines.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    TtpAnswer::from_json(line.trim_end())
        .map(Some)
        .map_err(|error| TtpUnavailable(format!("an answer is not understood: {error}")))
}

fn wrong_kind() -> TtpUnavailable {
    TtpUnavailable("an answer of the wrong kind".to_owned())
}

fn late() -> TtpUnavailable {
    TtpUnavailable("no answer in time".to_owned())
}
