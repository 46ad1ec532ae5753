//! Users' certificates, as OpenSSL sees them.

use std::fs;
use std::process::Command;

use crate::people::Person;
use crate::world::World;

#[test]
fn openssl_verifies_a_users_certificates() {
    if Command::new("openssl").arg("version").output().is_err() {
        return;
    }
    let world = World::new();
    let sam = Person::new();
    let issued = world.serve().enrol(&sam.enrolment("sam")).unwrap();
    fs::write(world.path("device.der"), &issued.device_certificate.0).unwrap();
    fs::write(world.path("account.der"), &issued.account_certificate.unwrap().0).unwrap();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(world.path("")).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let verify = |purpose: &str, file: &str| {
        let arguments = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", "keys/ttp/ca.crt", file];
        openssl(&arguments).0
    };
    assert!(verify("sslclient", "device.der"));
    assert!(!verify("sslserver", "device.der"));
    assert!(verify("any", "account.der"));
    let (_, device) = openssl(&["x509", "-in", "device.der", "-noout", "-text"]);
    let uri = format!("URI:parlour:sam/{}", sam.device_id());
    for part in ["CN = sam", "CA:FALSE", "TLS Web Client Authentication", "Digital Signature\n", &uri] {
        assert!(device.contains(part), "{part}: {device}");
    }
    let (_, account) = openssl(&["x509", "-in", "account.der", "-noout", "-text"]);
    for part in ["CN = sam", "CA:FALSE", "Key Encipherment\n", "Public-Key: (3072 bit)"] {
        assert!(account.contains(part), "{part}: {account}");
    }
    assert!(!account.contains("Extended Key Usage") && !account.contains("Alternative Name"));
}
