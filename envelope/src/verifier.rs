//! The arithmetic of signatures, which the caller provides.

/// The signature does not match the key and the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not fit")]
pub struct BadSignature;

/// Checks signatures with public keys. All implementations give the same results; only the library under them
/// differs.
pub trait Verifier: Sync {
    /// Returns true if an uncompressed point (SEC 1 section 2.3.3) lies on the curve P-256 and is not its
    /// identity.
    fn is_on_p256(&self, point: &[u8; 65]) -> bool;

    /// ECDSA on P-256 with SHA-256; the signature is r and s of 32 bytes each (RFC 7518 section 3.4).
    fn p256_fixed(&self, point: &[u8; 65], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature>;

    /// ECDSA on P-256 with SHA-256; the signature is ASN.1 DER, as in certificates (RFC 5480) and at login.
    fn p256_asn1(&self, point: &[u8; 65], message: &[u8], signature: &[u8]) -> Result<(), BadSignature>;

    /// RSA PKCS #1 v1.5 with SHA-256, as in an account key's certificate request; the key is a DER
    /// `RSAPublicKey` (RFC 8017 appendix A.1.1) of 2048 bits or more.
    fn rsa_pkcs1(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature>;

    /// Ed25519 (RFC 8032), as in the signatures of the key log's checkpoints.
    fn ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature>;
}
