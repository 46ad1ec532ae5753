//! Sends revocations as they happen, including those that another process makes.

use std::sync::Arc;

use parlour_protocol::ttp::TtpAnswer;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::POLL;
use super::lines::{Closed, line, send};
use crate::authority::Authority;
use crate::ledger::{Ledger, LedgerError};

/// The number of revocations that are read and sent at once.
const PAGE: u32 = 256;

/// The number of the newest revocation, as it changes.
pub(super) type News = watch::Receiver<u64>;

/// Watches the database on behalf of all connections.
pub(super) struct Observer {
    ledger: Arc<Ledger>,
    seen: i64,
    newest: watch::Sender<u64>,
}

impl Observer {
    pub(super) fn new(ledger: Ledger) -> Result<Self, LedgerError> {
        // The version is read first, so that a write in between is noticed at the next check.
        let seen = ledger.data_version()?;
        let newest = ledger.newest_revocation()?;
        Ok(Self { ledger: Arc::new(ledger), seen, newest: watch::Sender::new(newest) })
    }

    pub(super) fn news(&self) -> News {
        self.newest.subscribe()
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(POLL) => {}
            }
            let ledger = Arc::clone(&self.ledger);
            let seen = self.seen;
            match tokio::task::spawn_blocking(move || look(&ledger, seen)).await {
                Ok(Ok((seen, newest))) => {
                    self.seen = seen;
                    if let Some(newest) = newest {
                        self.newest.send_if_modified(|known| std::mem::replace(known, newest) != newest);
                    }
                }
                Ok(Err(error)) => tracing::error!(%error, "cannot look for revocations"),
                Err(error) => tracing::error!(%error, "cannot look for revocations"),
            }
        }
    }
}

/// The database's version, and the newest revocation if the version has changed.
fn look(ledger: &Ledger, seen: i64) -> Result<(i64, Option<u64>), LedgerError> {
    let version = ledger.data_version()?;
    if version == seen {
        return Ok((seen, None));
    }
    Ok((version, Some(ledger.newest_revocation()?)))
}

/// Sends every revocation above `after`, and later ones, until the other side closes or the listener stops.
pub(super) async fn stream(
    authority: &Arc<Authority>,
    mut news: News,
    stop: &CancellationToken,
    stream: &mut UnixStream,
    mut after: u64,
) -> Result<(), Closed> {
    loop {
        news.mark_unchanged();
        after = send_page(authority, stream, after).await?;
        if *news.borrow() > after {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = gone(stream) => return Err(Closed),
            changed = news.changed() => changed.map_err(|_| Closed)?,
        }
    }
}

/// Sends a page, and returns the number of its last revocation.
async fn send_page(authority: &Arc<Authority>, stream: &mut UnixStream, after: u64) -> Result<u64, Closed> {
    let authority = Arc::clone(authority);
    let page = tokio::task::spawn_blocking(move || authority.revocations_after(after, PAGE)).await;
    let Ok(Ok(page)) = page else {
        tracing::error!("cannot read revocations");
        return Err(Closed);
    };
    let Some(last) = page.last().map(|revocation| revocation.number) else {
        return Ok(after);
    };
    let lines: Vec<String> =
        page.into_iter().map(|revocation| line(&TtpAnswer::Revoked(revocation))).collect();
    send(stream, &lines.join("\n")).await?;
    Ok(last)
}

/// Waits until the other side has closed, and ignores anything that it still sends.
async fn gone(stream: &mut UnixStream) {
    let mut scrap = [0; 256];
    while matches!(stream.read(&mut scrap).await, Ok(1..)) {}
}
