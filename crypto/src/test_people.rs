//! Two people with all their keys, made once for all unit tests because making RSA keys takes long.

use std::sync::OnceLock;

use rcgen::{CertificateParams, KeyPair};

use crate::{AccountKey, DeviceKey, SealKey};

pub(crate) struct Person {
    pub(crate) device: DeviceKey,
    pub(crate) seal: SealKey,
    pub(crate) account: AccountKey,
    /// A self-signed certificate of the device key: this crate does not check who signed it.
    pub(crate) leaf: Vec<u8>,
}

pub(crate) fn sam() -> &'static Person {
    static SAM: OnceLock<Person> = OnceLock::new();
    SAM.get_or_init(Person::new)
}

pub(crate) fn erik() -> &'static Person {
    static ERIK: OnceLock<Person> = OnceLock::new();
    ERIK.get_or_init(Person::new)
}

impl Person {
    fn new() -> Self {
        let device = DeviceKey::generate().unwrap();
        let key = KeyPair::from_pem(&device.to_pkcs8_pem().unwrap()).unwrap();
        let leaf = CertificateParams::default().self_signed(&key).unwrap().der().to_vec();
        let account = AccountKey::generate(&mut rand::rng()).unwrap();
        Self { device, seal: SealKey::generate().unwrap(), account, leaf }
    }
}
