//! The three kinds of public key, recognised by their bytes.
//!
//! DER has one encoding for one value, and our keys have fixed lengths, so comparing bytes checks
//! algorithm, parameters and lengths at once and leaves no second spelling of the same key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parlour_protocol::DeviceId;
use sha2::{Digest as _, Sha256};

/// `SubjectPublicKeyInfo` of an uncompressed P-256 point (RFC 5480) up to and with its 0x04.
const P256_PREFIX: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// `SubjectPublicKeyInfo` of an RSA key of 3072 bits (RFC 3279, 2.3.1) up to its modulus.
const RSA_3072_PREFIX: [u8; 33] = [
    0x30, 0x82, 0x01, 0xa2, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    0x05, 0x00, 0x03, 0x82, 0x01, 0x8f, 0x00, 0x30, 0x82, 0x01, 0x8a, 0x02, 0x82, 0x01, 0x81, 0x00,
];

/// The exponent 65537, which ends it.
const RSA_SUFFIX: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];

/// `SubjectPublicKeyInfo` of an Ed25519 key (RFC 8410, section 4) up to the key itself.
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The uncompressed point of a P-256 key. Whether it lies on the curve shows when it is used.
pub(crate) fn p256_point(spki_der: &[u8]) -> Option<[u8; 65]> {
    let coordinates: &[u8; 64] = spki_der.strip_prefix(&P256_PREFIX)?.try_into().ok()?;
    let mut point = [4; 65];
    let (_, rest) = point.split_at_mut(1);
    rest.copy_from_slice(coordinates);
    Some(point)
}

/// An Ed25519 key. Whether it is a point of the curve shows when it is used.
pub(crate) fn ed25519_key(spki_der: &[u8]) -> Option<[u8; 32]> {
    spki_der.strip_prefix(&ED25519_PREFIX)?.try_into().ok()
}

/// Whether this is a P-256 key.
pub(crate) fn is_p256(spki_der: &[u8]) -> bool {
    p256_point(spki_der).is_some()
}

/// The modulus of an RSA key of 3072 bits with the exponent 65537, big-endian.
pub(crate) fn rsa_3072_modulus(spki_der: &[u8]) -> Option<&[u8; 384]> {
    let modulus = spki_der.strip_prefix(&RSA_3072_PREFIX)?.strip_suffix(&RSA_SUFFIX)?;
    let modulus: &[u8; 384] = modulus.try_into().ok()?;
    let [first, .., last] = modulus;
    (first & 0x80 != 0 && last & 1 == 1).then_some(modulus)
}

/// Whether this is an RSA key of 3072 bits with the exponent 65537.
pub(crate) fn is_rsa_3072(spki_der: &[u8]) -> bool {
    rsa_3072_modulus(spki_der).is_some()
}

/// The RFC 7638 thumbprint of an RSA key with this modulus and the exponent 65537, base64url.
pub(crate) fn rsa_thumbprint(modulus: &[u8; 384]) -> String {
    // The required members in lexicographic order, without spaces (RFC 7638, 3.2); "AQAB" is 65537.
    let jwk = format!(r#"{{"e":"AQAB","kty":"RSA","n":"{}"}}"#, URL_SAFE_NO_PAD.encode(modulus));
    URL_SAFE_NO_PAD.encode(Sha256::digest(jwk))
}

/// The device id that belongs to a public key (`SubjectPublicKeyInfo`, DER).
pub fn device_id(spki_der: &[u8]) -> DeviceId {
    DeviceId::from_key_hash(&Sha256::digest(spki_der).into())
}
