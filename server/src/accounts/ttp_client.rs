//! The way to the TTP: it takes requests, and hands out revocations as they happen.

use std::path::{Path, PathBuf};
use std::time::Duration;

use parlour_protocol::limits::AUTHORITY_LINE_BYTES;
use parlour_protocol::ttp::{Issued, Revocation, TtpAnswer, TtpRefusal, TtpRequest};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Take};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// The time that the TTP has for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no certificate.
#[derive(Debug, Error)]
pub enum TtpError {
    /// The TTP says no.
    #[error("the authority refuses: {0}")]
    Refused(#[from] TtpRefusal),
    /// The TTP cannot be reached, or its answer is not understood.
    #[error("the authority is not available: {0}")]
    Unavailable(String),
}

impl From<std::io::Error> for TtpError {
    fn from(error: std::io::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
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
    pub async fn ask(&self, request: &TtpRequest) -> Result<Issued, TtpError> {
        let exchange = async {
            let mut lines = self.open(request).await?;
            match next(&mut lines).await? {
                Some(TtpAnswer::Issued(issued)) => Ok(issued),
                Some(TtpAnswer::Error(refusal)) => Err(TtpError::Refused(refusal)),
                _ => Err(TtpError::Unavailable("an answer of the wrong kind".to_owned())),
            }
        };
        timeout(PATIENCE, exchange)
            .await
            .map_err(|_| TtpError::Unavailable("no answer in time".to_owned()))?
    }

    /// Hears revocations after number `after`, as they happen.
    pub async fn watch(&self, after: u64) -> Result<Revocations, TtpError> {
        let mut lines = self.open(&TtpRequest::Watch { after }).await?;
        match timeout(PATIENCE, next(&mut lines)).await {
            Ok(Ok(Some(TtpAnswer::Watching {}))) => Ok(Revocations { lines }),
            Ok(Ok(_)) => Err(TtpError::Unavailable("an answer of the wrong kind".to_owned())),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(TtpError::Unavailable("no answer in time".to_owned())),
        }
    }

    async fn open(&self, request: &TtpRequest) -> Result<Lines, TtpError> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        let mut line =
            serde_json::to_string(request).map_err(|error| TtpError::Unavailable(error.to_string()))?;
        line.push('\n');
        stream.write_all(line.as_bytes()).await?;
        Ok(BufReader::new(stream.take(0)))
    }
}

type Lines = BufReader<Take<UnixStream>>;

/// The TTP's revocations, one after the other.
pub struct Revocations {
    lines: Lines,
}

impl Revocations {
    /// The next; `None` when the TTP ends the connection.
    pub async fn next(&mut self) -> Result<Option<Revocation>, TtpError> {
        loop {
            match next(&mut self.lines).await? {
                None => return Ok(None),
                Some(TtpAnswer::Revoked(revocation)) => return Ok(Some(revocation)),
                // A newer TTP tells more than this server knows.
                Some(TtpAnswer::Unknown) => {}
                Some(_) => return Err(TtpError::Unavailable("an answer of the wrong kind".to_owned())),
            }
        }
    }
}

/// Reads a line that is not longer than it may be.
async fn next(lines: &mut Lines) -> Result<Option<TtpAnswer>, TtpError> {
    lines.get_mut().set_limit(AUTHORITY_LINE_BYTES as u64 + 1);
    let mut line = String::new();
    if lines.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    TtpAnswer::from_json(line.trim_end())
        .map(Some)
        .map_err(|error| TtpError::Unavailable(format!("an answer is not understood: {error}")))
}
