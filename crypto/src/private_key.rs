//! Shared by the three kinds of private key: PKCS#8 in PEM (RFC 7468 section 10) and errors.

use rsa::pkcs8::{LineEnding, SecretDocument};
use zeroize::Zeroizing;

/// The reasons why stored key material is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadKeyError {
    /// The text is not one PEM block holding DER.
    #[error("not a PEM file")]
    NotPem,
    /// The PEM block is not a `PRIVATE KEY`, that is, not unencrypted PKCS#8.
    #[error("not an unencrypted PKCS#8 private key")]
    NotPkcs8,
    /// The key is damaged, or has another algorithm or size than this kind of key.
    #[error("not a key of the expected algorithm and size")]
    WrongKey,
}

/// A failure of aws-lc-rs in an operation with a private key. With a key that was read or generated without error,
/// this happens only when memory is exhausted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFailure {
    /// No key could be generated.
    #[error("the key could not be generated")]
    Generate,
    /// The key could not be written out.
    #[error("the key could not be encoded")]
    Export,
    /// No signature could be made.
    #[error("the signature could not be made")]
    Sign,
    /// The content key could not be wrapped.
    #[error("the content key could not be wrapped")]
    Wrap,
    /// The content could not be encrypted, or its envelope could not be encoded.
    #[error("the content could not be encrypted")]
    Encrypt,
}

const LABEL: &str = "PRIVATE KEY";

/// Reads one PEM block of PKCS#8; the caller checks the key in it.
pub(crate) fn from_pem(pem: &str) -> Result<SecretDocument, ReadKeyError> {
    let (label, document) = SecretDocument::from_pem(pem).map_err(|_| ReadKeyError::NotPem)?;
    if label == LABEL { Ok(document) } else { Err(ReadKeyError::NotPkcs8) }
}

/// Writes PKCS#8 DER as PEM with LF line ends.
pub(crate) fn to_pem(der: &[u8]) -> Result<Zeroizing<String>, KeyFailure> {
    SecretDocument::try_from(der)
        .and_then(|document| document.to_pem(LABEL, LineEnding::LF))
        .map_err(|_| KeyFailure::Export)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_no_pkcs8_pem_is_named_as_what_it_is() {
        assert_eq!(from_pem("hello").err(), Some(ReadKeyError::NotPem));
        let certificate = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
        assert_eq!(from_pem(certificate).err(), Some(ReadKeyError::NotPkcs8));
    }

    #[test]
    fn pem_round_trips() {
        let der = [0x30, 3, 2, 1, 1];
        assert_eq!(from_pem(&to_pem(&der).unwrap()).unwrap().as_bytes(), der);
    }
}
