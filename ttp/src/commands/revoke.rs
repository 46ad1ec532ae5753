//! `revoke`: revokes a device of a user, or all of them.

use std::io::Write;

use parlour_protocol::{DeviceId, UserName};
use thiserror::Error;

use super::CommandError;
use crate::authority::{Authority, OpenError, RevokeRefusal, Revoked};
use crate::clock::Clock;
use crate::folder::KeyFolder;

/// The reasons why nothing was revoked.
#[derive(Debug, Error)]
pub enum RevokeError {
    /// The authority cannot work.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The authority refused.
    #[error(transparent)]
    Refused(#[from] RevokeRefusal),
}

impl RevokeError {
    /// Advice for the operator.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Open(error) => error.hint(),
            Self::Refused(RevokeRefusal::UnknownName(_) | RevokeRefusal::UnknownDevice { .. }) => {
                Some("'parlour-ttp show' lists users and devices".to_owned())
            }
            Self::Refused(RevokeRefusal::Ledger(error)) => error.hint(),
        }
    }
}

pub(super) fn run(
    keys: &KeyFolder,
    name: &UserName,
    device: Option<&DeviceId>,
    clock: impl Clock,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let authority = Authority::open(keys.path(), clock).map_err(RevokeError::from)?;
    for revoked in authority.revoke(name, device).map_err(RevokeError::from)? {
        match revoked {
            Revoked::Now(revocation) => writeln!(out, "revoked {name} {}", revocation.device)?,
            Revoked::Before { device, time } => {
                writeln!(out, "already revoked {name} {device} at {time} UTC")?;
            }
        }
    }
    Ok(())
}
