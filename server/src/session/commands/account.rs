//! `account`: a user's account certificate and revoked devices.

use parlour_protocol::{AccountInfo, Refusal, Reply, UserName};

use crate::accounts::directory::Directory;
use crate::delivery::read_refusal;

pub(super) async fn run(directory: &Directory, name: &UserName) -> Result<Reply, Refusal> {
    let account = directory.account(name).await.map_err(|error| read_refusal(&error))?;
    let account = account.ok_or(Refusal::UserNotFound)?;
    let revoked = directory.revoked(name).await.map_err(|error| read_refusal(&error))?;
    Ok(Reply::Account(AccountInfo {
        user: account.name.clone(),
        certificate: account.certificate.clone(),
        revoked,
    }))
}
