//! The certificates, the log entries and the revocations of the TTP, and the checks that anyone can make of them,
//! without input, output or clock.
//!
//! A client pins a [`RootCertificate`]. It issues four kinds of certificate, each read
//! strictly by its profile: a [`DeviceCertificate`] names a user's device, an [`AccountCertificate`]
//! holds the key to which private messages are sealed, a [`ServerCertificate`] is for some [`Host`]s, and a
//! [`LogCertificate`] is for the key that signs the key log.
//! All are verified against the root at a time that the caller gives; the root issues each of them directly.
//!
//! Each act of the TTP is a [`Leaf`] in the key log, with one canonical form and one [`leaf_hash`].
//! A [`SignedRevocation`] proves to anybody that the TTP revoked a device.
//! This crate does not yet build the Merkle log over these leaves.

mod certificate;
mod leaf;
mod revocation;

pub use certificate::{
    AccountCertificate, CERTIFICATE_BYTES, CertificateError, DeviceCertificate, Host, HostError,
    LogCertificate, RootCertificate, ServerCertificate, device_id,
};
pub use leaf::{LEAF_BYTES, Leaf, LeafError, LeafKind, certificate_hash, leaf_hash};
pub use revocation::{RevocationError, STATEMENT_BYTES, SignedRevocation, revocation_signing_input};
