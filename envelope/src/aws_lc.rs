//! The verifier of all our programs, by aws-lc.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    UnparsedPublicKey, VerificationAlgorithm,
};

use crate::verifier::{BadSignature, Verifier};

/// Verifies with aws-lc-rs.
#[derive(Debug, Clone, Copy)]
pub struct AwsLc;

impl Verifier for AwsLc {
    fn is_on_p256(&self, point: &[u8; 65]) -> bool {
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).is_ok()
    }

    fn p256_fixed(&self, point: &[u8; 65], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        verify(&ECDSA_P256_SHA256_FIXED, point, message, signature)
    }

    fn p256_asn1(&self, point: &[u8; 65], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        verify(&ECDSA_P256_SHA256_ASN1, point, message, signature)
    }

    fn rsa_pkcs1(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        verify(&RSA_PKCS1_2048_8192_SHA256, key, message, signature)
    }

    fn ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        verify(&ED25519, key, message, signature)
    }
}

fn verify(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).map_err(|_| BadSignature)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    };

    use super::*;

    /// Checks that verifying accepts the signed text, and no other text or signature.
    fn check(signature: &[u8], verify: impl Fn(&[u8], &[u8]) -> Result<(), BadSignature>) {
        assert_eq!(verify(b"hello", signature), Ok(()));
        assert_eq!(verify(b"hullo", signature), Err(BadSignature));
        let mut altered = signature.to_vec();
        *altered.last_mut().unwrap() ^= 1;
        assert_eq!(verify(b"hello", &altered), Err(BadSignature));
    }

    #[test]
    fn each_algorithm_takes_exactly_what_was_signed() {
        let random = SystemRandom::new();
        let fixed = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point: [u8; 65] = fixed.public_key().as_ref().try_into().unwrap();
        assert!(AwsLc.is_on_p256(&point));
        check(fixed.sign(&random, b"hello").unwrap().as_ref(), |text, signature| {
            AwsLc.p256_fixed(&point, text, signature.try_into().unwrap())
        });
        let asn1 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let point: [u8; 65] = asn1.public_key().as_ref().try_into().unwrap();
        check(asn1.sign(&random, b"hello").unwrap().as_ref(), |text, signature| {
            AwsLc.p256_asn1(&point, text, signature)
        });
        let edwards = Ed25519KeyPair::generate().unwrap();
        let key: [u8; 32] = edwards.public_key().as_ref().try_into().unwrap();
        check(edwards.sign(b"hello").as_ref(), |text, signature| {
            AwsLc.ed25519(&key, text, signature.try_into().unwrap())
        });
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(&RSA_PKCS1_SHA256, &random, b"hello", &mut signature).unwrap();
        check(&signature, |text, signature| AwsLc.rsa_pkcs1(rsa.public_key().as_ref(), text, signature));
    }
}
