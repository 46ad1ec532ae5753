//! The root that a client trusts, and the client's side of TLS built on it. There is exactly one root, and
//! no way past a mismatch.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use parlour_envelope::AwsLc;
use parlour_keylog::RootCertificate;
use parlour_protocol::Fingerprint;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::LinkError;
use crate::clock::Clock;
use crate::profile::{Profile, ProfileError};

/// The pin that identifies the one root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootPin {
    /// The root itself.
    Certificate(Box<RootCertificate>),
    /// Its fingerprint, from an invitation; the server sends the root in its chain.
    Fingerprint(Fingerprint),
}

impl RootPin {
    /// The root in a PEM file.
    pub fn from_file(path: &Path) -> Result<Self, ProfileError> {
        let der = crate::profile::read_root(path)?;
        let root = RootCertificate::from_der(&der, &AwsLc)
            .map_err(|error| ProfileError::file(path, error.to_string()))?;
        Ok(Self::Certificate(Box::new(root)))
    }

    /// The fingerprint of the root.
    pub fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Certificate(root) => root.fingerprint(),
            Self::Fingerprint(fingerprint) => *fingerprint,
        }
    }
}

/// Settings for one connection, and the place where the root is found after the handshake.
pub struct Tls {
    /// The configuration for tokio-rustls.
    pub config: Arc<ClientConfig>,
    verifier: Arc<PinnedRoot>,
}

impl Tls {
    /// Settings that trust `pin` alone; with a profile, its device certificate is presented.
    pub fn new(pin: &RootPin, profile: Option<&Profile>, clock: Clock) -> Result<Self, LinkError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Arc::new(PinnedRoot::new(pin, Arc::clone(&provider)));
        let tls = |error: rustls::Error| LinkError::Key(error.to_string());
        let builder = ClientConfig::builder_with_details(provider, Arc::new(clock))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(tls)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>);
        let mut config = match profile {
            None => builder.with_no_client_auth(),
            Some(profile) => {
                let chain = vec![CertificateDer::from(profile.device.der().to_vec())];
                let der = profile.device_key.to_pkcs8_der()?;
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.to_vec()));
                builder.with_client_auth_cert(chain, key).map_err(tls)?
            }
        };
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self { config: Arc::new(config), verifier })
    }

    /// The root, once a handshake has succeeded.
    pub fn root(&self) -> Option<RootCertificate> {
        self.verifier.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Verifies a server's certificate up to the pinned root, as RFC 5280 demands, and the name in it.
#[derive(Debug)]
struct PinnedRoot {
    pin: Fingerprint,
    provider: Arc<CryptoProvider>,
    /// The root: known beforehand, or found in a server's chain.
    found: Mutex<Option<RootCertificate>>,
}

impl PinnedRoot {
    fn new(pin: &RootPin, provider: Arc<CryptoProvider>) -> Self {
        let found = match pin {
            RootPin::Certificate(root) => Some((**root).clone()),
            RootPin::Fingerprint(_) => None,
        };
        Self { pin: pin.fingerprint(), provider, found: Mutex::new(found) }
    }

    /// The pinned root, known beforehand or from this chain.
    fn root(&self, intermediates: &[CertificateDer<'_>]) -> Result<RootCertificate, rustls::Error> {
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(root) = known {
            return Ok(root);
        }
        intermediates
            .iter()
            .filter_map(|der| RootCertificate::from_der(der, &AwsLc).ok())
            .find(|root| root.fingerprint() == self.pin)
            .ok_or(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer))
    }
}

impl ServerCertVerifier for PinnedRoot {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let root = self.root(intermediates)?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(root.der().to_vec()))?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
        // The chain below the root does not include the root itself.
        let below: Vec<CertificateDer<'_>> =
            intermediates.iter().filter(|der| der.as_ref() != root.der()).cloned().collect();
        let verified = verifier.verify_server_cert(end_entity, &below, server_name, ocsp_response, now)?;
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(root);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
