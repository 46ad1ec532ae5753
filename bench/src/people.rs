//! Users for a benchmark: certificates issued through the TTP's library, accounts written straight into the
//! server's database. All share one device key and one account key, so that no time is spent on making keys.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use parlour_crypto::{AccountKey, DeviceKey};
use parlour_keylog::AccountCertificate;
use parlour_protocol::{Limits, UserName};
use parlour_server::audit::{Entry, Kind, SecurityEvent};
use parlour_server::metrics::Commits;
use parlour_server::store::sqlite::{Write, Writer};
use parlour_server::store::{Account, Bounds, outcome_queue};
use parlour_ttp::commands::init::init;
use parlour_ttp::commands::server_cert::{CertificateRequirements, server_cert};
use parlour_ttp::{Clock as _, KeyFolder, SystemClock, profile};
use rcgen::{Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::{mpsc, oneshot};

/// An authority, and the keys that everyone shares.
pub(crate) struct People {
    issuer: profile::RootIssuer,
    root: parlour_keylog::RootCertificate,
    device: DeviceKey,
    account: AccountKey,
    clock: SystemClock,
}

impl People {
    /// Makes the authority and the server's certificate in the folder `keys`.
    pub(crate) fn settle(keys: &Path) -> Result<Self> {
        let clock = SystemClock::default();
        let folder = KeyFolder::new(keys);
        let root = init(&folder, &clock)?;
        let hosts = vec!["localhost".parse()?, "127.0.0.1".parse()?];
        server_cert(&folder, &CertificateRequirements { hosts, if_needed: false }, clock)?;
        let pem = std::fs::read_to_string(folder.authority().root_key())?;
        let key = KeyPair::from_pem(&pem)?;
        let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(root.der().to_vec()), key)?;
        let account = AccountKey::generate(&mut rand::rng())?;
        Ok(Self { issuer, root, device: DeviceKey::generate()?, account, clock })
    }

    /// The name of a user.
    pub(crate) fn name(number: usize) -> Result<UserName> {
        Ok(format!("u{number}").parse()?)
    }

    /// The thumbprint of the shared account key.
    pub(crate) fn kid(&self) -> &str {
        self.account.public().kid()
    }

    /// Signs with the shared device key; the signature is ASN.1 DER.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        Ok(self.device.sign_asn1(message)?)
    }

    /// Writes accounts for the first `count` users into a server's database, as the server would.
    pub(crate) fn register(&self, database: &Path, count: usize) -> Result<()> {
        let (told, _outcomes) = outcome_queue::<()>();
        let bounds = Bounds::new(&Limits::default());
        let mut writer = Writer::open(database, bounds, told, Commits::default())?;
        let (queue, mut writes) = mpsc::channel(count + 1);
        let mut answers = Vec::with_capacity(count);
        let created = self.clock.now();
        for number in 0..count {
            let name = Self::name(number)?;
            let spki = self.account.public().to_spki_der();
            let der = profile::account(&self.issuer, &self.root, &name, spki, self.clock.now())?;
            let kid = AccountCertificate::from_der(&der)?.kid().to_owned();
            let account = Account { name, certificate: der, kid, created };
            let entry = Entry { time: created, event: SecurityEvent::new(Kind::Registration), times: 1 };
            let (answer, answered) = oneshot::channel();
            queue.try_send(Write::CreateAccount(Box::new((account, entry)), answer))?;
            answers.push(answered);
        }
        queue.try_send(Write::Stop)?;
        // Writing blocks, which is not allowed on a thread of the runtime.
        let written = std::thread::spawn(move || writer.run(&mut writes)).join();
        ensure!(written.is_ok(), "the accounts were not written");
        answers.into_iter().try_for_each(|mut answered| Ok(answered.try_recv()??))
    }

    /// TLS settings for a user: TLS 1.3 with AES-128-GCM, and X25519 unless the hybrid is asked for.
    pub(crate) fn tls(&self, number: usize, hybrid: bool) -> Result<Arc<ClientConfig>> {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.cipher_suites = vec![rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
        provider.kx_groups = vec![if hybrid {
            rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768
        } else {
            rustls::crypto::aws_lc_rs::kx_group::X25519
        }];
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.root.der().to_vec()))?;
        let name = Self::name(number)?;
        let der = profile::device(&self.issuer, &name, &self.device.public_spki(), self.clock.now())?;
        let key = self.device.to_pkcs8_der()?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec()));
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![CertificateDer::from(der)], key)
            .context("a user's certificate")?;
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Arc::new(config))
    }
}
