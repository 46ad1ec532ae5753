//! `register`: an enrolment request goes to the TTP, and what it issued becomes an account.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parlour_keylog::AccountCertificate;
use parlour_protocol::ttp::TtpRequest;
use parlour_protocol::{Refusal, Reply, UserName};
use serde::Deserialize;
use tracing::{error, info};

use super::Refused;
use crate::audit::Kind;
use crate::delivery::{create_account_refusal, internal};
use crate::metrics::Bound;
use crate::session::caller::Caller;
use crate::store::Account;

pub(super) async fn run(caller: &Caller<'_>, name: &UserName, request: String) -> Result<Reply, Refusal> {
    let recorder = &caller.services.recorder;
    let refused = caller.event(Kind::RegistrationRefused);
    // The audit log gets a name only if there is a request for it.
    match requested_name(&request) {
        None => {
            recorder.record(refused.because("not a request"));
            return Err(Refusal::RequestRefused);
        }
        Some(requested) if requested != *name => {
            recorder.record(refused.because("the request is for another name"));
            return Err(Refusal::Format);
        }
        Some(_) => {}
    }
    caller.services.attempts.register(caller.connection.address.ip()).map_err(|seconds| {
        caller.services.metrics.limits.count(Bound::RegistrationsPerHour);
        recorder.record(caller.event(Kind::RateLimit).because("too many registrations"));
        Refusal::TooMany { seconds }
    })?;
    let enrolled = enrol(caller, name, request).await;
    enrolled.map_err(|Refused { refusal, reason }| {
        recorder.record(refused.of(name).because(reason));
        refusal
    })
}

async fn enrol(caller: &Caller<'_>, name: &UserName, request: String) -> Result<Reply, Refused> {
    let services = &caller.services;
    let issued = services.ttp.ask(&TtpRequest::Enrol { request }).await;
    let issued = issued.map_err(|error| Refused::by_ttp(&error))?;
    let Some(account_certificate) = issued.account_certificate else {
        return Err(internal(&"the TTP issued no account certificate").into());
    };
    let certificate =
        AccountCertificate::from_der(&account_certificate.0).map_err(|error| internal(&error))?;
    if issued.name != *name || certificate.user() != name {
        return Err(internal(&"the TTP issued a certificate for another name").into());
    }
    let account = Account {
        name: name.clone(),
        certificate: account_certificate.0.clone(),
        kid: certificate.kid().to_owned(),
        created: services.clock.now(),
    };
    let entry = services.recorder.entry(caller.event(Kind::Registration).of(name)).await;
    services.store.create_account(account, entry).await.map_err(|failure| {
        error!(user = %name, %failure, "the TTP and the store disagree about an account");
        create_account_refusal(&failure)
    })?;
    services.metrics.registrations.inc();
    info!(user = %name, peer = %caller.connection.address, "registered");
    Ok(Reply::Registered {
        device_certificate: issued.device_certificate.0,
        account_certificate: account_certificate.0,
    })
}

#[derive(Deserialize)]
struct Payload {
    name: UserName,
}

/// The name in the payload of a compact JWS (RFC 7515, 7.1). The TTP checks the signature.
fn requested_name(request: &str) -> Option<UserName> {
    let payload = request.split('.').nth(1)?;
    let json = URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice::<Payload>(&json).ok().map(|payload| payload.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_read_from_the_payload_alone() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"v":1,"name":"sam"}"#);
        assert_eq!(requested_name(&format!("x.{payload}.y")).unwrap().as_str(), "sam");
        for bad in ["", "a", "a.b", "a.!.c", &format!("a.{}.c", URL_SAFE_NO_PAD.encode(r#"{"name":"SAM"}"#))]
        {
            assert_eq!(requested_name(bad), None, "{bad}");
        }
    }
}
