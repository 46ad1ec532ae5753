//! Follows the TTP's revocations: each is kept, told, and ends the device's session.

use std::sync::Arc;
use std::time::Duration;

use parlour_protocol::authority::Revocation;
use parlour_protocol::{Event, Farewell, RevokedDevice};
use tracing::{debug, error, info, warn};

use crate::audit::{Kind, SecurityEvent};
use crate::authority::AuthorityError;
use crate::services::Services;
use crate::store::StoreError;

/// The longest pause between attempts to reach the TTP.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why following ended.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

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
async fn follow_once(services: &Services, compared: &mut bool) -> Result<(), Broken> {
    let kept = services.store.newest_revocation().await?;
    let mut revocations = services.authority.watch(if *compared { kept } else { 0 }).await?;
    services.metrics.ttp_connected.set(1);
    while let Some(revocation) = revocations.next().await? {
        keep(services, &revocation, revocation.number > kept).await?;
        *compared |= revocation.number >= kept;
    }
    Ok(())
}

/// Keeps a revocation. It holds whether that can be done or not.
async fn keep(services: &Services, revocation: &Revocation, is_new: bool) -> Result<(), StoreError> {
    let Revocation { name, device, time, number } = revocation;
    let event = SecurityEvent::new(Kind::DeviceRevoked).of(name).on(device);
    let entry = services.recorder.entry(event).await;
    let kept = services.store.add_revocation(revocation.clone(), entry).await;
    let unkept = match &kept {
        Ok(()) => {
            // While the list of the revoked is damaged nobody knows, until the last one is put right.
            let known = services.directory.is_revoked(name, device).await.unwrap_or(false);
            if is_new || !known {
                apply(services, revocation);
            }
            return Ok(());
        }
        // Told again with the next connection.
        Err(StoreError::NotWritten) => kept,
        Err(StoreError::OtherRevocation) => {
            error!(number, user = %name, %device, "the authority has another revocation than is kept; both hold");
            Ok(())
        }
        Err(_) => return kept,
    };
    if services.directory.revoke_unkept(name, RevokedDevice { device: device.clone(), time: *time }) {
        apply(services, revocation);
    }
    unkept
}

fn apply(services: &Services, revocation: &Revocation) {
    let Revocation { name, device, time, .. } = revocation;
    info!(user = %name, %device, "a device was revoked");
    // In this order: who logs in meanwhile finds it in the directory, or is found in the hub.
    services.directory.revoke(name, device);
    services.hub.dismiss(name, device, Farewell::Revoked);
    services.hub.broadcast(&Event::Revoked { user: name.clone(), device: device.clone(), time: *time });
}
