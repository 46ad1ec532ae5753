//! The end of a connection, reconnecting, and sending again what the server could not store: after growing pauses,
//! randomized so that not all clients come at once.

use std::time::Duration;

use parlour_protocol::Farewell;
use tokio::time::Instant;

use super::Engine;
use super::login::LoginError;
use crate::asking::update::{Connection, Update};
use crate::failure::{Explain as _, Kind};
use crate::link::LinkError;

const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(15);

/// The time of the next try.
#[derive(Default)]
pub(super) struct Reconnect {
    tries: u32,
    at: Option<Instant>,
}

impl Reconnect {
    /// Plans the next try and returns the time until then: twice as long each time, give or take half.
    pub(super) fn again(&mut self) -> Duration {
        let doubled = SHORTEST.saturating_mul(1_u32 << self.tries.min(10)).min(LONGEST);
        let pause = doubled.mul_f64(rand::random_range(0.5..1.5));
        self.tries = self.tries.saturating_add(1);
        self.at = Some(Instant::now() + pause);
        pause
    }

    /// Resets the plan after a success.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// True if a try is planned.
    pub(super) const fn is_planned(&self) -> bool {
        self.at.is_some()
    }

    /// Starts the planned try, which is no longer pending.
    pub(super) const fn begin(&mut self) {
        self.at = None;
    }

    /// Waits until the planned try, or for ever if none is planned.
    pub(super) async fn due(&self) {
        match self.at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

impl Engine {
    /// Tries to get back online.
    pub(super) async fn come_back(&mut self) {
        self.reconnect.begin();
        if self.account.is_none() {
            return;
        }
        if let Err(failure) = self.go_online().await {
            self.not_online(failure).await;
        }
    }

    /// Handles a lost connection. A user reconnects, unless the server has forbidden it.
    pub(super) async fn lost(&mut self, failure: LinkError) {
        let comes_back = failure.explain().kind != Kind::Barred;
        self.end(failure.into(), comes_back).await;
    }

    /// Handles a failure to come online as the user, and plans a retry where one can help.
    pub(super) async fn not_online(&mut self, failure: LoginError) {
        let comes_back = failure.passes();
        self.end(failure, comes_back).await;
    }

    async fn end(&mut self, failure: LoginError, comes_back: bool) {
        self.disconnect(&failure).await;
        if let Some(joining) = self.joining.take() {
            self.not_joined(joining, failure).await;
        } else if self.account.is_none() {
            self.tell(Update::Connection(Connection::Offline { reason: failure.into(), retry: None })).await;
        } else if comes_back {
            self.come_back_later(failure).await;
        } else {
            self.account = None;
            self.tell(Update::LoggedOut { reason: failure.into() }).await;
        }
    }

    /// Plans to come online again, and says why and when.
    pub(super) async fn come_back_later(&mut self, failure: LoginError) {
        let retry = Some(self.reconnect.again());
        self.tell(Update::Connection(Connection::Offline { reason: failure.into(), retry })).await;
    }

    /// Drops the connection, but keeps what has come over it.
    async fn disconnect(&mut self, failure: &LoginError) {
        self.has_expired |= failure.link() == Some(&LinkError::Dismissed(Farewell::CertificateExpired));
        self.link = None;
        self.stop_catching_up().await;
        if let Some(account) = &mut self.account {
            account.offline();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pauses_grow_and_are_bounded() {
        let mut reconnect = Reconnect::default();
        let pauses: Vec<Duration> = (0..20).map(|_| reconnect.again()).collect();
        assert!(pauses[0] < Duration::from_millis(301));
        assert!(pauses.iter().all(|pause| *pause <= LONGEST.mul_f64(1.5)));
        assert!(pauses[15] >= LONGEST / 2);
        reconnect.succeeded();
        assert!(reconnect.again() < Duration::from_millis(301));
    }
}
