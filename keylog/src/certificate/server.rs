//! The certificate of a server.

use std::net::IpAddr;

use parlour_envelope::p256::point_in_spki;
use x509_parser::extensions::{GeneralName, SubjectAlternativeName};
use x509_parser::prelude::FromDer as _;

use super::reading::{self, Reading};
use super::{CertificateError, Host, RootCertificate};

/// `extKeyUsage` with serverAuth alone (RFC 5280, 4.2.1.12).
const SERVER_AUTH_ONLY: &[u8] = &[0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];

/// `keyUsage` with digitalSignature alone (RFC 5280, 4.2.1.3).
const DIGITAL_SIGNATURE_ONLY: &[u8] = &[0x03, 0x02, 0x07, 0x80];

/// Certifies a server's P-256 key for some hosts: alternative names are DNS names and addresses alone, serverAuth
/// and digitalSignature alone, CA:FALSE. The TLS library judges it in a handshake; this type is for programs that
/// issue and show such certificates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerCertificate {
    der: Vec<u8>,
    hosts: Vec<Host>,
    spki_der: Vec<u8>,
    not_before: i64,
    not_after: i64,
    serial: String,
}

impl ServerCertificate {
    /// Reads a DER certificate and checks the profile. [`verify`](Self::verify) checks issuer and validity.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let reading = Reading::new(der)?;
        reading.common_name()?;
        let hosts = hosts(reading.alternative_name()).ok_or(CertificateError::AlternativeName)?;
        reading.check_no_authority()?;
        if reading.key_usage() != Some(DIGITAL_SIGNATURE_ONLY) {
            return Err(CertificateError::KeyUsage);
        }
        if reading.extended_key_usage() != Some(SERVER_AUTH_ONLY) {
            return Err(CertificateError::ExtendedKeyUsage);
        }
        if point_in_spki(reading.spki()).is_none() {
            return Err(CertificateError::PublicKey);
        }
        Ok(Self {
            hosts,
            spki_der: reading.spki().to_vec(),
            not_before: reading.not_before(),
            not_after: reading.not_after(),
            serial: reading.serial(),
            der: der.to_vec(),
        })
    }

    /// Checks that the root issued it and that both are valid at `at`, in Unix seconds.
    pub fn verify(&self, root: &RootCertificate, at: i64) -> Result<(), CertificateError> {
        reading::verify(&self.der, root, at)
    }

    /// The certificate as it was read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The hosts in the order of the certificate; at least one.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The server's public key (`SubjectPublicKeyInfo`, DER).
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The first second in which it is valid, Unix time.
    pub fn not_before(&self) -> i64 {
        self.not_before
    }

    /// The last second in which it is valid, Unix time.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// The serial number in lower-case hexadecimal.
    pub fn serial(&self) -> &str {
        &self.serial
    }
}

fn hosts(alternative_name: Option<&[u8]>) -> Option<Vec<Host>> {
    let Ok(([], names)) = SubjectAlternativeName::from_der(alternative_name?) else {
        return None;
    };
    let hosts: Vec<Host> = names.general_names.iter().map(host).collect::<Option<_>>()?;
    (!hosts.is_empty()).then_some(hosts)
}

fn host(name: &GeneralName<'_>) -> Option<Host> {
    match name {
        GeneralName::DNSName(text) => {
            let host: Host = text.parse().ok()?;
            host.dns().is_some().then_some(host)
        }
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            v4.or(v6).ok().map(Host::from)
        }
        _ => None,
    }
}
