//! The device key: ECDSA on P-256, made on the device, signs logins and messages.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
};
use parlour_envelope::{AwsLc, P256PublicKey};
use zeroize::Zeroizing;

use crate::private_key::{self, KeyFailure, ReadKeyError};

/// A device's private signing key.
///
/// aws-lc-rs clears its memory when it is dropped. It draws the key and the nonces of signatures from its own
/// generator and cannot take them as arguments.
pub struct DeviceKey {
    asn1: EcdsaKeyPair,
    /// The same key a second time: aws-lc-rs ties the form of signatures to the key pair.
    fixed: EcdsaKeyPair,
    public: P256PublicKey,
}

impl DeviceKey {
    /// Makes a new key.
    pub fn generate() -> Result<Self, KeyFailure> {
        let pair =
            EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| KeyFailure::Generate)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| KeyFailure::Generate)?;
        Self::from_pkcs8_der(pkcs8.as_ref()).map_err(|_| KeyFailure::Generate)
    }

    /// Reads an unencrypted PKCS#8 key in PEM.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, ReadKeyError> {
        Self::from_pkcs8_der(private_key::from_pem(pem)?.as_bytes())
    }

    fn from_pkcs8_der(der: &[u8]) -> Result<Self, ReadKeyError> {
        let read = |form| EcdsaKeyPair::from_pkcs8(form, der).map_err(|_| ReadKeyError::WrongKey);
        let asn1 = read(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
        let fixed = read(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let point = asn1.public_key().as_ref().try_into().map_err(|_| ReadKeyError::WrongKey)?;
        let public = P256PublicKey::from_point(point, &AwsLc).map_err(|_| ReadKeyError::WrongKey)?;
        Ok(Self { asn1, fixed, public })
    }

    /// The key as PKCS#8 version 1 in PEM, which OpenSSL and Python's cryptography read.
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, KeyFailure> {
        private_key::to_pem(&self.to_pkcs8_der()?)
    }

    /// The key as PKCS#8 version 1 in DER, as rustls takes it.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, KeyFailure> {
        let document = self.asn1.to_pkcs8v1().map_err(|_| KeyFailure::Export)?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// The public half.
    pub fn public(&self) -> &P256PublicKey {
        &self.public
    }

    /// The public half as a DER `SubjectPublicKeyInfo`.
    pub fn public_spki(&self) -> Vec<u8> {
        self.public.to_spki_der()
    }

    /// Signs with ECDSA and SHA-256; the signature is ASN.1 DER, at most 72 bytes, as at login.
    pub fn sign_asn1(&self, message: &[u8]) -> Result<Vec<u8>, KeyFailure> {
        let signature = self.asn1.sign(&SystemRandom::new(), message).map_err(|_| KeyFailure::Sign)?;
        Ok(signature.as_ref().to_vec())
    }

    /// Signs with ECDSA and SHA-256; the signature is r and s of 32 bytes each (RFC 7518 section 3.4).
    pub fn sign_fixed(&self, message: &[u8]) -> Result<[u8; 64], KeyFailure> {
        let signature = self.fixed.sign(&SystemRandom::new(), message).map_err(|_| KeyFailure::Sign)?;
        signature.as_ref().try_into().map_err(|_| KeyFailure::Sign)
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Left out: asn1, fixed (the private key).
        formatter.debug_struct("DeviceKey").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SealKey;

    #[test]
    fn a_key_read_from_pem_signs_for_the_same_public_key() {
        let key = DeviceKey::generate().unwrap();
        let read = DeviceKey::from_pkcs8_pem(&key.to_pkcs8_pem().unwrap()).unwrap();
        assert_eq!(read.public(), key.public());
        let (asn1, fixed) = (read.sign_asn1(b"hello").unwrap(), read.sign_fixed(b"hello").unwrap());
        assert_eq!(key.public().verify_asn1(b"hello", &asn1, &AwsLc), Ok(()));
        assert_eq!(key.public().verify_fixed(b"hello", &fixed, &AwsLc), Ok(()));
        assert_eq!(key.public().verify_asn1(b"hullo", &asn1, &AwsLc), Err(parlour_envelope::BadSignature));
        assert_eq!(key.public().verify_fixed(b"hullo", &fixed, &AwsLc), Err(parlour_envelope::BadSignature));
    }

    #[test]
    fn pkcs8_is_version_1_with_the_curve_named_as_openssl_writes_it() {
        let der = DeviceKey::generate().unwrap().to_pkcs8_der().unwrap();
        let version_and_algorithm: [u8; 24] = [
            2, 1, 0, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce,
            0x3d, 3, 1, 7,
        ];
        assert_eq!(der[3..27], version_and_algorithm);
    }

    #[test]
    fn a_key_of_another_kind_is_refused() {
        let account = crate::test_people::sam().account.to_pkcs8_pem().unwrap();
        assert_eq!(DeviceKey::from_pkcs8_pem(&account).err(), Some(ReadKeyError::WrongKey));
    }

    #[test]
    fn debug_shows_the_public_half_only() {
        let key = DeviceKey::generate().unwrap();
        let seal = SealKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), format!("DeviceKey {{ public: {:?}, .. }}", key.public()));
        assert_eq!(format!("{seal:?}"), format!("SealKey {{ public: {:?}, .. }}", seal.public()));
    }
}
