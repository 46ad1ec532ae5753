//! Public keys on the curve P-256: device keys and seal keys.

use serde::{Deserialize, Serialize};

use crate::base64url;
use crate::verifier::{BadSignature, Verifier};

/// The DER of a P-256 `SubjectPublicKeyInfo` (RFC 5480) before its 65-byte uncompressed point.
/// The encoding is fixed, so comparing it reads algorithm, curve and lengths at once and leaves no second
/// spelling of the same key.
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The first byte of an uncompressed point (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// A point on the curve P-256 that is not its identity: a public key for ECDSA or ECDH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct P256PublicKey {
    point: [u8; 65],
}

/// The reasons why bytes are refused as a P-256 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum P256KeyError {
    /// Not the DER `SubjectPublicKeyInfo` of an uncompressed P-256 point.
    #[error("not a P-256 public key")]
    NotP256,
    /// The coordinates are not a point of the curve.
    #[error("the point is not on the curve P-256")]
    NotOnCurve,
}

/// The uncompressed point in a DER `SubjectPublicKeyInfo` (RFC 5480) with the named curve P-256 and nothing after
/// it. The point may be off the curve; then no signature by such a key is valid.
pub fn point_in_spki(spki: &[u8]) -> Option<[u8; 65]> {
    let point: [u8; 65] = spki.strip_prefix(&SPKI_PREFIX)?.try_into().ok()?;
    (point.first() == Some(&UNCOMPRESSED)).then_some(point)
}

impl P256PublicKey {
    /// Reads a DER `SubjectPublicKeyInfo` (RFC 5480): named curve, uncompressed point, nothing after it.
    pub fn from_spki_der(spki: &[u8], verifier: &dyn Verifier) -> Result<Self, P256KeyError> {
        Self::from_point(point_in_spki(spki).ok_or(P256KeyError::NotP256)?, verifier)
    }

    /// Reads an uncompressed point: 0x04, then x and y of 32 bytes each (SEC 1 section 2.3.3).
    pub fn from_point(point: [u8; 65], verifier: &dyn Verifier) -> Result<Self, P256KeyError> {
        if point.first() != Some(&UNCOMPRESSED) {
            return Err(P256KeyError::NotP256);
        }
        if verifier.is_on_p256(&point) { Ok(Self { point }) } else { Err(P256KeyError::NotOnCurve) }
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
    pub fn verify_asn1(
        &self,
        message: &[u8],
        signature: &[u8],
        verifier: &dyn Verifier,
    ) -> Result<(), BadSignature> {
        verifier.p256_asn1(&self.point, message, signature)
    }

    /// Checks an ECDSA signature with SHA-256 as r and s of 32 bytes each (RFC 7518 section 3.4).
    pub fn verify_fixed(
        &self,
        message: &[u8],
        signature: &[u8; 64],
        verifier: &dyn Verifier,
    ) -> Result<(), BadSignature> {
        verifier.p256_fixed(&self.point, message, signature)
    }

    /// The key as a JWK.
    pub fn to_jwk(self) -> Jwk {
        let [_, coordinates @ ..] = self.point;
        let (x, y) = coordinates.split_at(32);
        Jwk { kty: "EC".into(), crv: "P-256".into(), x: base64url::encode(x), y: base64url::encode(y) }
    }
}

/// A P-256 public key as a JWK (RFC 7518 section 6.2.1) with exactly the required members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jwk {
    kty: String,
    crv: String,
    x: String,
    y: String,
}

impl Jwk {
    /// Checks the JWK and returns its key.
    pub fn to_key(&self, verifier: &dyn Verifier) -> Result<P256PublicKey, P256KeyError> {
        if self.kty != "EC" || self.crv != "P-256" {
            return Err(P256KeyError::NotP256);
        }
        let x: [u8; 32] = base64url::decode_array(&self.x).ok_or(P256KeyError::NotP256)?;
        let y: [u8; 32] = base64url::decode_array(&self.y).ok_or(P256KeyError::NotP256)?;
        let point = [&[UNCOMPRESSED], x.as_slice(), y.as_slice()].concat();
        P256PublicKey::from_point(point.try_into().map_err(|_| P256KeyError::NotP256)?, verifier)
    }
}

#[cfg(feature = "aws-lc")]
#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
    };

    use super::*;
    use crate::AwsLc;

    fn point() -> [u8; 65] {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        pair.public_key().as_ref().try_into().unwrap()
    }

    fn read(spki: &[u8]) -> Result<P256PublicKey, P256KeyError> {
        P256PublicKey::from_spki_der(spki, &AwsLc)
    }

    #[test]
    fn a_key_round_trips_through_spki_and_jwk() {
        let key = P256PublicKey::from_point(point(), &AwsLc).unwrap();
        assert_eq!(read(&key.to_spki_der()), Ok(key));
        assert_eq!(key.to_jwk().to_key(&AwsLc), Ok(key));
    }

    #[test]
    fn a_point_off_the_curve_is_refused() {
        let mut off = point();
        off[64] ^= 1;
        assert_eq!(P256PublicKey::from_point(off, &AwsLc), Err(P256KeyError::NotOnCurve));
        let spki = [SPKI_PREFIX.as_slice(), &off].concat();
        assert_eq!(read(&spki), Err(P256KeyError::NotOnCurve));
        let mut zero = [0; 65];
        zero[0] = UNCOMPRESSED;
        assert_eq!(P256PublicKey::from_point(zero, &AwsLc), Err(P256KeyError::NotOnCurve));
    }

    #[test]
    fn other_curves_and_leftover_bytes_are_refused() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap();
        let p384: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        assert_eq!(read(p384.as_ref()), Err(P256KeyError::NotP256));
        let mut spki = P256PublicKey::from_point(point(), &AwsLc).unwrap().to_spki_der();
        spki.push(0);
        assert_eq!(read(&spki), Err(P256KeyError::NotP256));
    }
}
