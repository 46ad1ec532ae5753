//! The profile of a server's certificate.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, PublicKeyData as _, SanType};

use super::authority::{Authority, MOMENT, device_key, device_params, uri};
use crate::certificate::{CertificateError, ServerCertificate};

#[test]
fn a_server_certificate_follows_its_profile() {
    let authority = Authority::new();
    let key = device_key();
    let read = |change: fn(&mut CertificateParams)| {
        let mut params = device_params("localhost", &key);
        params.subject_alt_names = vec![
            SanType::DnsName("localhost".try_into().unwrap()),
            SanType::IpAddress([127, 0, 0, 1].into()),
        ];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        ServerCertificate::from_der(&authority.issue(&params, &key))
    };
    let certificate = read(|_| ()).unwrap();
    let hosts: Vec<String> = certificate.hosts().iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["localhost", "127.0.0.1"]);
    assert_eq!(certificate.spki_der(), key.subject_public_key_info());
    assert_eq!(certificate.verify(&authority.root(), MOMENT), Ok(()));
    for (error, change) in [
        (CertificateError::AlternativeName, (|p| p.subject_alt_names.clear()) as fn(&mut CertificateParams)),
        (CertificateError::AlternativeName, |p| p.subject_alt_names.push(uri("parlour:sam"))),
        (CertificateError::ExtendedKeyUsage, |p| {
            p.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }),
        (CertificateError::KeyUsage, |p| p.key_usages.push(KeyUsagePurpose::KeyCertSign)),
        (CertificateError::BasicConstraints, |p| p.is_ca = IsCa::NoCa),
    ] {
        assert_eq!(read(change), Err(error));
    }
}
