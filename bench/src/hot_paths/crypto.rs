//! The uses of keys: sealing, opening, and logging in.

use std::hint::black_box;

use anyhow::Result;
use parlour_crypto::{AccountKey, DeviceKey, Draft, Role, message};
use parlour_envelope::AwsLc;
use parlour_envelope::Content;
use parlour_keylog::RootCertificate;
use parlour_protocol::{EXPORTER_BYTES, Timestamp, login_transcript};
use parlour_server::session::credentials::Credentials;
use parlour_ttp::profile;
use rand::rngs::ThreadRng;
use rcgen::{Issuer, KeyPair};
use rustls::pki_types::CertificateDer;

use super::{Work, samples};

/// Someone with a device and an account.
struct Person {
    device: DeviceKey,
    account: AccountKey,
    root: RootCertificate,
    certificate: Vec<u8>,
}

impl Person {
    fn new() -> Result<Self> {
        let now = Timestamp::from_millis(samples::NOW);
        let device = DeviceKey::generate()?;
        let key = KeyPair::generate()?;
        let root = RootCertificate::from_der(&profile::root(&key, now)?, &AwsLc)?;
        let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(root.der().to_vec()), key)?;
        let certificate = profile::device(&issuer, &samples::sam()?, &device.public_spki(), now)?;
        let account = AccountKey::generate(&mut rand::rng())?;
        Ok(Self { device, account, root, certificate })
    }

    /// Seals the text to this person.
    fn seal(&self, rng: &mut ThreadRng) -> Result<String> {
        let draft = Draft {
            from: "sam",
            to: "sam",
            id: "0190a5e0-7d4c-7c3e-8f00-000000000001",
            time: samples::NOW,
            content: Content::Text(samples::TEXT.to_owned()),
            chain: "AAAAAAAAAAAAAAAAAAAAAA",
            n: 0,
            prev: "",
            void: 0,
        };
        let account = self.account.public();
        Ok(message::seal(rng, &self.device, &self.certificate, draft, account, account)?.jwe)
    }
}

/// Signs and seals a text.
pub(super) fn seal() -> Result<Work> {
    let (person, mut rng) = (Person::new()?, rand::rng());
    Ok(Box::new(move || {
        black_box(person.seal(&mut rng)?);
        Ok(())
    }))
}

/// Opens a sealed message and makes every check that needs no certificates.
pub(super) fn open() -> Result<Work> {
    let person = Person::new()?;
    let sealed = person.seal(&mut rand::rng())?;
    Ok(Box::new(move || {
        black_box(message::open(black_box(&sealed), &person.account, Role::Recipient)?);
        Ok(())
    }))
}

/// Checks a login as the server does: the certificate, and the signature over the connection's transcript.
pub(super) fn login_check() -> Result<Work> {
    let person = Person::new()?;
    let (name, exporter) = (samples::sam()?, [7; EXPORTER_BYTES]);
    let signature = person.device.sign_asn1(&login_transcript(&name, &exporter))?;
    Ok(Box::new(move || {
        let certificate = Some(person.certificate.as_slice());
        let credentials =
            Credentials { certificate, name: &name, signature: &signature, exporter: &exporter };
        black_box(credentials.check(&person.root, Timestamp::from_millis(samples::NOW))?);
        Ok(())
    }))
}
