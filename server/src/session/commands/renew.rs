//! `renew`: a renewal request goes to the TTP; the fresh certificate comes back.

use parlour_envelope::{AwsLc, VerifiedRenewal};
use parlour_keylog::device_id;
use parlour_protocol::ttp::TtpRequest;
use parlour_protocol::{DeviceId, Refusal, Reply};
use tracing::info;

use super::Refused;
use crate::audit::Kind;
use crate::metrics::Bound;
use crate::session::caller::Caller;

pub(super) async fn run(caller: &Caller<'_>, request: String) -> Result<Reply, Refusal> {
    let services = caller.services;
    let recorder = &services.recorder;
    let address = caller.connection.address;
    services.attempts.renew(address.ip()).map_err(|seconds| {
        services.metrics.limits.count(Bound::RenewalsPerHour);
        recorder.record(caller.event(Kind::RateLimit).because("too many renewals"));
        Refusal::TooMany { seconds }
    })?;
    // Counted by device as well, once the request has proven the device's key: nobody can use up another's renewals.
    let Some(device) = proven_device(&request) else {
        recorder.record(caller.event(Kind::RenewalRefused).because("the renewal request does not hold"));
        return Err(Refusal::RequestRefused);
    };
    services.attempts.renew_device(&device).map_err(|seconds| {
        services.metrics.limits.count(Bound::RenewalsPerDevice);
        recorder.record(caller.event(Kind::RateLimit).because("too many renewals of one device"));
        Refusal::TooMany { seconds }
    })?;
    let issued = services.ttp.ask(&TtpRequest::Renew { request }).await;
    let issued = issued.map_err(|error| {
        services.attempts.not_renewed(&device);
        let Refused { refusal, reason } = Refused::by_ttp(&error);
        recorder.record(caller.event(Kind::RenewalRefused).because(reason));
        refusal
    })?;
    caller.connection.renewed(&issued.device_certificate.0);
    recorder.record(caller.event(Kind::Renewal).of(&issued.name));
    info!(user = %issued.name, peer = %address, "renewed a device certificate");
    Ok(Reply::Renewed { device_certificate: issued.device_certificate.0 })
}

/// The device whose key signed the request. The TTP checks that it is one of the user's.
fn proven_device(request: &str) -> Option<DeviceId> {
    let renewal = VerifiedRenewal::read(request, &AwsLc).ok()?;
    Some(device_id(&renewal.device_spki))
}
