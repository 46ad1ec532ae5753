//! The reasons why a certificate is refused.

use thiserror::Error;

/// The rule that a certificate breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// Longer than [`CERTIFICATE_BYTES`](super::CERTIFICATE_BYTES).
    #[error("the certificate is too long")]
    TooLong,
    /// Not exactly one PEM block of the type CERTIFICATE.
    #[error("not exactly one PEM certificate")]
    Pem,
    /// Not exactly one DER certificate.
    #[error("not exactly one DER certificate")]
    Malformed,
    /// Not X.509 version 3.
    #[error("the certificate is not of X.509 version 3")]
    Version,
    /// Not signed with ECDSA and SHA-256, or the two places that name the algorithm differ.
    #[error("the certificate is not signed with ECDSA and SHA-256")]
    Algorithm,
    /// An extension occurs twice (RFC 5280, 4.2).
    #[error("the extension {0} stands twice")]
    RepeatedExtension(String),
    /// A critical extension that is not in the profile (RFC 5280, 4.2).
    #[error("the critical extension {0} is not known")]
    UnknownCriticalExtension(String),
    /// The subject is not exactly one common name.
    #[error("the subject is not exactly one common name")]
    Subject,
    /// The common name is not the one that the profile has.
    #[error("the common name does not follow the profile")]
    CommonName,
    /// The common name is not a user's name.
    #[error("the common name is not a user's name")]
    UserName,
    /// A device certificate's alternative name is not exactly the URI `parlour:NAME/DEVICE-ID`, or
    /// another certificate has one.
    #[error("the alternative name does not follow the profile")]
    AlternativeName,
    /// The URI names another user than the common name.
    #[error("the alternative name is another user's than the common name")]
    NameMismatch,
    /// The device id in the URI is not the one of the public key.
    #[error("the device id is not the one of the public key")]
    DeviceMismatch,
    /// `basicConstraints` is missing, or says CA where the profile does not, or the reverse.
    #[error("the basic constraints do not follow the profile")]
    BasicConstraints,
    /// `keyUsage` is missing, or allows other uses than the profile.
    #[error("the key usage does not follow the profile")]
    KeyUsage,
    /// `extKeyUsage` is missing where required, present where forbidden, or allows other uses.
    #[error("the extended key usage does not follow the profile")]
    ExtendedKeyUsage,
    /// The public key is not of the kind in the profile.
    #[error("the public key does not follow the profile")]
    PublicKey,
    /// The issuer is not the root's subject.
    #[error("the certificate was issued by another authority")]
    Issuer,
    /// The signature is not the root's.
    #[error("the certificate's signature is not the root's")]
    Signature,
    /// The certificate is not valid yet at the given time.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// The certificate is not valid any more at the given time.
    #[error("the certificate has expired")]
    Expired,
    /// The root is not valid at the given time.
    #[error("the root certificate is not valid at this time")]
    RootNotValid,
}
