//! The credentials of a login: the certificate of this TLS connection, and a signature bound to the connection.

use parlour_envelope::{AwsLc, Verifier as _};
use parlour_keylog::{CertificateError, DeviceCertificate, RootCertificate};
use parlour_protocol::{EXPORTER_BYTES, Timestamp, UserName, login_transcript};
use thiserror::Error;

/// The reasons why credentials are not accepted. They go to the log; the client gets `invalid credentials` in every
/// case.
#[derive(Debug, Error)]
pub enum CredentialFault {
    /// The connection came without a client certificate.
    #[error("no client certificate")]
    NoCertificate,
    /// The certificate is not one that the TTP issued to a device, or it is not valid now.
    #[error("certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// The certificate is another user's.
    #[error("the certificate is for {0}")]
    OtherUser(UserName),
    /// The signature does not fit the key, the name and this connection.
    #[error("the signature does not hold")]
    Signature,
}

/// The credentials that a client brings to a login.
pub struct Credentials<'a> {
    /// The leaf certificate of the TLS connection, DER, which the handshake verified against the root.
    pub certificate: Option<&'a [u8]>,
    /// The name that it wants to log in as.
    pub name: &'a UserName,
    /// The signature, ASN.1 DER.
    pub signature: &'a [u8],
    /// The RFC 9266 value of the connection.
    pub exporter: &'a [u8; EXPORTER_BYTES],
}

impl Credentials<'_> {
    /// Makes all checks that need no store, and returns the device's certificate.
    pub fn check(
        &self,
        root: &RootCertificate,
        now: Timestamp,
    ) -> Result<DeviceCertificate, CredentialFault> {
        let der = self.certificate.ok_or(CredentialFault::NoCertificate)?;
        let certificate = DeviceCertificate::from_der(der)?;
        // The handshake verified that the root issued it; its time may have run out since.
        certificate.check_time(root, now.as_seconds())?;
        if certificate.user() != self.name {
            return Err(CredentialFault::OtherUser(certificate.user().clone()));
        }
        let transcript = login_transcript(self.name, self.exporter);
        AwsLc
            .p256_asn1(certificate.public_point(), &transcript, self.signature)
            .map_err(|_| CredentialFault::Signature)?;
        Ok(certificate)
    }
}
