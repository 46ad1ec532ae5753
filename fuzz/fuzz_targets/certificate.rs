//! Certificates and leaves of the key log.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parlour_keylog::{AccountCertificate, DeviceCertificate, Leaf, RootCertificate};

fuzz_target!(|bytes: &[u8]| {
    let _ = DeviceCertificate::from_der(bytes);
    let _ = AccountCertificate::from_der(bytes);
    let _ = RootCertificate::from_der(bytes);
    if let Ok(leaf) = Leaf::decode(bytes) {
        assert_eq!(leaf.encode(), bytes);
    }
});
