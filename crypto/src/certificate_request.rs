//! Certificate requests (PKCS#10, RFC 2986): they prove possession of a key and nothing else.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use rcgen::{CertificateParams, DistinguishedName, DnType, PublicKeyData, SignatureAlgorithm, SigningKey};

use crate::account_key::AccountKey;
use crate::device_key::DeviceKey;
use crate::private_key::KeyFailure;

/// Builds a device key's request with the subject CN = `name` and no attributes. Returns DER.
pub fn device_request(name: &str, key: &DeviceKey) -> Result<Vec<u8>, KeyFailure> {
    request(name, &DeviceSigner(key))
}

/// Builds an account key's request with the subject CN = `name` and no attributes. Returns DER.
pub fn account_request(name: &str, key: &AccountKey) -> Result<Vec<u8>, KeyFailure> {
    let pkcs8 = key.to_pkcs8_der()?;
    let pair = RsaKeyPair::from_pkcs8(pkcs8.as_ref()).map_err(|_| KeyFailure::Sign)?;
    request(name, &AccountSigner(pair))
}

fn request(name: &str, signer: &impl SigningKey) -> Result<Vec<u8>, KeyFailure> {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    let request = params.serialize_request(signer).map_err(|_| KeyFailure::Sign)?;
    Ok(request.der().to_vec())
}

/// Lends a device key to rcgen without copying its secret.
struct DeviceSigner<'a>(&'a DeviceKey);

impl PublicKeyData for DeviceSigner<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public().point()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for DeviceSigner<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign_asn1(message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

struct AccountSigner(RsaKeyPair);

impl PublicKeyData for AccountSigner {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl SigningKey for AccountSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| rcgen::Error::RemoteKeyError)?;
        Ok(signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_people::sam;
    use parlour_envelope::AwsLc;
    use parlour_envelope::account_public_key::AccountKeyError;
    use parlour_envelope::certificate_request::{self as verifying, MAX_REQUEST, RequestError};
    use parlour_envelope::p256::P256KeyError;
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, IsCa, KeyPair, RsaKeySize, SanType};

    fn verify_device_request(der: &[u8]) -> Result<Vec<u8>, RequestError> {
        verifying::verify_device_request(der, &AwsLc)
    }

    fn verify_account_request(der: &[u8]) -> Result<Vec<u8>, RequestError> {
        verifying::verify_account_request(der, &AwsLc)
    }

    /// A request for sam's device key that asks for everything that it must not get.
    fn greedy() -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.subject_alt_names = vec![SanType::URI("parlour:erik/1".try_into().unwrap())];
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        params.serialize_request(&DeviceSigner(&sam().device)).unwrap().der().to_vec()
    }

    #[test]
    fn requests_give_back_the_keys_that_they_were_built_for() {
        let device = device_request("sam", &sam().device).unwrap();
        assert_eq!(verify_device_request(&device), Ok(sam().device.public_spki()));
        let account = account_request("sam", &sam().account).unwrap();
        assert_eq!(verify_account_request(&account), Ok(sam().account.public().to_spki_der().to_vec()));
    }

    #[test]
    fn a_request_for_a_ca_gives_back_the_key_and_nothing_else() {
        assert_eq!(verify_device_request(&greedy()), Ok(sam().device.public_spki()));
    }

    #[test]
    fn a_request_of_the_other_kind_is_refused() {
        let device = device_request("sam", &sam().device).unwrap();
        let account = account_request("sam", &sam().account).unwrap();
        assert_eq!(verify_account_request(&device), Err(RequestError::AccountKey(AccountKeyError::NotRsa)));
        assert_eq!(verify_device_request(&account), Err(RequestError::DeviceKey(P256KeyError::NotP256)));
    }

    #[test]
    fn keys_of_other_sizes_and_curves_are_refused() {
        let request = |key: &KeyPair| CertificateParams::default().serialize_request(key).unwrap();
        for (size, bits) in [(RsaKeySize::_2048, 2048), (RsaKeySize::_4096, 4096)] {
            let key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap();
            let refused = RequestError::AccountKey(AccountKeyError::ModulusLength { bits });
            assert_eq!(verify_account_request(request(&key).der()), Err(refused));
        }
        for curve in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
            let key = KeyPair::generate_for(curve).unwrap();
            let refused = RequestError::DeviceKey(P256KeyError::NotP256);
            assert_eq!(verify_device_request(request(&key).der()), Err(refused));
        }
    }

    #[test]
    fn an_account_request_signed_with_another_hash_is_refused() {
        let pem = sam().account.to_pkcs8_pem().unwrap();
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &rcgen::PKCS_RSA_SHA512).unwrap();
        let request = CertificateParams::default().serialize_request(&key).unwrap();
        assert_eq!(verify_account_request(request.der()), Err(RequestError::SignatureAlgorithm));
    }

    /// The one-bit changes that a check does not notice, as (byte, bit).
    fn unnoticed(request: &[u8], verify: fn(&[u8]) -> Result<Vec<u8>, RequestError>) -> Vec<(usize, u8)> {
        let mut altered = request.to_vec();
        let mut unnoticed = Vec::new();
        for at in 0..request.len() {
            for bit in 0..8 {
                altered[at] ^= 1 << bit;
                if verify(&altered).is_ok() {
                    unnoticed.push((at, bit));
                }
                altered[at] ^= 1 << bit;
            }
        }
        unnoticed
    }

    #[test]
    fn no_bit_of_a_request_can_be_changed() {
        let device = device_request("sam", &sam().device).unwrap();
        assert_eq!(unnoticed(&device, verify_device_request), []);
        let account = account_request("sam", &sam().account).unwrap();
        assert_eq!(unnoticed(&account, verify_account_request), []);
    }

    #[test]
    fn a_request_that_is_too_long_is_refused_unread() {
        assert_eq!(verify_device_request(&[0; MAX_REQUEST + 1]), Err(RequestError::TooLong));
    }

    proptest! {
        #[test]
        fn any_bytes_at_all_are_only_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(verify_device_request(&bytes).is_err());
            prop_assert!(verify_account_request(&bytes).is_err());
        }
    }
}
