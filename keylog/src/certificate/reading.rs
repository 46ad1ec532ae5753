//! Parses a DER certificate strictly, and checks it against a root.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use parlour_envelope::Verifier;
use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::nom::Parser as _;
use x509_parser::oid_registry::{
    OID_SIG_ECDSA_WITH_SHA256, OID_X509_COMMON_NAME, OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER,
    OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_EXTENDED_KEY_USAGE, OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_SUBJECT_ALT_NAME, OID_X509_EXT_SUBJECT_KEY_IDENTIFIER, Oid,
};
use x509_parser::x509::{X509Name, X509Version};

use super::{CertificateError, RootCertificate};

/// The longest certificate that is read, in bytes of DER. Ours have 400 to 800.
pub const CERTIFICATE_BYTES: usize = 4_096;

/// `basicConstraints` of a certificate that may not issue others.
const NO_AUTHORITY: &[u8] = &[0x30, 0x00];

/// The algorithm's name as it stands before a signature (RFC 5758, 3.2).
const ECDSA_WITH_SHA256: &[u8] = &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

/// The parts of a certificate that a profile checks. The extensions' contents are compared as bytes, because DER
/// has exactly one encoding of a value.
pub(super) struct Reading<'a>(X509Certificate<'a>);

impl<'a> Reading<'a> {
    /// Reads one certificate: version 3, ECDSA with SHA-256, no extension twice, no unknown critical extension,
    /// nothing after it.
    pub(super) fn new(der: &'a [u8]) -> Result<Self, CertificateError> {
        if der.len() > CERTIFICATE_BYTES {
            return Err(CertificateError::TooLong);
        }
        let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
        let Ok(([], certificate)) = parser.parse(der) else {
            return Err(CertificateError::Malformed);
        };
        if certificate.version() != X509Version::V3 {
            return Err(CertificateError::Version);
        }
        // The outer name of the algorithm is not signed, so it must equal the inner one.
        let algorithm = &certificate.signature_algorithm;
        if *algorithm != certificate.tbs_certificate.signature
            || algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA256
            || algorithm.parameters.is_some()
        {
            return Err(CertificateError::Algorithm);
        }
        if !wrapper_is_canonical(der, &certificate) {
            return Err(CertificateError::Malformed);
        }
        check_extensions(&certificate)?;
        Ok(Self(certificate))
    }

    /// The content of an extension.
    fn extension(&self, oid: &Oid<'_>) -> Option<&'a [u8]> {
        let mut extensions = self.0.extensions().iter();
        extensions.find(|extension| extension.oid == *oid).map(|extension| extension.value)
    }

    /// The subject, which must be one common name and nothing else.
    pub(super) fn common_name(&self) -> Result<&str, CertificateError> {
        let mut attributes = self.0.subject().iter_attributes();
        let (Some(attribute), None) = (attributes.next(), attributes.next()) else {
            return Err(CertificateError::Subject);
        };
        if *attribute.attr_type() != OID_X509_COMMON_NAME {
            return Err(CertificateError::Subject);
        }
        attribute.as_str().map_err(|_| CertificateError::Subject)
    }

    pub(super) fn subject(&self) -> &X509Name<'_> {
        self.0.subject()
    }

    pub(super) fn spki(&self) -> &'a [u8] {
        self.0.tbs_certificate.subject_pki.raw
    }

    /// Unix seconds.
    pub(super) fn not_before(&self) -> i64 {
        self.0.validity().not_before.timestamp()
    }

    /// Unix seconds; the certificate is valid in this second too.
    pub(super) fn not_after(&self) -> i64 {
        self.0.validity().not_after.timestamp()
    }

    /// The serial number in lower-case hexadecimal, without the zero byte that DER puts before a
    /// number that would look negative.
    pub(super) fn serial(&self) -> String {
        let raw = match self.0.raw_serial() {
            [0, rest @ ..] if !rest.is_empty() => rest,
            raw => raw,
        };
        raw.iter().fold(String::new(), |mut digits, byte| {
            // Writing into a String cannot fail.
            let _ = write!(digits, "{byte:02x}");
            digits
        })
    }

    pub(super) fn basic_constraints(&self) -> Option<&'a [u8]> {
        self.extension(&OID_X509_EXT_BASIC_CONSTRAINTS)
    }

    pub(super) fn key_usage(&self) -> Option<&'a [u8]> {
        self.extension(&OID_X509_EXT_KEY_USAGE)
    }

    pub(super) fn extended_key_usage(&self) -> Option<&'a [u8]> {
        self.extension(&OID_X509_EXT_EXTENDED_KEY_USAGE)
    }

    pub(super) fn alternative_name(&self) -> Option<&'a [u8]> {
        self.extension(&OID_X509_EXT_SUBJECT_ALT_NAME)
    }

    /// Refuses a certificate that may issue others, or does not say clearly that it may not.
    pub(super) fn check_no_authority(&self) -> Result<(), CertificateError> {
        if self.basic_constraints() == Some(NO_AUTHORITY) {
            Ok(())
        } else {
            Err(CertificateError::BasicConstraints)
        }
    }

    /// Checks the signature with the key at this point.
    pub(super) fn check_signature(
        &self,
        point: &[u8; 65],
        verifier: &dyn Verifier,
    ) -> Result<(), CertificateError> {
        let (message, signature) = self.signed();
        verifier.p256_asn1(point, message, signature).map_err(|_| CertificateError::Signature)
    }

    /// The signed part, and the signature.
    fn signed(&self) -> (&[u8], &[u8]) {
        (self.0.tbs_certificate.as_ref(), &self.0.signature_value.data)
    }

    /// Checks that the root issued this.
    fn check_issuer(&self, root: &RootCertificate) -> Result<(), CertificateError> {
        if self.0.issuer().as_raw() != Reading::new(root.der())?.subject().as_raw() {
            return Err(CertificateError::Issuer);
        }
        let (message, signature) = self.signed();
        root.check_signature(message, signature)
    }

    /// Returns true if this certificate names itself as its issuer.
    pub(super) fn is_self_issued(&self) -> bool {
        self.0.issuer().as_raw() == self.0.subject().as_raw()
    }
}

/// Verifies the certificate `der` against the root at `at`, in Unix seconds. Its profile was checked before.
pub(super) fn verify(der: &[u8], root: &RootCertificate, at: i64) -> Result<(), CertificateError> {
    let reading = Reading::new(der)?;
    reading.check_issuer(root)?;
    check_time(reading.not_before()..=reading.not_after(), root, at)
}

/// Checks that the root issued the certificate `der`. Its profile was checked before.
pub(super) fn check_issuer(der: &[u8], root: &RootCertificate) -> Result<(), CertificateError> {
    Reading::new(der)?.check_issuer(root)
}

/// Checks that a certificate that is `valid` in these seconds and its root are both valid at `at`, in Unix
/// seconds.
pub(super) fn check_time(
    valid: RangeInclusive<i64>,
    root: &RootCertificate,
    at: i64,
) -> Result<(), CertificateError> {
    if at < *valid.start() {
        return Err(CertificateError::NotYetValid);
    }
    if at > *valid.end() {
        return Err(CertificateError::Expired);
    }
    if at < root.not_before() || at > root.not_after() {
        return Err(CertificateError::RootNotValid);
    }
    Ok(())
}

/// Returns true if the encoding around the signed part is canonical DER. The parser is lenient there and the
/// signature does not cover it, but a certificate must not have several spellings.
fn wrapper_is_canonical(der: &[u8], certificate: &X509Certificate<'_>) -> bool {
    let signature = &certificate.signature_value.data;
    let Ok(signature_length @ 0..=0x7f) = u8::try_from(signature.len() + 1) else {
        return false;
    };
    let body =
        [certificate.tbs_certificate.as_ref(), ECDSA_WITH_SHA256, &[0x03, signature_length, 0x00], signature]
            .concat();
    // Every certificate with a P-256 signature is this long.
    let Ok(length @ 0x100..) = u16::try_from(body.len()) else {
        return false;
    };
    let rest = der.strip_prefix(&[0x30, 0x82]).and_then(|rest| rest.strip_prefix(&length.to_be_bytes()));
    rest == Some(body.as_slice())
}

fn check_extensions(certificate: &X509Certificate<'_>) -> Result<(), CertificateError> {
    let mut seen: Vec<&Oid<'_>> = Vec::new();
    for extension in certificate.extensions() {
        if seen.contains(&&extension.oid) {
            return Err(CertificateError::RepeatedExtension(extension.oid.to_id_string()));
        }
        seen.push(&extension.oid);
        if extension.critical && !is_known(&extension.oid) {
            return Err(CertificateError::UnknownCriticalExtension(extension.oid.to_id_string()));
        }
    }
    Ok(())
}

fn is_known(oid: &Oid<'_>) -> bool {
    [
        OID_X509_EXT_BASIC_CONSTRAINTS,
        OID_X509_EXT_KEY_USAGE,
        OID_X509_EXT_EXTENDED_KEY_USAGE,
        OID_X509_EXT_SUBJECT_ALT_NAME,
        OID_X509_EXT_SUBJECT_KEY_IDENTIFIER,
        OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER,
    ]
    .contains(oid)
}
