//! Certificate requests (PKCS#10, RFC 2986): they prove possession of a key and say nothing else.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use rcgen::{CertificateParams, DistinguishedName, DnType, PublicKeyData, SignatureAlgorithm, SigningKey};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

use crate::account_key::AccountKey;
use crate::account_public_key::{AccountKeyError, AccountPublicKey};
use crate::device_key::DeviceKey;
use crate::p256::{P256KeyError, P256PublicKey};
use crate::private_key::KeyFailure;

/// The longest request that is read, in bytes of DER. An RSA-3072 request takes about 900.
pub const MAX_REQUEST: usize = 4096;

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 3;

/// The DER `AlgorithmIdentifier` of ecdsa-with-SHA256 (RFC 5758 section 3.2).
const ECDSA_WITH_SHA256: [u8; 12] = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// The DER `AlgorithmIdentifier` of sha256WithRSAEncryption (RFC 4055 section 5).
const RSA_WITH_SHA256: [u8; 15] = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0];
/// Where the contents of the object identifier begin in these.
const OID_AT: usize = 4;

/// Why a certificate request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Longer than [`MAX_REQUEST`].
    #[error("the certificate request is too long")]
    TooLong,
    /// Not one DER-encoded PKCS#10 request.
    #[error("not a certificate request")]
    Malformed,
    /// Signed with another algorithm than this kind of key signs with.
    #[error("the certificate request is signed with an algorithm that is not accepted")]
    SignatureAlgorithm,
    /// The key in a device's request is not acceptable.
    #[error("the device key in the certificate request is refused: {0}")]
    DeviceKey(#[source] P256KeyError),
    /// The key in an account's request is not acceptable.
    #[error("the account key in the certificate request is refused: {0}")]
    AccountKey(#[source] AccountKeyError),
    /// The self-signature does not fit: no proof that the sender holds the key.
    #[error("the certificate request's own signature does not fit")]
    Signature,
}

/// Builds a device key's request: the subject is CN = `name`, there are no attributes. Gives DER.
pub fn device_request(name: &str, key: &DeviceKey) -> Result<Vec<u8>, KeyFailure> {
    request(name, &DeviceSigner(key))
}

/// Builds an account key's request: the subject is CN = `name`, there are no attributes. Gives DER.
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

/// Checks a device's request and gives its key as a DER `SubjectPublicKeyInfo`.
///
/// The key is the only thing read: subject, attributes and requested extensions are the sender's
/// wishes (CA:TRUE, someone else's name), and whoever issues must not follow them.
pub fn verify_device_request(der: &[u8]) -> Result<Vec<u8>, RequestError> {
    let request = parse(der)?;
    let info = &request.certification_request_info;
    let key = P256PublicKey::from_spki_der(info.subject_pki.raw).map_err(RequestError::DeviceKey)?;
    check_frame(&request, &ECDSA_WITH_SHA256)?;
    key.verify_asn1(info.raw, &request.signature_value.data).map_err(|_| RequestError::Signature)?;
    Ok(key.to_spki_der())
}

/// Checks an account's request and gives its key as a DER `SubjectPublicKeyInfo`. Nothing else is
/// read, as in [`verify_device_request`].
pub fn verify_account_request(der: &[u8]) -> Result<Vec<u8>, RequestError> {
    let request = parse(der)?;
    let info = &request.certification_request_info;
    let key = AccountPublicKey::from_spki_der(info.subject_pki.raw).map_err(RequestError::AccountKey)?;
    check_frame(&request, &RSA_WITH_SHA256)?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &info.subject_pki.subject_public_key.data)
        .verify(info.raw, &request.signature_value.data)
        .map_err(|_| RequestError::Signature)?;
    Ok(key.to_spki_der().to_vec())
}

fn parse(der: &[u8]) -> Result<X509CertificationRequest<'_>, RequestError> {
    if der.len() > MAX_REQUEST {
        return Err(RequestError::TooLong);
    }
    match X509CertificationRequest::from_der(der) {
        Ok(([], request)) => Ok(request),
        Ok(_) | Err(_) => Err(RequestError::Malformed),
    }
}

/// Checks that all that the signature does not cover (its algorithm, the outer tags and lengths) is
/// what it must be, in its one DER form: x509-parser is lenient there.
fn check_frame(request: &X509CertificationRequest<'_>, algorithm: &[u8]) -> Result<(), RequestError> {
    let oid = request.signature_algorithm.algorithm.as_bytes();
    if algorithm.get(OID_AT..OID_AT + oid.len()) != Some(oid) {
        return Err(RequestError::SignatureAlgorithm);
    }
    let no_unused_bits = 0;
    let signature = [&[no_unused_bits], request.signature_value.data.as_ref()].concat();
    let info = request.certification_request_info.raw;
    let body = [info, algorithm, &der_value(BIT_STRING, &signature)].concat();
    if request.as_raw() == der_value(SEQUENCE, &body) { Ok(()) } else { Err(RequestError::Malformed) }
}

/// One DER value: tag, length (X.690 section 8.1.3), contents.
fn der_value(tag: u8, contents: &[u8]) -> Vec<u8> {
    let [.., high, low] = contents.len().to_be_bytes();
    let header = match contents.len() {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        // Enough for all that parse() lets through: MAX_REQUEST is far below 64 KiB.
        _ => vec![tag, 0x82, high, low],
    };
    [header.as_slice(), contents].concat()
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
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, IsCa, KeyPair, RsaKeySize, SanType};

    /// A request for sam's device key that asks for everything it should not get.
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

    /// The changes of one bit that a check does not notice, as (byte, bit).
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
