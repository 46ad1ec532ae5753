//! Everything end-to-end: keys, envelopes, signatures, requests for certificates, the vault.
//!
//! A device signs with its [`DeviceKey`]; an account opens what is kept for it with its
//! [`AccountKey`]; a [`SealKey`] takes what is handed to one device alone. [`message`] seals and
//! opens private messages: [`claims`] signed as a JWS, and that encrypted as a JWE. [`enrolment`]
//! and [`renewal`] are what a device asks of the TTP, built on [`certificate_request`]. [`vault`]
//! keeps a client's local data.
//!
//! The library does no input or output and has no clock: times are arguments, and so is randomness
//! (`&mut impl CryptoRng`), with one exception: aws-lc-rs draws P-256 keys, ECDSA nonces, OAEP seeds
//! and RSA blinding from its own generator and takes none from outside. Names are plain strings here; the
//! caller parses them.

pub mod account_key;
pub mod account_public_key;
pub mod certificate_request;
pub mod claims;
pub mod device_key;
pub mod enrolment;
pub mod franking;
pub mod jwe;
pub mod jws;
pub mod leaf_certificate;
pub mod message;
pub mod p256;
pub mod private_key;
pub mod renewal;
pub mod seal_key;
pub mod signed_request;
pub mod vault;

mod base64url;
mod content_cipher;
mod strict_json;

#[cfg(test)]
mod test_people;

pub use account_key::AccountKey;
pub use account_public_key::AccountPublicKey;
pub use claims::{Claims, Content};
pub use device_key::DeviceKey;
pub use enrolment::{EnrolmentRequest, VerifiedEnrolment};
pub use jwe::Role;
pub use message::{Draft, OpenError, Opened, SealError, Sealed};
pub use p256::P256PublicKey;
pub use private_key::{KeyFailure, ReadKeyError};
pub use renewal::{RenewalRequest, VerifiedRenewal};
pub use seal_key::SealKey;
pub use vault::{Vault, VaultError};
