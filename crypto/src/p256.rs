//! Public keys on the curve P-256: device keys and seal keys as others see them.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ParsedPublicKey, UnparsedPublicKey,
};
use serde::{Deserialize, Serialize};

use crate::base64url;

/// The DER of a P-256 `SubjectPublicKeyInfo` (RFC 5480) before its 65-byte uncompressed point.
/// The encoding is fixed, so comparing it reads algorithm, curve and lengths at once.
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The first byte of an uncompressed point (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// A point that is on the curve P-256 and not its identity: a public key for ECDSA or ECDH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct P256PublicKey {
    point: [u8; 65],
}

/// Why bytes are not a P-256 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum P256KeyError {
    /// Not the DER `SubjectPublicKeyInfo` of an uncompressed P-256 point.
    #[error("not a P-256 public key")]
    NotP256,
    /// The coordinates are not a point of the curve.
    #[error("the point is not on the curve P-256")]
    NotOnCurve,
}

/// An ECDSA signature that does not fit key and message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not fit")]
pub struct BadEcdsaSignature;

impl P256PublicKey {
    /// Reads a DER `SubjectPublicKeyInfo` (RFC 5480): named curve, uncompressed point, nothing after it.
    pub fn from_spki_der(spki: &[u8]) -> Result<Self, P256KeyError> {
        let point = spki.strip_prefix(&SPKI_PREFIX).ok_or(P256KeyError::NotP256)?;
        Self::from_point(point.try_into().map_err(|_| P256KeyError::NotP256)?)
    }

    /// Reads an uncompressed point: 0x04, then x and y of 32 bytes each (SEC 1 section 2.3.3).
    pub fn from_point(point: [u8; 65]) -> Result<Self, P256KeyError> {
        if point.first() != Some(&UNCOMPRESSED) {
            return Err(P256KeyError::NotP256);
        }
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| P256KeyError::NotOnCurve)?;
        Ok(Self { point })
    }

    /// The DER `SubjectPublicKeyInfo`, 91 bytes.
    pub fn to_spki_der(&self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), self.point.as_slice()].concat()
    }

    /// The uncompressed point, 65 bytes.
    pub fn point(&self) -> &[u8; 65] {
        &self.point
    }

    /// Checks an ECDSA signature with SHA-256 in ASN.1 DER, as in certificates and at login.
    pub fn verify_asn1(&self, message: &[u8], signature: &[u8]) -> Result<(), BadEcdsaSignature> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point)
            .verify(message, signature)
            .map_err(|_| BadEcdsaSignature)
    }

    /// Checks an ECDSA signature with SHA-256 as r and s of 32 bytes each (RFC 7518 section 3.4).
    pub fn verify_fixed(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), BadEcdsaSignature> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.point)
            .verify(message, signature)
            .map_err(|_| BadEcdsaSignature)
    }

    pub(crate) fn to_jwk(self) -> Jwk {
        let [_, coordinates @ ..] = self.point;
        let (x, y) = coordinates.split_at(32);
        Jwk { kty: "EC".into(), crv: "P-256".into(), x: base64url::encode(x), y: base64url::encode(y) }
    }
}

/// A P-256 public key as a JWK (RFC 7518 section 6.2.1) with exactly the required members.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jwk {
    kty: String,
    crv: String,
    x: String,
    y: String,
}

impl Jwk {
    pub(crate) fn to_key(&self) -> Result<P256PublicKey, P256KeyError> {
        if self.kty != "EC" || self.crv != "P-256" {
            return Err(P256KeyError::NotP256);
        }
        let x: [u8; 32] = base64url::decode_array(&self.x).ok_or(P256KeyError::NotP256)?;
        let y: [u8; 32] = base64url::decode_array(&self.y).ok_or(P256KeyError::NotP256)?;
        let point = [&[UNCOMPRESSED], x.as_slice(), y.as_slice()].concat();
        P256PublicKey::from_point(point.try_into().map_err(|_| P256KeyError::NotP256)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceKey;

    #[test]
    fn a_key_round_trips_through_spki_and_jwk() {
        let key = *DeviceKey::generate().unwrap().public();
        assert_eq!(P256PublicKey::from_spki_der(&key.to_spki_der()), Ok(key));
        assert_eq!(key.to_jwk().to_key(), Ok(key));
    }

    #[test]
    fn a_point_off_the_curve_is_refused() {
        let mut point = *DeviceKey::generate().unwrap().public().point();
        point[64] ^= 1;
        assert_eq!(P256PublicKey::from_point(point), Err(P256KeyError::NotOnCurve));
        let spki = [SPKI_PREFIX.as_slice(), &point].concat();
        assert_eq!(P256PublicKey::from_spki_der(&spki), Err(P256KeyError::NotOnCurve));
        let mut zero = [0; 65];
        zero[0] = UNCOMPRESSED;
        assert_eq!(P256PublicKey::from_point(zero), Err(P256KeyError::NotOnCurve));
    }

    #[test]
    fn other_curves_and_leftover_bytes_are_refused() {
        use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
        use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap();
        let p384: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        assert_eq!(P256PublicKey::from_spki_der(p384.as_ref()), Err(P256KeyError::NotP256));

        let mut spki = DeviceKey::generate().unwrap().public_spki();
        spki.push(0);
        assert_eq!(P256PublicKey::from_spki_der(&spki), Err(P256KeyError::NotP256));
    }
}
