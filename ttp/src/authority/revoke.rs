//! Revocation: a device must not be used any more.

use parlour_protocol::ttp::Revocation;
use parlour_protocol::{DeviceId, Timestamp, UserName};
use thiserror::Error;

use super::Authority;
use super::log::revocation_leaf;
use crate::ledger::{LedgerError, LedgerTransaction};

/// A device that is revoked now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// It was revoked by this act.
    Now(Revocation),
    /// It was revoked before.
    #[allow(missing_docs)]
    Before { device: DeviceId, time: Timestamp },
}

/// The reasons why nothing was revoked.
#[derive(Debug, Error)]
pub enum RevokeRefusal {
    /// Nobody has this name.
    #[error("there is no user '{0}'")]
    UnknownName(UserName),
    /// The user has no such device.
    #[error("user '{name}' has no device {device}")]
    #[allow(missing_docs)]
    UnknownDevice { name: UserName, device: DeviceId },
    /// The database failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

pub(super) fn revoke(
    authority: &Authority,
    name: &UserName,
    device: Option<&DeviceId>,
) -> Result<Vec<Revoked>, RevokeRefusal> {
    authority.ledger.transact(|ledger| {
        let time = authority.now();
        let devices = chosen(ledger, name, device)?;
        let revoked = devices.into_iter().map(|device| revoke_one(authority, ledger, name, device, time));
        Ok(revoked.collect::<Result<_, LedgerError>>()?)
    })
}

fn chosen(
    ledger: &LedgerTransaction<'_>,
    name: &UserName,
    device: Option<&DeviceId>,
) -> Result<Vec<DeviceId>, RevokeRefusal> {
    if !ledger.has_account(name)? {
        return Err(RevokeRefusal::UnknownName(name.clone()));
    }
    let all = ledger.devices(name)?;
    match device {
        None => Ok(all),
        Some(device) if all.contains(device) => Ok(vec![device.clone()]),
        Some(device) => Err(RevokeRefusal::UnknownDevice { name: name.clone(), device: device.clone() }),
    }
}

fn revoke_one(
    authority: &Authority,
    ledger: &LedgerTransaction<'_>,
    name: &UserName,
    device: DeviceId,
    time: Timestamp,
) -> Result<Revoked, LedgerError> {
    if let Some(time) = ledger.revoked(name, &device)? {
        return Ok(Revoked::Before { device, time });
    }
    let revocation = ledger.add_revocation(name, &device, time)?;
    ledger.add_leaf(&revocation_leaf(&revocation))?;
    Ok(Revoked::Now(authority.log.state(revocation)))
}
