//! The profile of the certificate of the log's key.

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};

use super::authority::{Authority, MOMENT, device_key, log_key, log_params, uri};
use crate::certificate::{CertificateError, LogCertificate};

fn log_with(change: impl FnOnce(&mut CertificateParams)) -> Result<LogCertificate, CertificateError> {
    let mut params = log_params();
    change(&mut params);
    LogCertificate::from_der(&Authority::new().issue(&params, &log_key()))
}

#[test]
fn a_log_certificate_of_the_profile_is_read_and_verifies() {
    let (authority, key) = (Authority::new(), log_key());
    let certificate = LogCertificate::from_der(&authority.issue(&log_params(), &key)).unwrap();
    assert_eq!(certificate.public_key().as_slice(), key.public_key_raw());
    assert_eq!((certificate.not_before(), certificate.not_after()), (MOMENT - 300, MOMENT + 630_720_000));
    assert_eq!(certificate.verify(&authority.root(), MOMENT), Ok(()));
    assert_eq!(certificate.verify(&authority.root(), MOMENT - 301), Err(CertificateError::NotYetValid));
    assert_eq!(certificate.verify(&Authority::new().root(), MOMENT), Err(CertificateError::Signature));
}

#[test]
fn a_log_certificate_that_leaves_its_profile_is_refused() {
    type Change = fn(&mut CertificateParams);
    let changes: [(Change, CertificateError); 7] = [
        (|params| params.distinguished_name.push(DnType::CommonName, "sam"), CertificateError::CommonName),
        (|params| params.distinguished_name.push(DnType::OrganizationName, "x"), CertificateError::Subject),
        (
            |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            CertificateError::BasicConstraints,
        ),
        (|params| params.is_ca = IsCa::NoCa, CertificateError::BasicConstraints),
        (|params| params.key_usages.push(KeyUsagePurpose::CrlSign), CertificateError::KeyUsage),
        (
            |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
            CertificateError::ExtendedKeyUsage,
        ),
        (|params| params.subject_alt_names = vec![uri("parlour:log")], CertificateError::AlternativeName),
    ];
    for (change, error) in changes {
        assert_eq!(log_with(change).unwrap_err(), error);
    }
    let other_key = LogCertificate::from_der(&Authority::new().issue(&log_params(), &device_key()));
    assert_eq!(other_key.unwrap_err(), CertificateError::PublicKey);
}
