//! `login`: the session becomes a user's, if certificate and signature are valid.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parlour_protocol::{DeviceId, Event, Farewell, Refusal, Reply, UserName};
use thiserror::Error;
use tracing::{info, warn};

use super::{Effect, Outcome};
use crate::audit::{Kind, SecurityEvent};
use crate::delivery::hub::Presence;
use crate::delivery::outbox::Outbox;
use crate::delivery::peer::{Encoded, Peer};
use crate::delivery::read_refusal;
use crate::metrics::{Bound, LoginFault};
use crate::session::caller::Caller;
use crate::session::connection::LoggedIn;
use crate::session::credentials::{CredentialFault, Credentials};
use crate::store::ReadError;

/// The time between checks for the answer of an older session.
const LOOK: Duration = Duration::from_millis(20);

/// The reasons why a login fails. The client gets `invalid credentials`, or an error that says the fault is ours.
#[derive(Debug, Error)]
enum LoginError {
    #[error(transparent)]
    Credentials(#[from] CredentialFault),
    #[error("no such account")]
    NoAccount,
    #[error("the device is revoked")]
    Revoked,
    #[error(transparent)]
    Store(#[from] ReadError),
}

impl From<&LoginError> for LoginFault {
    fn from(error: &LoginError) -> Self {
        match error {
            LoginError::Credentials(fault) => match fault {
                CredentialFault::NoCertificate => Self::NoCertificate,
                CredentialFault::Certificate(_) => Self::Certificate,
                CredentialFault::OtherUser(_) => Self::OtherUser,
                CredentialFault::Signature => Self::Signature,
            },
            LoginError::NoAccount => Self::NoAccount,
            LoginError::Revoked => Self::Revoked,
            LoginError::Store(_) => Self::Store,
        }
    }
}

pub(super) async fn run(caller: &Caller<'_>, name: &UserName, signature: &[u8]) -> Outcome {
    match log_in(caller, name, signature).await {
        Ok(login) => {
            let (user, device) = (login.user.clone(), login.device.clone());
            let time = caller.services.clock.now();
            Outcome { answer: Ok(Reply::LoggedIn { user, device, time }), effect: Effect::LogIn(login) }
        }
        // The connection ends, so that every further attempt costs a handshake.
        Err(Refusal::InvalidCredentials) => {
            Outcome { answer: Err(Refusal::InvalidCredentials), effect: Effect::Leave }
        }
        Err(refusal) => Err(refusal).into(),
    }
}

async fn log_in(caller: &Caller<'_>, name: &UserName, signature: &[u8]) -> Result<LoggedIn, Refusal> {
    let services = caller.services;
    let address = caller.connection.address;
    let device = caller.connection.device.as_ref();
    device.map_or(Ok(()), |device| services.attempts.may_login(address.ip(), device)).map_err(|seconds| {
        services.metrics.limits.count(Bound::LockoutSeconds);
        // Without the name, which was not checked.
        services.recorder.record(caller.event(Kind::RateLimit).because("login while locked out"));
        Refusal::TooMany { seconds }
    })?;
    let attempt = caller.event(Kind::LoginFailed).of(name);
    let device =
        check(caller, name, signature).await.map_err(|error| refusal(caller, attempt.clone(), &error))?;
    let presence = holding(&caller.peer.outbox, enter(caller, name, &device, attempt.on(&device))).await?;
    services.recorder.record(caller.event(Kind::Login).of(name).on(&device));
    info!(user = %name, %device, peer = %address, session = caller.peer.id, "logged in");
    services.metrics.logins.inc();
    Ok(LoggedIn { user: name.clone(), device, presence })
}

/// Holds events back while the session enters the hub, since the reply to the login comes first. If the session does
/// not enter after all, they are dropped: a guest may not hear them.
async fn holding<A, E>(outbox: &Outbox, entering: impl Future<Output = Result<A, E>>) -> Result<A, E> {
    outbox.hold();
    let entered = entering.await;
    if entered.is_err() {
        outbox.release(false);
    }
    entered
}

async fn enter(
    caller: &Caller<'_>,
    name: &UserName,
    device: &DeviceId,
    attempt: SecurityEvent,
) -> Result<Presence, Refusal> {
    let services = caller.services;
    let presence = claim(caller, name, device).await.inspect_err(|refusal| {
        services.metrics.login_failures.count(LoginFault::AlreadyLoggedIn);
        services.recorder.record(attempt.clone().because(refusal));
    })?;
    // Checked last: a later revocation finds the session in the hub, and ends it.
    match services.directory.is_revoked(name, device).await {
        Ok(false) => Ok(presence),
        Ok(true) => Err(refusal(caller, attempt, &LoginError::Revoked)),
        Err(error) => Err(refusal(caller, attempt, &error.into())),
    }
}

/// Does all checks that are possible before the session enters the hub.
async fn check(caller: &Caller<'_>, name: &UserName, signature: &[u8]) -> Result<DeviceId, LoginError> {
    let services = caller.services;
    let connection = caller.connection;
    let credentials = Credentials {
        certificate: connection.certificate.as_deref(),
        name,
        signature,
        exporter: &connection.exporter,
    };
    let certificate = credentials.check(&connection.root, services.clock.now())?;
    services.directory.account(name).await?.ok_or(LoginError::NoAccount)?;
    Ok(certificate.device().clone())
}

/// The refusal that the client gets. The real reason goes to the logs alone.
fn refusal(caller: &Caller<'_>, attempt: SecurityEvent, error: &LoginError) -> Refusal {
    let services = caller.services;
    let recorder = &services.recorder;
    services.metrics.login_failures.count(error.into());
    if let LoginError::Store(error) = error {
        let refusal = read_refusal(error);
        recorder.record(attempt.because(&refusal));
        return refusal;
    }
    let address = caller.connection.address;
    if let Some(name) = &attempt.user {
        warn!(user = %name, peer = %address, fault = %error, "login failed");
    }
    recorder.record(attempt.because(error));
    // Without a device's certificate no login can succeed, so nothing is counted.
    let Some(device) = &caller.connection.device else { return Refusal::InvalidCredentials };
    if let Some(wait) = services.attempts.login_failed(address.ip(), device) {
        let seconds = wait.as_secs();
        services.metrics.limits.count(Bound::FailedLoginsPerMinute);
        warn!(peer = %address, %device, seconds, "locked out");
        let event = caller.event(Kind::Lockout).on(device);
        recorder.record(event.because(format_args!("no logins for {seconds} seconds")));
    }
    Refusal::InvalidCredentials
}

/// Takes the device's place in the hub. An older session that answers a ping in time keeps it; any other gives way,
/// also one in the plain dialect, which has no pings.
async fn claim(caller: &Caller<'_>, name: &UserName, device: &DeviceId) -> Result<Presence, Refusal> {
    let services = caller.services;
    let patience = Duration::from_secs(services.limits.takeover_seconds);
    let mut replace = None;
    loop {
        let older = match services.hub.join(name, device, caller.peer, replace) {
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

/// Pings the session. Returns true if it sends anything in time.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn say(outbox: &Outbox, text: &str) {
        outbox.push(|_, lines| lines.extend_from_slice(text.as_bytes()), |_, _| ());
    }

    fn sent(outbox: &Outbox) -> String {
        let mut lines = Vec::new();
        outbox.take(&mut lines);
        String::from_utf8(lines).unwrap()
    }

    #[tokio::test]
    async fn a_session_that_fails_to_log_in_receives_none_of_the_events_held_back() {
        let outbox = Outbox::new(1_000);
        for refusal in [Refusal::InvalidCredentials, Refusal::Internal { incident: "1".to_owned() }] {
            let entering = async {
                say(&outbox, "secret");
                Err::<(), _>(refusal.clone())
            };
            assert_eq!(holding(&outbox, entering).await, Err(refusal.clone()));
            assert_eq!(sent(&outbox), "");
        }
        // A later login is not affected.
        let entering = async {
            say(&outbox, "event");
            Ok::<_, Refusal>(())
        };
        assert_eq!(holding(&outbox, entering).await, Ok(()));
        outbox.push_reply(|_, lines| lines.extend_from_slice(b"reply "));
        outbox.release(true);
        assert_eq!(sent(&outbox), "reply event");
    }
}
