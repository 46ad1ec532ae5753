//! Every certificate that was ever issued.

use std::fmt;

use parlour_keylog::DeviceCertificate;
use parlour_protocol::{DeviceId, Timestamp, UserName};
use rusqlite::{OptionalExtension as _, Row, params};

use super::{LedgerError, LedgerTransaction};

/// The kind of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateKind {
    /// The root itself.
    Root,
    /// The key log's.
    Log,
    /// A server's.
    Server,
    /// A device's.
    Device,
    /// An account key's.
    Account,
}

impl CertificateKind {
    const ALL: [Self; 5] = [Self::Root, Self::Log, Self::Server, Self::Device, Self::Account];

    const fn word(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Log => "log",
            Self::Server => "server",
            Self::Device => "device",
            Self::Account => "account",
        }
    }
}

impl fmt::Display for CertificateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The record of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// Its kind.
    pub kind: CertificateKind,
    /// The user's name, the root's, or the hosts of a server.
    pub name: String,
    /// The device of a device certificate.
    pub device: Option<DeviceId>,
    /// The serial number in hexadecimal.
    pub serial: String,
    /// The first second in which it is valid, Unix time.
    pub not_before: i64,
    /// The last second in which it is valid, Unix time.
    pub not_after: i64,
    /// The certificate in DER.
    pub der: Vec<u8>,
    /// The time of issue.
    pub issued: Timestamp,
    /// The time at which its device was revoked.
    pub revoked: Option<Timestamp>,
}

impl IssuedCertificate {
    /// The record of a device certificate that is issued now.
    pub(crate) fn of_device(certificate: &DeviceCertificate, now: Timestamp) -> Self {
        Self {
            kind: CertificateKind::Device,
            name: certificate.user().to_string(),
            device: Some(certificate.device().clone()),
            serial: certificate.serial().to_owned(),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            der: certificate.der().to_vec(),
            issued: now,
            revoked: None,
        }
    }
}

impl LedgerTransaction<'_> {
    /// Records a certificate. `revoked` is ignored: revocations have a table of their own.
    pub(crate) fn add_certificate(&self, certificate: &IssuedCertificate) -> Result<(), LedgerError> {
        self.0
            .prepare_cached(
                "INSERT INTO certificates
                     (kind, name, device, serial, not_before, not_after, der, issued)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                certificate.kind.word(),
                certificate.name,
                certificate.device.as_ref().map(DeviceId::as_str),
                certificate.serial,
                certificate.not_before,
                certificate.not_after,
                certificate.der,
                certificate.issued.as_millis(),
            ])?;
        Ok(())
    }
}

impl LedgerTransaction<'_> {
    /// The key log's certificate, in DER.
    pub(crate) fn log_certificate(&self) -> Result<Option<Vec<u8>>, LedgerError> {
        let mut statement = self
            .0
            .prepare_cached("SELECT der FROM certificates WHERE kind = 'log' ORDER BY number DESC LIMIT 1")?;
        Ok(statement.query_row([], |row| row.get(0)).optional()?)
    }

    /// A device's newest certificate, in DER.
    pub(crate) fn newest_certificate(
        &self,
        name: &UserName,
        device: &DeviceId,
    ) -> Result<Option<Vec<u8>>, LedgerError> {
        let mut statement = self.0.prepare_cached(
            "SELECT der FROM certificates WHERE name = ?1 AND device = ?2 ORDER BY number DESC LIMIT 1",
        )?;
        Ok(statement.query_row([name.as_str(), device.as_str()], |row| row.get(0)).optional()?)
    }
}

/// All of them, oldest first.
pub(super) fn all(ledger: &LedgerTransaction<'_>) -> Result<Vec<IssuedCertificate>, LedgerError> {
    let mut statement = ledger.0.prepare_cached(
        "SELECT kind, name, device, serial, not_before, not_after, der, issued, time
         FROM certificates LEFT JOIN revocations USING (name, device) ORDER BY certificates.number",
    )?;
    let mut rows = statement.query([])?;
    let mut certificates = Vec::new();
    while let Some(row) = rows.next()? {
        certificates.push(certificate(row)?);
    }
    Ok(certificates)
}

fn certificate(row: &Row<'_>) -> Result<IssuedCertificate, LedgerError> {
    let word: String = row.get(0)?;
    let kind = CertificateKind::ALL.into_iter().find(|kind| kind.word() == word);
    let device: Option<String> = row.get(2)?;
    Ok(IssuedCertificate {
        kind: kind.ok_or_else(|| LedgerError::Failed(format!("'{word}' is no kind of certificate")))?,
        name: row.get(1)?,
        device: device.as_deref().map(super::parsed).transpose()?,
        serial: row.get(3)?,
        not_before: row.get(4)?,
        not_after: row.get(5)?,
        der: row.get(6)?,
        issued: Timestamp::from_millis(row.get(7)?),
        revoked: row.get::<_, Option<i64>>(8)?.map(Timestamp::from_millis),
    })
}
