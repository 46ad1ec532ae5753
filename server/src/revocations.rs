//! Follows the TTP's revocations: each holds from the moment it is heard, ends the device's session, is told, and is
//! kept as soon as that can be done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parlour_protocol::authority::Revocation;
use parlour_protocol::{Event, Farewell, RevokedDevice};
use tracing::{debug, error, info, warn};

use crate::audit::{Entry, Kind, SecurityEvent};
use crate::authority::AuthorityError;
use crate::services::Services;
use crate::store::StoreError;

/// The longest pause between attempts to reach the TTP.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often is tried again to keep what could not be kept.
const AGAIN: Duration = Duration::from_secs(1);

/// Follows until the server stops, over restarts of the TTP.
pub async fn follow(services: Arc<Services>) {
    let stopping = services.stopping.clone();
    let mut pause = Duration::from_millis(100);
    let mut reached_before = true;
    let mut compared = false;
    loop {
        let outcome = tokio::select! {
            outcome = follow_once(&services, &mut compared) => outcome,
            () = stopping.cancelled() => return,
        };
        services.metrics.ttp_connected.set(0);
        match outcome {
            Ok(()) => {
                debug!("the authority ended the watch");
                pause = Duration::from_millis(100);
                reached_before = true;
            }
            Err(error) if reached_before => {
                warn!(%error, "revocations cannot be followed now; trying again");
                reached_before = false;
            }
            Err(error) => debug!(%error, "still no revocations"),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stopping.cancelled() => return,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Follows on one connection: from the first revocation on, until all that is kept here was `compared` with
/// what the TTP has.
async fn follow_once(services: &Services, compared: &mut bool) -> Result<(), AuthorityError> {
    let newest = services.store.newest_revocation().await;
    // When it is not known what is kept, all are heard again.
    let kept = newest.as_ref().copied().unwrap_or_default();
    let mut revocations = services.authority.watch(if *compared { kept } else { 0 }).await?;
    services.metrics.ttp_connected.set(1);
    let mut unkept = Unkept::default();
    loop {
        let next = revocations.next();
        tokio::pin!(next);
        let heard = loop {
            tokio::select! {
                heard = &mut next => break heard?,
                () = tokio::time::sleep(AGAIN), if !unkept.is_empty() => unkept.keep(services).await,
            }
        };
        let Some(revocation) = heard else { return Ok(()) };
        let number = revocation.number;
        hold(services, &revocation).await;
        unkept.add(services, revocation).await;
        unkept.keep(services).await;
        *compared |= newest.is_ok() && number >= kept && unkept.is_empty();
    }
}

/// Has a revocation hold from now on, whatever becomes of the record of it.
async fn hold(services: &Services, revocation: &Revocation) {
    let Revocation { name, device, time, .. } = revocation;
    // While the list of the revoked is damaged nobody knows; then it is told once more.
    if services.directory.is_revoked(name, device).await.unwrap_or(false) {
        return;
    }
    // In this order: who logs in meanwhile finds it in the directory, or is found in the hub.
    if services.directory.hold(name, RevokedDevice { device: device.clone(), time: *time }) {
        info!(user = %name, %device, "a device was revoked");
        services.hub.dismiss(name, device, Farewell::Revoked);
        services.hub.broadcast(&Event::Revoked { user: name.clone(), device: device.clone(), time: *time });
    }
}

/// Revocations that hold and are not kept yet, in their order: a later one that were kept before an earlier one
/// would have the earlier one never be heard again.
#[derive(Default)]
struct Unkept {
    waiting: VecDeque<(Revocation, Entry)>,
    /// Whether the log says so.
    told: bool,
}

impl Unkept {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    async fn add(&mut self, services: &Services, revocation: Revocation) {
        let event = SecurityEvent::new(Kind::DeviceRevoked).of(&revocation.name).on(&revocation.device);
        let entry = services.recorder.entry(event).await;
        self.waiting.push_back((revocation, entry));
    }

    /// Keeps as many as can be kept.
    async fn keep(&mut self, services: &Services) {
        while let Some((revocation, entry)) = self.waiting.front() {
            let Revocation { number, name, device, .. } = revocation;
            match services.store.add_revocation(revocation.clone(), entry.clone()).await {
                Ok(()) => services.directory.kept(name, device),
                Err(StoreError::OtherRevocation) => {
                    error!(number, user = %name, %device, "the authority has another revocation than is kept; both hold");
                }
                Err(failure) => {
                    if !std::mem::replace(&mut self.told, true) {
                        error!(number, %failure, "a revocation holds and cannot be kept now; trying again");
                    }
                    return;
                }
            }
            self.waiting.pop_front();
        }
        self.told = false;
    }
}
