//! A leaf of the key log: one act of the TTP, in one canonical form.
//!
//! The bytes are JSON in the canonical form of RFC 8785 (members sorted, no spaces), so that anybody can make them
//! from their parts with an ordinary library. Binary parts are base64url without padding. Only canonical bytes are
//! read, so that each act has exactly one hash.

mod form;
#[cfg(test)]
mod tests;

use parlour_protocol::{DeviceId, Timestamp, UserName};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// The longest leaf that is read, in bytes. An enrolment takes about 6,000.
pub const LEAF_BYTES: usize = 32_768;

/// One act of the TTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// The kind of act, with its details.
    pub kind: LeafKind,
    /// The time of the act, by the TTP's clock.
    pub time: Timestamp,
    /// [`certificate_hash`] of each certificate issued, in the order of issue.
    pub certificates: Vec<[u8; 32]>,
}

/// The kind of an act.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum LeafKind {
    /// A free name became an account with its first device.
    Enrolment {
        name: UserName,
        device: DeviceId,
        /// The device's public key, a P-256 `SubjectPublicKeyInfo` in DER.
        device_key: Vec<u8>,
        /// The device's public seal key, in the same form.
        seal_key: Vec<u8>,
        /// The account's public key, an RSA-3072 `SubjectPublicKeyInfo` in DER.
        account_key: Vec<u8>,
        /// The request as it arrived, a compact JWS by the device key.
        request: String,
    },
    /// A device got a new certificate for its existing key.
    Renewal {
        name: UserName,
        device: DeviceId,
        /// The device's public key, a P-256 `SubjectPublicKeyInfo` in DER.
        device_key: Vec<u8>,
        /// The request as it arrived, a compact JWS by the device key.
        request: String,
    },
    /// A device was revoked.
    Revocation { name: UserName, device: DeviceId },
}

/// The reasons why bytes are refused as a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LeafError {
    /// Longer than [`LEAF_BYTES`].
    #[error("the leaf is too long")]
    TooLong,
    /// Not JSON with the members of a leaf.
    #[error("not a leaf of the key log")]
    Form,
    /// The leaf has a later version than this code knows.
    #[error("the leaf has a version that is not known")]
    Version,
    /// The members are not those of this kind of leaf.
    #[error("the leaf's members do not belong to its kind")]
    Members,
    /// A key has the wrong type for its place.
    #[error("a key in the leaf is not of its kind")]
    Key,
    /// The device id is not that of the device's key.
    #[error("the leaf's device id is not the one of its key")]
    Device,
    /// The leaf is not written in the canonical form.
    #[error("the leaf is not in its canonical form")]
    NotCanonical,
}

impl Leaf {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        form::encode(self)
    }

    /// Reads canonical bytes. [`encode`](Self::encode) of the result returns the same bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, LeafError> {
        if bytes.len() > LEAF_BYTES {
            return Err(LeafError::TooLong);
        }
        let leaf = form::decode(bytes)?;
        if leaf.encode() != bytes {
            return Err(LeafError::NotCanonical);
        }
        Ok(leaf)
    }

    /// The account that the act concerns.
    pub fn name(&self) -> &UserName {
        match &self.kind {
            LeafKind::Enrolment { name, .. }
            | LeafKind::Renewal { name, .. }
            | LeafKind::Revocation { name, .. } => name,
        }
    }

    /// The device that the act concerns.
    pub fn device(&self) -> &DeviceId {
        match &self.kind {
            LeafKind::Enrolment { device, .. }
            | LeafKind::Renewal { device, .. }
            | LeafKind::Revocation { device, .. } => device,
        }
    }

    /// The [`leaf_hash`] of the canonical bytes.
    pub fn hash(&self) -> [u8; 32] {
        leaf_hash(&self.encode())
    }
}

/// The hash of a leaf's bytes in the Merkle tree: SHA-256 of a zero byte and the bytes (RFC 6962, 2.1). The zero
/// byte distinguishes a leaf from an inner node.
pub fn leaf_hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update([0]).chain_update(bytes).finalize().into()
}

/// The hash by which a leaf names a certificate: SHA-256 of its DER.
pub fn certificate_hash(der: &[u8]) -> [u8; 32] {
    Sha256::digest(der).into()
}
