//! One connection: its request, the answer, the end.

use std::sync::Arc;

use parlour_protocol::ttp::{TtpAnswer, TtpRefusal, TtpRequest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::PATIENCE;
use super::request::{self, NoRequest};
use super::watch::News;
use crate::authority::Authority;

/// What a connection needs.
pub(super) struct Connection {
    pub(super) authority: Arc<Authority>,
    pub(super) news: News,
    pub(super) watchers: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
}

/// The connection is over: closed, broken, or too slow.
#[derive(Debug)]
pub(super) struct Closed;

impl Connection {
    /// Serves the connection to its end.
    pub(super) async fn serve(self, mut stream: UnixStream) {
        let request = tokio::select! {
            () = self.stop.cancelled() => return,
            request = timeout(PATIENCE, request::read(&mut stream)) => request,
        };
        // Whether it ends well or not, there is nothing more to do for it.
        let _ = match request {
            Err(_) => {
                tracing::debug!("no request came in time");
                return;
            }
            Ok(Err(NoRequest::Gone)) => return,
            Ok(Err(NoRequest::Malformed(reason))) => {
                tracing::info!(reason, "refused");
                answer(&mut stream, &refusal(TtpRefusal::Format)).await
            }
            Ok(Ok(TtpRequest::Watch { after })) => self.watch(&mut stream, after).await,
            Ok(Ok(TtpRequest::Enrol { request })) => {
                let line = self.issue(move |authority| authority.enrol_line(&request)).await;
                answer(&mut stream, &line).await
            }
            Ok(Ok(TtpRequest::Renew { request })) => {
                let line = self.issue(move |authority| authority.renew_line(&request)).await;
                answer(&mut stream, &line).await
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = close(stream) => {}
        }
    }

    /// Issues on a thread of its own: it computes and waits for the disk.
    async fn issue(
        &self,
        act: impl FnOnce(&Authority) -> Result<String, TtpRefusal> + Send + 'static,
    ) -> String {
        let authority = Arc::clone(&self.authority);
        let issued = tokio::task::spawn_blocking(move || act(&authority)).await;
        match issued {
            Ok(Ok(line)) => line,
            Ok(Err(refused)) => refusal(refused),
            Err(error) => {
                tracing::error!(%error, "a request was not finished");
                refusal(TtpRefusal::Internal)
            }
        }
    }

    async fn watch(&self, stream: &mut UnixStream, after: u64) -> Result<(), Closed> {
        let Ok(_place) = Arc::clone(&self.watchers).try_acquire_owned() else {
            tracing::warn!("too many connections watch");
            return answer(stream, &refusal(TtpRefusal::Internal)).await;
        };
        answer(stream, &line(&TtpAnswer::Watching {})).await?;
        super::watch::stream(self, stream, after).await
    }
}

fn refusal(refusal: TtpRefusal) -> String {
    line(&TtpAnswer::Error(refusal))
}

/// An answer as its line, without line feed. Our types have text keys and no failing parts, which are the
/// two ways in which this can fail.
pub(super) fn line(answer: &TtpAnswer) -> String {
    serde_json::to_string(answer).unwrap_or_else(|_| r#"{"error":"internal"}"#.to_owned())
}

/// Sends lines, unless the other side does not take them in time.
pub(super) async fn answer(stream: &mut UnixStream, lines: &str) -> Result<(), Closed> {
    let send = async {
        stream.write_all(lines.as_bytes()).await?;
        stream.write_all(b"\n").await?;
        stream.flush().await
    };
    match timeout(PATIENCE, send).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Closed),
    }
}

/// Ends our side, and takes what the other still sends until it has seen that: a socket closed with bytes
/// unread looks broken from the other side.
async fn close(mut stream: UnixStream) {
    let mut scrap = [0; 4_096];
    let drain = async {
        stream.shutdown().await?;
        while stream.read(&mut scrap).await? > 0 {}
        Ok::<(), std::io::Error>(())
    };
    let _ = timeout(PATIENCE, drain).await;
}
