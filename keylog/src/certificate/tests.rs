//! Each rule of the profiles of root, devices and accounts, broken by itself.

pub(crate) mod authority;
mod log;
mod server;

use authority::{Authority, MOMENT, account_params, device_key, device_params, raw_rsa, rsa_key, uri};
use parlour_envelope::AwsLc;
use proptest::prelude::*;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, SanType,
};

use super::{AccountCertificate, CertificateError, DeviceCertificate, RootCertificate, device_id};

const COMMON_NAME: [u64; 4] = [2, 5, 4, 3];

/// A device certificate for sam with one change.
fn device_with(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let key = device_key();
    let mut params = device_params("sam", &key);
    change(&mut params);
    Authority::new().issue(&params, &key)
}

fn account_with(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = account_params("sam");
    change(&mut params);
    Authority::new().issue(&params, rsa_key())
}

fn refused_device(change: impl FnOnce(&mut CertificateParams)) -> CertificateError {
    DeviceCertificate::from_der(&device_with(change)).unwrap_err()
}

fn refused_account(change: impl FnOnce(&mut CertificateParams)) -> CertificateError {
    AccountCertificate::from_der(&account_with(change)).unwrap_err()
}

fn refused_root(change: impl FnOnce(&mut CertificateParams)) -> CertificateError {
    RootCertificate::from_der(&Authority::with(change).der, &AwsLc).unwrap_err()
}

#[test]
fn a_device_certificate_of_the_profile_is_read_and_verifies() {
    let authority = Authority::new();
    let key = device_key();
    let der = authority.issue(&device_params("sam", &key), &key);
    let certificate = DeviceCertificate::from_der(&der).unwrap();
    assert_eq!(certificate.user().as_str(), "sam");
    assert_eq!(certificate.device(), &device_id(&key.subject_public_key_info()));
    assert_eq!(certificate.spki_der(), key.subject_public_key_info());
    assert_eq!(certificate.public_point().as_slice(), key.public_key_raw());
    assert_eq!((certificate.not_before(), certificate.not_after()), (MOMENT - 300, MOMENT + 604_800));
    assert_eq!(certificate.serial(), "80a1");
    assert_eq!(certificate.der(), der);
    assert_eq!(certificate.verify(&authority.root(), MOMENT), Ok(()));
}

#[test]
fn an_account_certificate_of_the_profile_is_read_and_verifies() {
    let authority = Authority::new();
    let der = authority.issue(&account_params("sam"), rsa_key());
    let certificate = AccountCertificate::from_der(&der).unwrap();
    assert_eq!(certificate.user().as_str(), "sam");
    assert_eq!(certificate.spki_der(), rsa_key().subject_public_key_info());
    assert_eq!(certificate.verify(&authority.root(), MOMENT), Ok(()));
}

#[test]
fn a_root_is_read_from_der_and_pem_and_has_a_fingerprint() {
    let authority = Authority::new();
    let root = authority.root();
    assert_eq!(root.der(), authority.der);
    assert_eq!(root.common_name(), "Parlour root");
    assert_eq!(RootCertificate::from_pem(&format!("a comment\n{}", authority.pem), &AwsLc), Ok(root.clone()));
    assert_eq!(root.fingerprint().to_string().len(), 64);
    for bad in [
        String::new(),
        format!("{0}{0}", authority.pem),
        authority.pem.replace("CERTIFICATE", "PRIVATE KEY"),
        authority.pem.replace("END", "ENT"),
    ] {
        assert_eq!(RootCertificate::from_pem(&bad, &AwsLc), Err(CertificateError::Pem), "{bad}");
    }
    assert_eq!(RootCertificate::from_pem(&" ".repeat(20_000), &AwsLc), Err(CertificateError::TooLong));
}

#[test]
fn the_validity_holds_to_the_second() {
    let authority = Authority::new();
    let key = device_key();
    let certificate =
        DeviceCertificate::from_der(&authority.issue(&device_params("sam", &key), &key)).unwrap();
    let verify = |at| certificate.verify(&authority.root(), at);
    assert_eq!(verify(MOMENT - 301), Err(CertificateError::NotYetValid));
    assert_eq!(verify(MOMENT - 300), Ok(()));
    assert_eq!(verify(MOMENT + 604_800), Ok(()));
    assert_eq!(verify(MOMENT + 604_801), Err(CertificateError::Expired));
}

#[test]
fn a_leaf_does_not_outlive_its_root() {
    let authority = Authority::with(|root| root.not_after = authority::moment(MOMENT + 10));
    let der = authority.issue(&account_params("sam"), rsa_key());
    let certificate = AccountCertificate::from_der(&der).unwrap();
    assert_eq!(certificate.verify(&authority.root(), MOMENT + 10), Ok(()));
    assert_eq!(certificate.verify(&authority.root(), MOMENT + 11), Err(CertificateError::RootNotValid));
}

#[test]
fn another_authority_is_refused_also_under_the_same_name() {
    let (ours, same_name) = (Authority::new(), Authority::new());
    let other_name = Authority::with(|root| root.distinguished_name.push(DnType::CommonName, "Mallory"));
    let key = device_key();
    let certificate = DeviceCertificate::from_der(&ours.issue(&device_params("sam", &key), &key)).unwrap();
    assert_eq!(certificate.verify(&same_name.root(), MOMENT), Err(CertificateError::Signature));
    assert_eq!(certificate.verify(&other_name.root(), MOMENT), Err(CertificateError::Issuer));
}

#[test]
fn a_device_certificate_cannot_issue_another() {
    let authority = Authority::new();
    let (sam, erik) = (device_key(), device_key());
    let params = device_params("sam", &sam);
    let der = authority.issue_by(&params, &sam, &device_params("erik", &erik));
    let certificate = DeviceCertificate::from_der(&der).unwrap();
    assert_eq!(certificate.verify(&authority.root(), MOMENT), Err(CertificateError::Issuer));
    // Calling it a root does not make it one either.
    let leaf = authority.issue(&device_params("erik", &erik), &erik);
    assert_eq!(RootCertificate::from_der(&leaf, &AwsLc), Err(CertificateError::BasicConstraints));
}

#[test]
fn the_subject_is_one_common_name_that_is_a_users_name() {
    for (error, change) in [
        (
            CertificateError::UserName,
            (|p| p.distinguished_name.push(DnType::CommonName, "Sam")) as fn(&mut CertificateParams),
        ),
        (CertificateError::Subject, |p| {
            p.distinguished_name.push(DnType::OrganizationName, "sam");
        }),
        (CertificateError::Subject, |p| {
            p.distinguished_name.push(DnType::CustomDnType(COMMON_NAME.to_vec()), "erik");
        }),
        (CertificateError::Subject, |p| {
            p.distinguished_name.remove(DnType::CommonName);
        }),
        (CertificateError::Subject, |p| {
            p.distinguished_name.remove(DnType::CommonName);
            p.distinguished_name.push(DnType::OrganizationName, "sam");
        }),
    ] {
        assert_eq!(refused_device(change), error);
        assert_eq!(refused_account(change), error);
    }
}

#[test]
fn the_alternative_name_is_one_uri_of_the_same_name() {
    let key = device_key();
    let id = device_id(&key.subject_public_key_info());
    let refused = |names: Vec<SanType>| {
        let mut params = device_params("sam", &key);
        params.subject_alt_names = names;
        DeviceCertificate::from_der(&Authority::new().issue(&params, &key)).unwrap_err()
    };
    let good = || uri(&format!("parlour:sam/{id}"));
    let dns = SanType::DnsName("sam".try_into().unwrap());
    let text = Ia5String::try_from(format!("parlour:sam/{id}")).unwrap();
    for names in [
        vec![],
        vec![good(), good()],
        vec![good(), dns.clone()],
        vec![dns, good()],
        vec![SanType::Rfc822Name(text.clone())],
        vec![SanType::DnsName(text)],
        vec![uri(&format!("PARLOUR:sam/{id}"))],
        vec![uri(&format!("parlour:sam/{id}/"))],
        vec![uri(&format!("parlour:/{id}"))],
        vec![uri("parlour:sam/")],
        vec![uri("parlour:sam")],
        vec![uri(&format!("parlour:sam%00/{id}"))],
        vec![uri(&format!("parlour:sam/{id}{}", "x".repeat(200)))],
    ] {
        assert_eq!(refused(names.clone()), CertificateError::AlternativeName, "{names:?}");
    }
    assert_eq!(refused(vec![uri(&format!("parlour:erik/{id}"))]), CertificateError::NameMismatch);
    assert_eq!(refused(vec![uri("parlour:sam/0123456789abcdef")]), CertificateError::DeviceMismatch);
    assert_eq!(
        refused_account(|p| p.subject_alt_names = vec![uri("parlour:sam")]),
        CertificateError::AlternativeName
    );
}

#[test]
fn the_key_usages_are_exactly_the_profiles() {
    use KeyUsagePurpose::{DigitalSignature, KeyAgreement, KeyCertSign, KeyEncipherment};
    for usages in [vec![], vec![DigitalSignature, KeyEncipherment], vec![DigitalSignature, KeyCertSign]] {
        let (for_device, for_account) = (usages.clone(), usages);
        assert_eq!(refused_device(|p| p.key_usages = for_device), CertificateError::KeyUsage);
        assert_eq!(refused_account(|p| p.key_usages = for_account), CertificateError::KeyUsage);
    }
    assert_eq!(refused_device(|p| p.key_usages = vec![KeyEncipherment]), CertificateError::KeyUsage);
    assert_eq!(refused_account(|p| p.key_usages = vec![KeyAgreement]), CertificateError::KeyUsage);
}

#[test]
fn the_extended_key_usage_is_exactly_the_profiles() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};
    for usages in
        [vec![], vec![ServerAuth], vec![ClientAuth, ServerAuth], vec![Any], vec![ClientAuth, ClientAuth]]
    {
        assert_eq!(refused_device(|p| p.extended_key_usages = usages), CertificateError::ExtendedKeyUsage);
    }
    for usage in [ClientAuth, ServerAuth, Any] {
        assert_eq!(
            refused_account(|p| p.extended_key_usages = vec![usage]),
            CertificateError::ExtendedKeyUsage
        );
    }
}

#[test]
fn a_leaf_says_that_it_is_no_authority() {
    for is_ca in
        [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained), IsCa::Ca(BasicConstraints::Constrained(0))]
    {
        assert_eq!(refused_device(|p| p.is_ca = is_ca), CertificateError::BasicConstraints);
        assert_eq!(refused_account(|p| p.is_ca = is_ca), CertificateError::BasicConstraints);
    }
}

#[test]
fn unknown_critical_extensions_are_refused_and_uncritical_ones_are_not() {
    let extension = |critical| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(critical);
        move |p: &mut CertificateParams| p.custom_extensions.push(extension)
    };
    let error = CertificateError::UnknownCriticalExtension("1.2.3.4".into());
    assert_eq!(refused_device(extension(true)), error);
    assert_eq!(refused_account(extension(true)), error);
    assert_eq!(refused_root(extension(true)), error);
    assert!(DeviceCertificate::from_der(&device_with(extension(false))).is_ok());
}

#[test]
fn no_extension_stands_twice() {
    // A lenient reader might take the second keyUsage for the first, or overlook it.
    let twice = |p: &mut CertificateParams| {
        p.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![3, 2, 7, 128]));
    };
    let error = CertificateError::RepeatedExtension("2.5.29.15".into());
    assert_eq!(refused_device(twice), error);
    assert_eq!(refused_account(twice), error);
    assert_eq!(refused_root(twice), error);
}

#[test]
fn the_keys_are_of_the_profiles_kind() {
    let authority = Authority::new();
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let der = authority.issue(&device_params("sam", &p384), &p384);
    assert_eq!(DeviceCertificate::from_der(&der), Err(CertificateError::PublicKey));
    let der = authority.issue(&device_params("sam", rsa_key()), rsa_key());
    assert_eq!(DeviceCertificate::from_der(&der), Err(CertificateError::PublicKey));

    let account = |key| AccountCertificate::from_der(&authority.issue(&account_params("sam"), &key));
    assert!(account(raw_rsa(384, 0x80, &[1, 0, 1])).is_ok());
    for (bytes, top, exponent) in [
        (256, 0x80, &[1, 0, 1][..]),
        (384, 0x40, &[1, 0, 1]),
        (383, 0x80, &[1, 0, 1]),
        (512, 0x80, &[1, 0, 1]),
        (384, 0x80, &[3]),
        (384, 0x80, &[1, 0, 3]),
    ] {
        assert_eq!(
            account(raw_rsa(bytes, top, exponent)),
            Err(CertificateError::PublicKey),
            "{bytes} {exponent:?}"
        );
    }
    let device = device_key();
    let der = authority.issue(&account_params("sam"), &device);
    assert_eq!(AccountCertificate::from_der(&der), Err(CertificateError::PublicKey));
}

#[test]
fn other_signature_algorithms_are_refused() {
    for algorithm in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        let authority = Authority::with_key(KeyPair::generate_for(algorithm).unwrap(), |_| {});
        let key = device_key();
        let der = authority.issue(&device_params("sam", &key), &key);
        assert_eq!(DeviceCertificate::from_der(&der), Err(CertificateError::Algorithm));
        assert_eq!(RootCertificate::from_der(&authority.der, &AwsLc), Err(CertificateError::Algorithm));
    }
}

#[test]
fn a_root_follows_its_profile() {
    use KeyUsagePurpose::{CrlSign, DigitalSignature};
    assert_eq!(refused_root(|p| p.is_ca = IsCa::NoCa), CertificateError::BasicConstraints);
    assert_eq!(refused_root(|p| p.is_ca = IsCa::ExplicitNoCa), CertificateError::BasicConstraints);
    assert_eq!(refused_root(|p| p.key_usages = vec![]), CertificateError::KeyUsage);
    assert_eq!(refused_root(|p| p.key_usages = vec![CrlSign, DigitalSignature]), CertificateError::KeyUsage);
    assert_eq!(
        refused_root(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]),
        CertificateError::ExtendedKeyUsage
    );
    assert_eq!(
        refused_root(|p| p.subject_alt_names = vec![uri("parlour:sam")]),
        CertificateError::AlternativeName
    );
    let free = Authority::with(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert!(RootCertificate::from_der(&free.der, &AwsLc).is_ok());
    // An authority certified by another one is not a root.
    let authority = Authority::new();
    let below = authority.issue(&authority::root_params("below"), &KeyPair::generate().unwrap());
    assert_eq!(RootCertificate::from_der(&below, &AwsLc), Err(CertificateError::Issuer));
    let forged = authority.issue(&authority::root_params("Parlour root"), &KeyPair::generate().unwrap());
    assert_eq!(RootCertificate::from_der(&forged, &AwsLc), Err(CertificateError::Signature));
}

#[test]
fn bytes_after_the_certificate_and_too_many_bytes_are_refused() {
    let mut der = device_with(|_| ());
    der.push(0);
    assert_eq!(DeviceCertificate::from_der(&der), Err(CertificateError::Malformed));
    assert_eq!(DeviceCertificate::from_der(&[0x30; 5_000]), Err(CertificateError::TooLong));
}

#[test]
fn no_changed_byte_goes_unnoticed() {
    let authority = Authority::new();
    let key = device_key();
    let der = authority.issue(&device_params("sam", &key), &key);
    for index in 0..der.len() {
        for bit in [0x01, 0x80] {
            let mut changed = der.clone();
            changed[index] ^= bit;
            let taken = DeviceCertificate::from_der(&changed)
                .and_then(|certificate| certificate.verify(&authority.root(), MOMENT));
            assert!(taken.is_err(), "byte {index}");
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        at in 0_usize..600,
    ) {
        let _ = DeviceCertificate::from_der(&bytes);
        let mut der = authority::sample().to_vec();
        let at = at % der.len();
        let end = (at + bytes.len()).min(der.len());
        der.splice(at..end, bytes);
        let _ = DeviceCertificate::from_der(&der);
        let _ = AccountCertificate::from_der(&der);
        let _ = RootCertificate::from_der(&der, &AwsLc);
    }

    #[test]
    fn any_name_and_id_but_the_right_ones_are_refused(name in "[a-z0-9][a-z0-9_-]{0,31}", id in "[0-9a-f]{16}") {
        let error = refused_device(|p| p.subject_alt_names = vec![uri(&format!("parlour:{name}/{id}"))]);
        let expected = if name == "sam" { CertificateError::DeviceMismatch } else { CertificateError::NameMismatch };
        prop_assert_eq!(error, expected);
    }
}
