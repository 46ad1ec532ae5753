//! Signing: compact JWS (RFC 7515 section 7.1) with ES256 (RFC 7518 section 3.4).

use parlour_envelope::base64url;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::device_key::DeviceKey;
use crate::private_key::KeyFailure;

/// Signs the JSON of the header and the payload as it is. Returns the compact form.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_people::{erik, sam};
    use parlour_envelope::AwsLc;
    use parlour_envelope::jws::{CompactJws, Es256, JwsError};
    use proptest::prelude::*;
    use serde::Deserialize;

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
    fn a_signed_text_verifies_with_the_signers_key_only() {
        let compact = sign(&sam().device, &Header { alg: Es256 }, b"hello").unwrap();
        let jws = CompactJws::parse(&compact).unwrap();
        assert!(jws.header::<Header>().is_ok());
        assert_eq!(jws.payload(), b"hello");
        assert_eq!(jws.verify(sam().device.public(), &AwsLc), Ok(()));
        assert_eq!(jws.verify(erik().device.public(), &AwsLc), Err(JwsError::Signature));
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
            let taken = CompactJws::parse(&altered).is_ok_and(|jws| jws.verify(sam().device.public(), &AwsLc).is_ok());
            prop_assert!(!taken);
        }
    }
}
