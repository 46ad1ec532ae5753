//! Serves one connection: reads its request, answers, and closes.

use std::sync::Arc;

use parlour_protocol::ttp::{TtpAnswer, TtpRefusal, TtpRequest};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::PATIENCE;
use super::lines::{Closed, close, line, send};
use super::request::{self, NoRequest};
use super::watch::{self, News};
use crate::authority::Authority;

/// The parts that a connection needs.
pub(super) struct Connection {
    pub(super) authority: Arc<Authority>,
    pub(super) news: News,
    pub(super) watchers: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
}

impl Connection {
    /// Serves the connection to its end.
    pub(super) async fn serve(self, mut stream: UnixStream) {
        let request = tokio::select! {
            () = self.stop.cancelled() => return,
            request = timeout(PATIENCE, request::read(&mut stream)) => request,
        };
        // An error means that the other side is gone, which needs no further action.
        let _ = match request {
            Err(_) => {
                tracing::debug!("no request came in time");
                return;
            }
            Ok(Err(NoRequest::Gone)) => return,
            Ok(Err(NoRequest::Malformed(reason))) => {
                tracing::info!(reason, "refused");
                send(&mut stream, &refusal(TtpRefusal::Format)).await
            }
            Ok(Ok(TtpRequest::Watch { after })) => self.watch(&mut stream, after).await,
            Ok(Ok(TtpRequest::Enrol { request })) => {
                let line = self.issue(move |authority| authority.enrol_line(&request)).await;
                send(&mut stream, &line).await
            }
            Ok(Ok(TtpRequest::Renew { request })) => {
                let line = self.issue(move |authority| authority.renew_line(&request)).await;
                send(&mut stream, &line).await
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
            return send(stream, &refusal(TtpRefusal::Internal)).await;
        };
        send(stream, &line(&TtpAnswer::Watching {})).await?;
        watch::stream(&self.authority, self.news.clone(), &self.stop, stream, after).await
    }
}

fn refusal(refusal: TtpRefusal) -> String {
    line(&TtpAnswer::Error(refusal))
}
