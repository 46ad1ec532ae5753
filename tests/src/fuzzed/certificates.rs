//! Certificates, and the leaves of the key log.

use std::sync::OnceLock;

use parlour_envelope::AwsLc;
use parlour_keylog::{
    AccountCertificate, CERTIFICATE_BYTES, DeviceCertificate, LEAF_BYTES, Leaf, RootCertificate,
    ServerCertificate, certificate_hash, device_id, leaf_hash,
};

/// A root and certificates of an old TTP whose keys no longer exist.
const ROOT: &[u8] = include_bytes!("../../../fuzz/seeds/certificate/root");
const ISSUED: [&[u8]; 3] = [
    include_bytes!("../../../fuzz/seeds/certificate/device"),
    include_bytes!("../../../fuzz/seeds/certificate/account"),
    include_bytes!("../../../fuzz/seeds/certificate/server"),
];

/// A certificate in DER: it has at most one profile, its bytes are kept, and only certificates issued by the root
/// verify against it.
pub fn certificate(bytes: &[u8]) {
    let device = DeviceCertificate::from_der(bytes);
    let account = AccountCertificate::from_der(bytes);
    let server = ServerCertificate::from_der(bytes);
    let root = RootCertificate::from_der(bytes, &AwsLc);
    let profiles = [device.is_ok(), account.is_ok(), server.is_ok(), root.is_ok()];
    let fits = profiles.into_iter().filter(|fits| *fits).count();
    assert!(fits <= 1, "{profiles:?}");
    assert!(fits == 0 || bytes.len() <= CERTIFICATE_BYTES);
    if let Ok(device) = device {
        assert_eq!(device.der(), bytes);
        assert_eq!(*device.device(), device_id(device.spki_der()));
        check_issuer(bytes, device.verify(issuer(), device.not_before()).is_ok());
    }
    if let Ok(account) = account {
        assert_eq!(account.der(), bytes);
        check_issuer(bytes, account.verify(issuer(), account.not_before()).is_ok());
    }
    if let Ok(server) = server {
        assert_eq!(server.der(), bytes);
        assert!(!server.hosts().is_empty());
        check_issuer(bytes, server.verify(issuer(), server.not_before()).is_ok());
    }
    if let Ok(root) = root {
        assert_eq!(root.der(), bytes);
    }
}

fn issuer() -> &'static RootCertificate {
    static ISSUER: OnceLock<RootCertificate> = OnceLock::new();
    ISSUER.get_or_init(|| {
        RootCertificate::from_der(ROOT, &AwsLc).unwrap_or_else(|_| unreachable!("it is a root"))
    })
}

/// The holder of the root's key could sign more, and each signature has a second valid value; a fuzzer finds
/// neither.
fn check_issuer(bytes: &[u8], verified: bool) {
    assert_eq!(verified, ISSUED.contains(&bytes), "a forged certificate, or a good one that is refused");
}

/// A leaf of the key log: each act has one spelling and one hash.
pub fn leaf(bytes: &[u8]) {
    let Ok(leaf) = Leaf::decode(bytes) else { return };
    assert!(bytes.len() <= LEAF_BYTES);
    assert_eq!(leaf.encode(), bytes);
    assert_eq!(leaf.hash(), leaf_hash(bytes));
    assert_ne!(leaf.hash(), certificate_hash(bytes));
    assert_eq!(Leaf::decode(&leaf.encode()), Ok(leaf));
}
