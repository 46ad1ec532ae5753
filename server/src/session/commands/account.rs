//! `account`: a user's account certificate, and which devices are revoked.

use parlour_protocol::{AccountInfo, Refusal, Reply, UserName};

use super::store_refusal;
use crate::session::Session;

pub(super) async fn run(session: &Session, name: &UserName) -> Result<Reply, Refusal> {
    let services = &session.services;
    let account = services.directory.account(name).await.map_err(|error| store_refusal(&error))?;
    let account = account.ok_or(Refusal::UserNotFound)?;
    let revoked = services.directory.revoked(name).await.map_err(|error| store_refusal(&error))?;
    Ok(Reply::Account(AccountInfo {
        user: account.name.clone(),
        certificate: account.certificate.clone(),
        revoked,
    }))
}
