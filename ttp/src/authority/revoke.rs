//! Revocation: a device may not be used any more.

use parlour_keylog::{Leaf, LeafKind};
use parlour_protocol::ttp::Revocation;
use parlour_protocol::{DeviceId, Timestamp, UserName};
use thiserror::Error;

use super::Authority;
use crate::store::{Records, StoreError};

/// A device that is revoked now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// By this act.
    Now(Revocation),
    /// It was before.
    Before {
        /// Which device.
        device: DeviceId,
        /// Since when.
        time: Timestamp,
    },
}

/// Why nothing was revoked.
#[derive(Debug, Error)]
pub enum RevokeRefusal {
    /// Nobody has this name.
    #[error("there is no user '{0}'")]
    UnknownName(UserName),
    /// The user has no such device.
    #[error("user '{name}' has no device {device}")]
    UnknownDevice {
        /// Whose it should be.
        name: UserName,
        /// Which.
        device: DeviceId,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(super) fn revoke(
    authority: &Authority,
    name: &UserName,
    device: Option<&DeviceId>,
) -> Result<Vec<Revoked>, RevokeRefusal> {
    authority.store.transact(|records| {
        let time = authority.now();
        let devices = chosen(records, name, device)?;
        let revoked = devices.into_iter().map(|device| revoke_one(records, name, device, time));
        Ok(revoked.collect::<Result<_, StoreError>>()?)
    })
}

fn chosen(
    records: &Records<'_>,
    name: &UserName,
    device: Option<&DeviceId>,
) -> Result<Vec<DeviceId>, RevokeRefusal> {
    if !records.has_account(name)? {
        return Err(RevokeRefusal::UnknownName(name.clone()));
    }
    let all = records.devices(name)?;
    match device {
        None => Ok(all),
        Some(device) if all.contains(device) => Ok(vec![device.clone()]),
        Some(device) => Err(RevokeRefusal::UnknownDevice { name: name.clone(), device: device.clone() }),
    }
}

fn revoke_one(
    records: &Records<'_>,
    name: &UserName,
    device: DeviceId,
    time: Timestamp,
) -> Result<Revoked, StoreError> {
    if let Some(time) = records.revoked(name, &device)? {
        return Ok(Revoked::Before { device, time });
    }
    let revocation = records.add_revocation(name, &device, time)?;
    records.add_leaf(&Leaf {
        kind: LeafKind::Revocation { name: name.clone(), device },
        time,
        certificates: Vec::new(),
    })?;
    Ok(Revoked::Now(revocation))
}
