//! Follows the TTP's revocations. Each one is in force from the moment it arrives: the device's sessions end, and all
//! users are told. It is stored as soon as the store accepts it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use parlour_keylog::{RootCertificate, SignedRevocation};
use parlour_protocol::ttp::Revocation;
use parlour_protocol::{Event, Farewell, RevokedDevice, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::accounts::directory::Directory;
use crate::accounts::ttp_client::{TtpClient, WatchError};
use crate::audit::{Entry, Kind, SecurityEvent};
use crate::clock::Clock;
use crate::delivery::Posting;
use crate::delivery::hub::Hub;
use crate::metrics::Metrics;
use crate::recorder::Recorder;
use crate::store::{AddRevocationError, Store};

/// The longest pause between attempts to reach the TTP.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The pause before another attempt to store a revocation.
const AGAIN: Duration = Duration::from_secs(1);

/// The parts that a task needs to follow the TTP's revocations.
#[allow(missing_docs)] // their types say it
pub struct Follower {
    pub ttp: TtpClient,
    /// The root that statements are verified against.
    pub root: Arc<RootCertificate>,
    pub directory: Arc<Directory>,
    pub store: Arc<dyn Store<Posting>>,
    pub hub: Arc<Hub>,
    pub recorder: Arc<Recorder>,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
}

impl Follower {
    /// Follows revocations until the server stops, and reconnects when the TTP restarts.
    pub async fn follow(self, stopping: CancellationToken) {
        let unkept = Unkept::default();
        tokio::select! {
            () = hear(&self, &unkept) => {}
            // A slow disk delays the storing of revocations, and nothing else.
            () = keep(&self, &unkept) => {}
            () = stopping.cancelled() => {}
        }
    }
}

/// Receives revocations, and connects again whenever the connection ends.
async fn hear(follower: &Follower, unkept: &Unkept) {
    let mut pause = Duration::from_millis(100);
    let mut reached_before = true;
    loop {
        let outcome = hear_once(follower, unkept).await;
        follower.metrics.ttp_connected.set(0);
        match outcome {
            Ok(()) => {
                debug!("the TTP ended the subscription");
                pause = Duration::from_millis(100);
                reached_before = true;
            }
            Err(error) if reached_before => {
                warn!(%error, "revocations cannot be followed now; trying again");
                reached_before = false;
            }
            Err(error) => debug!(%error, "still no revocations"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Receives all revocations on one connection, from the first one on. The store's own may be damaged, and a TTP that
/// was restored from a backup reuses numbers that the store has for other revocations.
async fn hear_once(follower: &Follower, unkept: &Unkept) -> Result<(), WatchError> {
    let mut revocations = follower.ttp.watch(0).await?;
    follower.metrics.ttp_connected.set(1);
    while let Some(told) = revocations.next().await? {
        let (revocation, claim) = verified(told, &follower.root, follower.clock.now());
        if claim == Claim::False {
            let Revocation { number, name, device, .. } = &revocation;
            error!(number, user = %name, %device, "the statement of a revocation is not valid; clients are not told of it");
        }
        let is_news = hold(follower, &revocation, claim).await;
        unkept.add(revocation, is_news);
    }
    Ok(())
}

/// The evidence that comes with a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// A statement that proves it.
    Proved,
    /// No statement, as from a TTP that predates statements.
    Bare,
    /// A statement that does not prove it.
    False,
}

/// Checks a revocation's statement, and drops one that does not prove it.
fn verified(told: Revocation, root: &RootCertificate, now: Timestamp) -> (Revocation, Claim) {
    let Some(statement) = &told.statement else { return (told, Claim::Bare) };
    let proves = SignedRevocation::verify(statement, root, now.as_seconds()).is_ok_and(|signed| {
        (signed.number, &signed.name, &signed.device, signed.time)
            == (told.number, &told.name, &told.device, told.time)
    });
    if proves { (told, Claim::Proved) } else { (Revocation { statement: None, ..told }, Claim::False) }
}

/// Puts a revocation into force from now on, even if it cannot be stored. Returns true if it is new.
async fn hold(follower: &Follower, revocation: &Revocation, claim: Claim) -> bool {
    let Revocation { number, name, device, time, statement } = revocation;
    // If the list of revoked devices is damaged the answer is unknown; then everyone is told again.
    if follower.directory.is_revoked(name, device).await.unwrap_or(false) {
        return false;
    }
    // In this order a login that is under way either sees the revocation in the directory or is seen in the hub.
    let revoked = RevokedDevice { device: device.clone(), time: *time, statement: statement.clone() };
    let is_news = follower.directory.hold(name, revoked);
    if is_news {
        info!(user = %name, %device, "a device was revoked");
        follower.hub.dismiss(name, device, Farewell::Revoked);
        if claim != Claim::False {
            follower.hub.broadcast(&Event::Revoked {
                user: name.clone(),
                device: device.clone(),
                time: *time,
                number: Some(*number),
                statement: statement.clone(),
            });
        }
    }
    is_news
}

/// Revocations in force that are not stored yet, by number. `true` marks those that are new here. There are never more
/// than the TTP has.
#[derive(Default)]
struct Unkept {
    waiting: Mutex<BTreeMap<u64, (Revocation, bool)>>,
    more: Notify,
}

impl Unkept {
    fn add(&self, revocation: Revocation, is_news: bool) {
        self.waiting().entry(revocation.number).or_insert((revocation, is_news));
        self.more.notify_one();
    }

    fn first(&self) -> Option<(Revocation, bool)> {
        self.waiting().first_key_value().map(|(_, first)| first.clone())
    }

    fn done(&self, number: u64) {
        self.waiting().remove(&number);
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, (Revocation, bool)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stores the revocations that wait, and tries again until each is stored.
async fn keep(follower: &Follower, unkept: &Unkept) {
    let mut told = false;
    loop {
        let Some((revocation, is_news)) = unkept.first() else {
            unkept.more.notified().await;
            continue;
        };
        let Revocation { number, name, device, .. } = &revocation;
        let event = SecurityEvent::new(Kind::DeviceRevoked).of(name).on(device);
        let entry = if is_news && !told {
            follower.recorder.entry(event).await
        } else {
            // The store writes it only if it has none for this revocation.
            Entry { time: follower.clock.now(), event, times: 1 }
        };
        match follower.store.add_revocation(revocation.clone(), entry).await {
            Ok(()) => follower.directory.kept(name, device),
            // It stays in force. The TTP sends it again after each start.
            Err(AddRevocationError::NumberTaken) => {
                error!(number, user = %name, %device, "the TTP uses the number of another revocation; both are in force");
            }
            Err(AddRevocationError::Write(failure)) => {
                if !std::mem::replace(&mut told, true) {
                    error!(number, %failure, "a revocation is in force but cannot be stored now; trying again");
                }
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        }
        told = false;
        unkept.done(*number);
    }
}
