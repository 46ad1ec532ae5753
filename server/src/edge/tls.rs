//! The server's side of TLS: 1.3 only, client certificates welcome, no resumption.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parlour_envelope::AwsLc;
use parlour_keylog::{CertificateError, RootCertificate, ServerCertificate};
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use thiserror::Error;
use tracing::warn;
use zeroize::Zeroizing;

use crate::clock::Clock;

/// Why a key or certificate cannot be used.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The file is missing, or its contents cannot be used.
    #[error("{path}: {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// The file exists, but this user may not read it.
    #[error("{path}: cannot be read: {source}")]
    Withheld {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

/// The server as its clients see it, from the files in the keys directory.
pub struct Identity {
    /// Settings for every connection.
    pub config: Arc<ServerConfig>,
    /// The root that clients' certificates must come from.
    pub root: Arc<RootCertificate>,
    /// The end of the server's own certificate, in seconds since 1970; `None` if clients will refuse it anyway.
    pub expires: Option<i64>,
}

/// Reads `server.key`, `server.crt` (with the root after it) and `ca.crt` from `keys`.
pub fn load(keys: &Path, clock: Clock) -> Result<Identity, IdentityError> {
    let key_path = keys.join("server.key");
    let key = private_key(&key_path).map_err(|error| unusable(&key_path, error))?;
    let Chain { path: chain_path, certificates: chain, root, root_der } = read_chain(keys)?;
    let leaf = chain.first().map(|leaf| ServerCertificate::from_der(leaf));
    let expires = leaf.as_ref().and_then(|leaf| Some(leaf.as_ref().ok()?.not_after()));
    warn_of_certificate(leaf, &root, clock);
    let config = config(chain, &key, root_der, clock)
        .map_err(|reason| IdentityError::Unusable { path: chain_path, reason })?;
    Ok(Identity { config: Arc::new(config), root: Arc::new(root), expires })
}

/// The server's own certificate and the root, without the key.
pub fn certificates(keys: &Path) -> Result<(ServerCertificate, RootCertificate), IdentityError> {
    let Chain { path, certificates, root, .. } = read_chain(keys)?;
    let wrong = |reason: String| IdentityError::Unusable { path: path.clone(), reason };
    let leaf = certificates.first().ok_or_else(|| wrong("holds no certificate".to_owned()))?;
    let leaf = ServerCertificate::from_der(leaf).map_err(|error| wrong(error.to_string()))?;
    Ok((leaf, root))
}

/// The contents of `server.crt` and `ca.crt`.
struct Chain {
    path: PathBuf,
    certificates: Vec<CertificateDer<'static>>,
    root: RootCertificate,
    root_der: CertificateDer<'static>,
}

fn read_chain(keys: &Path) -> Result<Chain, IdentityError> {
    let path = keys.join("server.crt");
    let root_path = keys.join("ca.crt");
    let certificates = CertificateDer::pem_file_iter(&path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(&path, error))?;
    let root_der = CertificateDer::from_pem_file(&root_path).map_err(|error| unusable(&root_path, error))?;
    let root = RootCertificate::from_der(&root_der, &AwsLc)
        .map_err(|error| IdentityError::Unusable { path: root_path, reason: error.to_string() })?;
    if !certificates.contains(&root_der) {
        let reason = "its chain does not end in the root in ca.crt".to_owned();
        return Err(IdentityError::Unusable { path, reason });
    }
    Ok(Chain { path, certificates, root, root_der })
}

/// Warns of a certificate that clients will refuse. The server can reload a new one.
fn warn_of_certificate(
    leaf: Option<Result<ServerCertificate, CertificateError>>,
    root: &RootCertificate,
    clock: Clock,
) {
    let verified = leaf.map(|leaf| leaf.and_then(|leaf| leaf.verify(root, clock.now().as_seconds())));
    if let Some(Err(error)) = verified {
        warn!(%error, "clients will refuse the server's certificate; mint a new one and send SIGHUP");
    }
}

/// Reads the key in a PEM file, and overwrites the buffer.
fn private_key(path: &Path) -> Result<Zeroizing<PrivateKeyDer<'static>>, pem::Error> {
    let text = Zeroizing::new(std::fs::read(path).map_err(pem::Error::Io)?);
    PrivateKeyDer::from_pem_slice(&text).map(Zeroizing::new)
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'static>,
    root: CertificateDer<'static>,
    clock: Clock,
) -> Result<ServerConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root).map_err(|error| error.to_string())?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| error.to_string())?;
    // rustls would keep a copy of the encoded key that is not overwritten.
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(key).map_err(|error| error.to_string())?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|error| error.to_string())?;
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(clock))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    // A resumed session would skip the check of the client's certificate.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(config)
}

fn unusable(path: &Path, error: pem::Error) -> IdentityError {
    let reason = match error {
        pem::Error::Io(source) if source.kind() == ErrorKind::PermissionDenied => {
            return IdentityError::Withheld { path: path.to_owned(), source };
        }
        pem::Error::Io(error) => format!("cannot be read: {error}"),
        pem::Error::NoItemsFound => "holds no key or certificate in PEM".to_owned(),
        other => format!("is not understood: {other}"),
    };
    IdentityError::Unusable { path: path.to_owned(), reason }
}
