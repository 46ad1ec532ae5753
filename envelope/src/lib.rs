//! Everything that can be verified without a secret key: signed texts, the statements in them, commitments,
//! requests to the TTP, and public keys.
//!
//! [`jws`] reads compact JWS. [`statement`] checks the contents of a sealed message after it is opened: [`claims`]
//! signed by a device, and the [`franking`] commitment that binds the envelope to them. [`enrolment`] and
//! [`renewal`] check a device's requests to the TTP; each is a [`signed_request`] that contains a
//! [`certificate_request`]. [`p256`] and [`account_public_key`] are the two kinds of public key. The outer form of
//! a sealed message, the JWE, is [`parlour_protocol::SealedMessage`]: it is part of the line protocol.
//!
//! The arithmetic of signatures is passed in as a [`Verifier`], so that the crate builds where aws-lc
//! does not. `AwsLc`, behind the feature `aws-lc`, is the verifier of all our programs. The library
//! does no input or output, and has no clock and no randomness.

pub mod account_public_key;
pub mod base64url;
pub mod certificate_request;
pub mod claims;
pub mod enrolment;
pub mod franking;
pub mod jws;
pub mod leaf_certificate;
pub mod p256;
pub mod renewal;
pub mod signed_request;
pub mod statement;

#[cfg(feature = "aws-lc")]
mod aws_lc;
mod verifier;

pub use account_public_key::AccountPublicKey;
#[cfg(feature = "aws-lc")]
pub use aws_lc::AwsLc;
pub use claims::{Claims, Content};
pub use enrolment::VerifiedEnrolment;
pub use franking::FrankingKey;
pub use p256::P256PublicKey;
pub use renewal::VerifiedRenewal;
pub use statement::{Statement, StatementError};
pub use verifier::{BadSignature, Verifier};
