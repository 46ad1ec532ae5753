//! Signed envelopes: compact JWS (RFC 7515 section 7.1) with ES256 (RFC 7518 section 3.4).

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::base64url;
use crate::device_key::DeviceKey;
use crate::p256::P256PublicKey;
use crate::private_key::KeyFailure;
use crate::strict_json;

/// Why a text is not a JWS that we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Not three parts of canonical base64url, or the signature has not 64 bytes.
    #[error("not a compact JWS")]
    Malformed,
    /// The header has not exactly the members that it must have, or one of them another value.
    #[error("the JWS header is not the expected one")]
    Header,
    /// The signature does not fit the key and the text.
    #[error("the JWS signature does not fit")]
    Signature,
}

/// The header member `alg` with its one value, `ES256`.
pub(crate) struct Es256;

const ES256: &str = "ES256";

impl Serialize for Es256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(ES256)
    }
}

impl<'de> Deserialize<'de> for Es256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if String::deserialize(deserializer)? == ES256 {
            Ok(Self)
        } else {
            Err(D::Error::custom("another algorithm than ES256"))
        }
    }
}

/// Signs: the header as JSON, the payload as it is. Gives the compact form.
pub(crate) fn sign(
    key: &DeviceKey,
    header: &impl Serialize,
    payload: &[u8],
) -> Result<Zeroizing<String>, KeyFailure> {
    let header = serde_json::to_vec(header).map_err(|_| KeyFailure::Sign)?;
    let mut jws = Zeroizing::new(String::with_capacity((header.len() + payload.len()) * 4 / 3 + 96));
    jws.push_str(&base64url::encode(header));
    jws.push('.');
    jws.push_str(&Zeroizing::new(base64url::encode(payload)));
    let signature = key.sign_fixed(jws.as_bytes())?;
    jws.push('.');
    jws.push_str(&base64url::encode(signature));
    Ok(jws)
}

/// A compact JWS taken apart; nothing in it is proven before [`CompactJws::verify`].
pub(crate) struct CompactJws<'a> {
    signing_input: &'a str,
    header: Vec<u8>,
    payload: Zeroizing<Vec<u8>>,
    signature: [u8; 64],
}

impl<'a> CompactJws<'a> {
    pub(crate) fn parse(compact: &'a str) -> Result<Self, JwsError> {
        let (signing_input, signature) = compact.rsplit_once('.').ok_or(JwsError::Malformed)?;
        // A dot too many stays in one of the parts, where base64url does not take it.
        let (header, payload) = signing_input.split_once('.').ok_or(JwsError::Malformed)?;
        Ok(Self {
            signing_input,
            header: base64url::decode(header).ok_or(JwsError::Malformed)?,
            payload: Zeroizing::new(base64url::decode(payload).ok_or(JwsError::Malformed)?),
            signature: base64url::decode_array(signature).ok_or(JwsError::Malformed)?,
        })
    }

    /// Reads the header as an object with exactly the members of `T`, which must name [`Es256`]
    /// and deny unknown fields: so `crit` (RFC 7515 section 4.1.11) and all else is refused.
    pub(crate) fn header<T: DeserializeOwned>(&self) -> Result<T, JwsError> {
        strict_json::from_object(&self.header).ok_or(JwsError::Header)
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The bytes that are signed: header and payload as sent, with the dot between them.
    pub(crate) fn signing_input(&self) -> &'a str {
        self.signing_input
    }

    pub(crate) fn verify(&self, key: &P256PublicKey) -> Result<(), JwsError> {
        key.verify_fixed(self.signing_input.as_bytes(), &self.signature).map_err(|_| JwsError::Signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_people::{erik, sam};
    use proptest::prelude::*;

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Header {
        alg: Es256,
    }

    fn header_of(json: &str) -> Result<Header, JwsError> {
        let compact = format!("{}.{}.{}", base64url::encode(json), "", base64url::encode([0; 64]));
        CompactJws::parse(&compact).unwrap().header()
    }

    #[test]
    fn a_signed_text_verifies_with_the_signer_s_key_only() {
        let compact = sign(&sam().device, &Header { alg: Es256 }, b"hello").unwrap();
        let jws = CompactJws::parse(&compact).unwrap();
        assert!(jws.header::<Header>().is_ok());
        assert_eq!(jws.payload(), b"hello");
        assert_eq!(jws.verify(sam().device.public()), Ok(()));
        assert_eq!(jws.verify(erik().device.public()), Err(JwsError::Signature));
    }

    #[test]
    fn only_exactly_the_expected_header_is_taken() {
        assert!(header_of(r#" { "alg" : "ES256" } "#).is_ok());
        for other in [
            "{}",
            r#"["ES256"]"#,
            r#"{"alg":"none"}"#,
            r#"{"alg":"es256"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":{"ES256":null}}"#,
            r#"{"alg":"ES256","alg":"ES256"}"#,
            r#"{"alg":"ES256","crit":[]}"#,
            r#"{"alg":"ES256","crit":["b64"],"b64":false}"#,
            r#"{"alg":"ES256","kid":"x"}"#,
        ] {
            assert_eq!(header_of(other).err(), Some(JwsError::Header), "{other}");
        }
    }

    #[test]
    fn other_spellings_of_the_same_text_are_refused() {
        let compact = sign(&sam().device, &Header { alg: Es256 }, b"hello").unwrap();
        let (rest, signature) = compact.rsplit_once('.').unwrap();
        let der = sam().device.sign_asn1(rest.as_bytes()).unwrap();
        for other in [
            format!("{}.", *compact),
            format!(".{}", *compact),
            format!("{rest}..{signature}"),
            format!("{rest}.{signature}=="),
            format!("{rest}.{signature} "),
            format!("{rest}.{}", base64url::encode(der)),
            rest.to_owned(),
            String::new(),
        ] {
            assert_eq!(CompactJws::parse(&other).err(), Some(JwsError::Malformed), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_character_can_be_changed(at in any::<prop::sample::Index>(), to in "[-_.A-Za-z0-9=]") {
            static COMPACT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
            let compact = COMPACT.get_or_init(|| {
                sign(&sam().device, &Header { alg: Es256 }, b"hello").unwrap().as_str().to_owned()
            });
            let at = at.index(compact.len());
            let mut altered = compact.clone();
            altered.replace_range(at..=at, &to);
            prop_assume!(altered != *compact);
            let taken = CompactJws::parse(&altered).is_ok_and(|jws| jws.verify(sam().device.public()).is_ok());
            prop_assert!(!taken);
        }
    }
}
