//! `show`: the root's fingerprint, the invitation, and every certificate that was issued.

use std::io::Write;

use parlour_protocol::{Invitation, ServerAddress, Timestamp};
use thiserror::Error;

use super::{CommandError, server_cert};
use crate::authority::{self, OpenError};
use crate::folder::KeyFolder;
use crate::ledger::{IssuedCertificate, Ledger, LedgerError};

/// The port of the invitation when `--server` names none.
const PORT: u16 = 7275;

/// The reasons why nothing can be shown.
#[derive(Debug, Error)]
pub enum ShowError {
    /// There is no root, or it cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl ShowError {
    /// Advice for the operator.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Open(error) => error.hint(),
            Self::Ledger(error) => error.hint(),
        }
    }
}

pub(super) fn run(
    keys: &KeyFolder,
    server: Option<ServerAddress>,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let root = authority::read_root(keys).map_err(ShowError::from)?;
    let certificates = read(keys).map_err(ShowError::from)?;
    writeln!(out, "fingerprint {}", root.fingerprint())?;
    if let Some(server) = &server {
        warn_of_other_host(keys, server);
    }
    match server.or_else(|| present_server(keys)) {
        Some(server) => {
            let invitation = Invitation { server, root: root.fingerprint(), code: None };
            writeln!(out, "invitation {invitation}")?;
        }
        None => writeln!(out, "invitation none: no server certificate yet, and no --server")?,
    }
    writeln!(out)?;
    let header =
        ["NAME", "DEVICE", "KIND", "SERIAL", "VALID FROM (UTC)", "VALID UNTIL (UTC)", "REVOKED (UTC)"];
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(certificates.iter().map(row));
    write_table(&rows, out)?;
    Ok(())
}

/// Warns if the server's certificate is not for the host of the invitation: clients would refuse it.
fn warn_of_other_host(keys: &KeyFolder, server: &ServerAddress) {
    let Some(certificate) = server_cert::present(&keys.server()) else { return };
    if !certificate.hosts().iter().any(|host| server.host.parse().as_ref() == Ok(host)) {
        tracing::warn!(
            host = server.host,
            "the server's certificate is not for this host, so clients will refuse it; mint one that is with \
             'parlour-ttp server-cert --host HOST'"
        );
    }
}

fn read(keys: &KeyFolder) -> Result<Vec<IssuedCertificate>, LedgerError> {
    Ledger::open(&keys.authority().database())?.certificates()
}

/// The server's address by its certificate: the first DNS name, or else the first IP address.
fn present_server(keys: &KeyFolder) -> Option<ServerAddress> {
    let certificate = server_cert::present(&keys.server())?;
    let hosts = certificate.hosts();
    let host = hosts.iter().find(|host| host.dns().is_some()).or_else(|| hosts.first())?;
    Some(ServerAddress { host: host.to_string(), port: PORT })
}

fn row(certificate: &IssuedCertificate) -> [String; 7] {
    let seconds = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1_000)).to_string();
    let none = || "-".to_owned();
    [
        certificate.name.clone(),
        certificate.device.as_ref().map_or_else(none, ToString::to_string),
        certificate.kind.to_string(),
        certificate.serial.clone(),
        seconds(certificate.not_before),
        seconds(certificate.not_after),
        certificate.revoked.map_or_else(none, |time| time.to_string()),
    ]
}

/// Writes columns as wide as their widest cell, two spaces apart.
fn write_table<const N: usize>(rows: &[[String; N]], out: &mut impl Write) -> std::io::Result<()> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
