//! `login`: the session becomes a user's, if certificate and signature hold.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parlour_protocol::{DeviceId, Event, Farewell, Refusal, Reply, UserName};
use tracing::{info, warn};

use super::store_refusal;
use crate::audit::{Kind, SecurityEvent};
use crate::delivery::hub::Presence;
use crate::delivery::peer::{Encoded, Peer};
use crate::metrics::{Bound, LoginFault};
use crate::session::credentials::{CredentialFault, Credentials};
use crate::session::{Session, Standing};
use crate::store::StoreError;

/// How often an older session is looked at while it may answer.
const LOOK: Duration = Duration::from_millis(20);

enum Fault {
    Credentials(CredentialFault),
    Store(StoreError),
}

impl From<&Fault> for LoginFault {
    fn from(fault: &Fault) -> Self {
        match fault {
            Fault::Credentials(fault) => fault.into(),
            Fault::Store(_) => Self::Store,
        }
    }
}

pub(super) async fn run(session: &mut Session, name: &UserName, signature: &[u8]) -> Result<Reply, Refusal> {
    session.connection.pass.may_login().map_err(|seconds| {
        session.services.metrics.limits.count(Bound::LockoutSeconds);
        // Without the name, which is not even looked at.
        session.services.recorder.record(session.event(Kind::RateLimit).because("login while locked out"));
        Refusal::TooMany { seconds }
    })?;
    let attempt = session.event(Kind::LoginFailed).of(name);
    let device =
        check(session, name, signature).await.map_err(|fault| refusal(session, attempt.clone(), &fault))?;
    let attempt = attempt.on(&device);
    // From here on the session can be told of what happens; the reply to this login still comes first.
    session.peer.outbox.hold();
    let claimed = claim(session, name, &device).await;
    let presence = claimed.inspect_err(|refusal| {
        session.services.metrics.login_failures.count(LoginFault::AlreadyLoggedIn);
        session.services.recorder.record(attempt.clone().because(refusal));
    })?;
    // Only now: a revocation that comes later finds the session in the hub, and ends it.
    let revoked = check_revoked(session, name, &device).await;
    revoked.map_err(|fault| refusal(session, attempt, &fault))?;
    session.services.recorder.record(session.event(Kind::Login).of(name).on(&device));
    info!(user = %name, %device, peer = %session.connection.address, session = session.peer.id, "logged in");
    session.services.metrics.logins.inc();
    session.peer.logged_in();
    session.standing = Standing::User { user: name.clone(), device: device.clone(), presence };
    Ok(Reply::LoggedIn { user: name.clone(), device, time: session.services.clock.now() })
}

async fn check(session: &Session, name: &UserName, signature: &[u8]) -> Result<DeviceId, Fault> {
    let services = &session.services;
    let connection = &session.connection;
    let credentials = Credentials {
        certificate: connection.certificate.as_deref(),
        name,
        signature,
        exporter: &connection.exporter,
    };
    let certificate =
        credentials.check(&connection.root, services.clock.now()).map_err(Fault::Credentials)?;
    let account = services.directory.account(name).await.map_err(Fault::Store)?;
    if account.is_none() {
        return Err(Fault::Credentials(CredentialFault::NoAccount));
    }
    Ok(certificate.device().clone())
}

async fn check_revoked(session: &Session, name: &UserName, device: &DeviceId) -> Result<(), Fault> {
    if session.services.directory.is_revoked(name, device).await.map_err(Fault::Store)? {
        return Err(Fault::Credentials(CredentialFault::Revoked));
    }
    Ok(())
}

/// What the client hears, and what the logs: the real reason is for the latter alone.
fn refusal(session: &Session, attempt: SecurityEvent, fault: &Fault) -> Refusal {
    let recorder = &session.services.recorder;
    session.services.metrics.login_failures.count(fault.into());
    match fault {
        Fault::Store(error) => {
            let refusal = store_refusal(error);
            recorder.record(attempt.because(&refusal));
            refusal
        }
        Fault::Credentials(fault) => {
            if let Some(name) = &attempt.user {
                warn!(user = %name, peer = %session.connection.address, %fault, "login failed");
            }
            recorder.record(attempt.because(fault));
            if let Some(wait) = session.connection.pass.login_failed() {
                let seconds = wait.as_secs();
                session.services.metrics.limits.count(Bound::FailedLoginsPerMinute);
                warn!(peer = %session.connection.address, seconds, "locked out");
                let event = session.event(Kind::Lockout);
                recorder.record(event.because(format_args!("no logins for {seconds} seconds")));
            }
            Refusal::InvalidCredentials
        }
    }
}

/// Takes the device's place in the hub. An older session that lives keeps it; one that does not answer
/// a ping in time, or cannot because it speaks plain, gives way.
async fn claim(session: &Session, name: &UserName, device: &DeviceId) -> Result<Presence, Refusal> {
    let services = &session.services;
    let patience = Duration::from_secs(services.limits.takeover_seconds);
    let mut replace = None;
    loop {
        let older = match services.hub.join(name, device, &session.peer, replace) {
            Ok(presence) => return Ok(presence),
            Err(older) => older,
        };
        if older.speaks_json() && answers(&older, patience).await {
            return Err(Refusal::AlreadyLoggedIn);
        }
        info!(user = %name, %device, session = older.id, "an older session gives way");
        older.dismiss(Farewell::TakenOver);
        replace = Some(older.id);
    }
}

/// Whether the session says anything within the time, after it was pinged.
async fn answers(older: &Arc<Peer>, patience: Duration) -> bool {
    let asked = Instant::now();
    older.tell(&Encoded::new(&Event::Ping));
    while asked.elapsed() < patience {
        tokio::time::sleep(LOOK).await;
        if older.outbox.closing().is_some() {
            return false;
        }
        if older.silence() < asked.elapsed() {
            return true;
        }
    }
    false
}
