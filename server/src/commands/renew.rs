//! `renew`: a renewal request goes to the TTP; the fresh certificate comes back.

use parlour_protocol::authority::AuthorityRequest;
use parlour_protocol::{Refusal, Reply};
use tracing::info;

use super::authority_refusal;
use crate::session::Session;

pub(super) async fn run(session: &Session, request: String) -> Result<Reply, Refusal> {
    session.connection.pass.renew().map_err(|seconds| Refusal::TooMany { seconds })?;
    let issued = session.services.authority.ask(&AuthorityRequest::Renew { request }).await;
    let issued = issued.map_err(|error| authority_refusal(&error))?;
    info!(user = %issued.name, peer = %session.connection.address, "renewed a device certificate");
    Ok(Reply::Renewed { device_certificate: issued.device_certificate.0 })
}
