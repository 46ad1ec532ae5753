//! `renew`: a renewal request goes to the TTP; the fresh certificate comes back.

use parlour_protocol::authority::AuthorityRequest;
use parlour_protocol::{Refusal, Reply};
use tracing::info;

use super::Refused;
use crate::audit::Kind;
use crate::metrics::Bound;
use crate::session::Session;

pub(super) async fn run(session: &Session, request: String) -> Result<Reply, Refusal> {
    let recorder = &session.services.recorder;
    session.connection.pass.renew().map_err(|seconds| {
        session.services.metrics.limits.count(Bound::RenewalsPerHour);
        recorder.record(session.event(Kind::RateLimit).because("too many renewals"));
        Refusal::TooMany { seconds }
    })?;
    let issued = session.services.authority.ask(&AuthorityRequest::Renew { request }).await;
    let issued = issued.map_err(|error| {
        let Refused { refusal, reason } = Refused::by_authority(&error);
        recorder.record(session.event(Kind::RenewalRefused).because(reason));
        refusal
    })?;
    recorder.record(session.event(Kind::Renewal).of(&issued.name));
    info!(user = %issued.name, peer = %session.connection.address, "renewed a device certificate");
    Ok(Reply::Renewed { device_certificate: issued.device_certificate.0 })
}
