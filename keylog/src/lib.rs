//! What the TTP issues and records, and how anyone checks it, without input, output or clock.
//!
//! A [`RootCertificate`] is what a client pins. Under it stand four kinds of certificate, each read
//! strictly by its profile: a [`DeviceCertificate`] names a user's device, an [`AccountCertificate`]
//! holds the key to which private messages are sealed, a [`ServerCertificate`] is for some [`Host`]s, and a
//! [`LogCertificate`] is for the key that signs the key log.
//! All are verified to the root at a moment that the caller gives; the chain has that one length.
//!
//! Each act of the TTP is a [`Leaf`] in the key log, with one canonical form and one [`leaf_hash`].
//! A [`SignedRevocation`] proves to anybody that the TTP revoked a device.
//! The Merkle log over these leaves has its place in this crate beside [`leaf`](Leaf) and is not
//! there yet.

mod certificate;
mod leaf;
mod revocation;

pub use certificate::{
    AccountCertificate, CERTIFICATE_BYTES, CertificateError, DeviceCertificate, Host, HostError,
    LogCertificate, RootCertificate, ServerCertificate, device_id,
};
pub use leaf::{LEAF_BYTES, Leaf, LeafError, LeafKind, certificate_hash, leaf_hash};
pub use revocation::{RevocationError, STATEMENT_BYTES, SignedRevocation, revocation_signing_input};
