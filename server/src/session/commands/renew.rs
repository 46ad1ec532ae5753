//! `renew`: a renewal request goes to the TTP; the fresh certificate comes back.

use parlour_protocol::ttp::TtpRequest;
use parlour_protocol::{Refusal, Reply};
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
    let issued = services.ttp.ask(&TtpRequest::Renew { request }).await;
    let issued = issued.map_err(|error| {
        let Refused { refusal, reason } = Refused::by_ttp(&error);
        recorder.record(caller.event(Kind::RenewalRefused).because(reason));
        refusal
    })?;
    recorder.record(caller.event(Kind::Renewal).of(&issued.name));
    info!(user = %issued.name, peer = %address, "renewed a device certificate");
    Ok(Reply::Renewed { device_certificate: issued.device_certificate.0 })
}
