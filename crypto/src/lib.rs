//! Everything that needs a secret key: signing, sealing, opening, requests for certificates, the vault.
//!
//! A device signs with its [`DeviceKey`]. An account's [`AccountKey`] opens the messages that the server keeps for
//! it. A [`SealKey`] opens what is meant for one device alone. [`message`] seals and opens private messages:
//! claims are signed as a JWS, which is encrypted as a JWE to two [`WrappingKey`]s. A device sends an
//! [`EnrolmentRequest`] or a [`RenewalRequest`] to the TTP; both contain a [`certificate_request`]. [`vault`]
//! protects a client's local data. Everything that can be checked without a secret key is in `parlour_envelope`.
//!
//! The library does no input or output and has no clock: times are arguments, and so is randomness (`&mut impl
//! CryptoRng`), with one exception: aws-lc-rs draws P-256 keys, ECDSA nonces, OAEP seeds and RSA blinding from its
//! own generator only. Names are plain strings here; the caller parses them.

pub mod account_key;
pub mod certificate_request;
pub mod device_key;
pub mod enrolment;
pub mod jwe;
pub mod message;
pub mod private_key;
pub mod renewal;
pub mod seal_key;
pub mod vault;
pub mod wrapping_key;

mod content_cipher;
mod jws;
mod signed_request;

#[cfg(test)]
mod test_people;

pub use account_key::AccountKey;
pub use device_key::DeviceKey;
pub use enrolment::EnrolmentRequest;
pub use jwe::Role;
pub use message::{Draft, OpenError, Opened, SealError, Sealed};
pub use private_key::{KeyFailure, ReadKeyError};
pub use renewal::RenewalRequest;
pub use seal_key::SealKey;
pub use vault::{Vault, VaultError};
pub use wrapping_key::WrappingKey;
