//! Reads a whole database and compares all rows with the log, the certificates and each other.
//!
//! The log is the reference: each leaf is stored with its own hash, and has everything that the other tables keep of
//! an act.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use parlour_envelope::AwsLc;
use parlour_keylog::{
    AccountCertificate, CertificateError, DeviceCertificate, Leaf, LeafKind, LogCertificate, RootCertificate,
    ServerCertificate, certificate_hash, device_id, leaf_hash,
};
use parlour_protocol::ttp::TtpAnswer;
use parlour_protocol::{Timestamp, UserName};
use parlour_upkeep::{Inspection, moment, structure};
use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags, Row};
use sha2::{Digest as _, Sha256};

use crate::profile::SKEW;

use super::{
    CertificateKind, IssuedCertificate, LedgerError, LedgerTransaction, certificates, migrations,
    refuse_missing,
};

/// The number of triggers that keep rows from being changed or deleted: two for each of six tables.
const GUARDS: u64 = 12;

/// The length of a database's header, in bytes.
const HEADER: usize = 100;

/// The rows that the other tables must have by the log, as bytes to be compared.
#[derive(Default)]
struct Logged {
    accounts: BTreeSet<Vec<u8>>,
    devices: BTreeSet<Vec<u8>>,
    revocations: BTreeSet<Vec<u8>>,
    /// Answers to enrolments.
    answers: BTreeSet<Vec<u8>>,
    /// Answers to renewals, which may be missing.
    renewals: BTreeSet<Vec<u8>>,
    /// The name and the certificates that were issued, by the request's hash.
    issued: BTreeMap<Vec<u8>, (UserName, BTreeSet<[u8; 32]>)>,
    certificates: BTreeMap<[u8; 32], Timestamp>,
}

/// Summarizes the contents of the database file `path` and lists the damage, also while the TTP serves it. With a
/// `root`, certificates are verified against it. The error says why the file cannot be read as a database of the TTP.
pub(crate) fn inspect(path: &Path, root: Option<&RootCertificate>) -> Result<Inspection, LedgerError> {
    refuse_missing(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    migrations::check(&connection, path)?;
    look_at(&connection, root)
}

/// Does the same with the bytes of a database, in memory.
pub(crate) fn inspect_image(image: &[u8], root: Option<&RootCertificate>) -> Result<Inspection, LedgerError> {
    let mut connection = Connection::open_in_memory()?;
    let rest = image.get(HEADER..).unwrap_or_default();
    let mut header = image.get(..HEADER).unwrap_or_default().to_vec();
    // The versions of the format (SQLite's file format, 1.3.3): 2 would need a log beside a file.
    if let Some(versions) = header.get_mut(18..20) {
        versions.fill(1);
    }
    connection.deserialize_read_exact("main", header.chain(rest), image.len(), true)?;
    migrations::check(&connection, Path::new("ttp.db"))?;
    look_at(&connection, root)
}

/// Inspects a database of this version, or a copy in memory of an older one that is brought up to it.
fn look_at(connection: &Connection, root: Option<&RootCertificate>) -> Result<Inspection, LedgerError> {
    let found = migrations::version(connection)?;
    let known = migrations::known();
    if found > known {
        return Err(LedgerError::Newer { found, known });
    }
    let mut inspection = if found == known {
        look(connection, root)?
    } else {
        let mut copy = Connection::open_in_memory()?;
        Backup::new(connection, &mut copy)?.step(-1)?;
        migrations::advance(&mut copy)?;
        look(&copy, root)?
    };
    inspection.inventory.schema = found;
    Ok(inspection)
}

fn look(connection: &Connection, root: Option<&RootCertificate>) -> Result<Inspection, LedgerError> {
    // One snapshot, while others may keep writing.
    let connection = connection.unchecked_transaction()?;
    let mut inspection = Inspection::default();
    for damage in structure(&connection)? {
        inspection.damaged(damage);
    }
    guards(&connection, &mut inspection)?;
    let mut logged = leaves(&connection, &mut inspection)?;
    issued(&connection, root, &mut logged, &mut inspection)?;
    for (table, columns, logged) in [
        ("accounts", "name, account_key, created", &logged.accounts),
        ("devices", "name, device, device_key, seal_key, created", &logged.devices),
        ("revocations", "name, device, time", &logged.revocations),
    ] {
        compare(&connection, table, columns, logged, &BTreeSet::new(), &mut inspection)?;
    }
    answers(&connection, &logged, &mut inspection)?;
    numbers(&connection, &mut inspection)?;
    Ok(inspection)
}

/// Encodes a row: each value with its length in front.
fn row_of(values: &[&[u8]]) -> Vec<u8> {
    let mut row = Vec::new();
    for value in values {
        row.extend((value.len() as u64).to_be_bytes());
        row.extend(*value);
    }
    row
}

fn guards(connection: &Connection, inspection: &mut Inspection) -> Result<(), LedgerError> {
    let found: u64 =
        connection
            .query_row("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'", [], |row| row.get(0))?;
    if found < GUARDS {
        inspection.damaged(format!("{} guards against changes are gone", GUARDS - found));
    }
    Ok(())
}

/// Reads the log. Its leaves must be numbered from 0 without gaps, each with its hash.
fn leaves(connection: &Connection, inspection: &mut Inspection) -> Result<Logged, LedgerError> {
    let mut statement = connection.prepare("SELECT position, hash, leaf FROM leaves ORDER BY position")?;
    let mut rows = statement.query([])?;
    let (mut logged, mut count, mut newest) = (Logged::default(), 0, None);
    let mut digest = Sha256::new();
    while let Some(row) = rows.next()? {
        let (position, hash, bytes): (u64, Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if position != count {
            inspection.damaged(format!("leaf {count} of the log is missing"));
        }
        count = position + 1;
        digest.update(&hash);
        match Leaf::decode(&bytes) {
            Ok(leaf) if leaf_hash(&bytes).as_slice() == hash => {
                newest = newest.max(Some(leaf.time));
                logged.take(&leaf);
            }
            _ => inspection.damaged(format!("leaf {position} of the log does not fit its hash")),
        }
    }
    let inventory = &mut inspection.inventory;
    inventory.counts.insert("leaves".to_owned(), count);
    inventory.newest = newest.map(|time| moment(time.as_millis()));
    inventory.set_digest(&digest.finalize());
    Ok(logged)
}

impl Logged {
    fn take(&mut self, leaf: &Leaf) {
        let (name, device) = (leaf.name().as_str().as_bytes(), leaf.device().as_str().as_bytes());
        let time = leaf.time.as_millis().to_be_bytes();
        match &leaf.kind {
            LeafKind::Enrolment { device_key, seal_key, account_key, request, .. } => {
                self.accounts.insert(row_of(&[name, account_key, &time]));
                self.devices.insert(row_of(&[name, device, device_key, seal_key, &time]));
                let answer = self.answer(leaf, request);
                self.answers.insert(answer);
            }
            LeafKind::Renewal { request, .. } => {
                let answer = self.answer(leaf, request);
                self.renewals.insert(answer);
            }
            LeafKind::Revocation { .. } => {
                self.revocations.insert(row_of(&[name, device, &time]));
            }
        }
        self.certificates.extend(leaf.certificates.iter().map(|hash| (*hash, leaf.time)));
    }

    /// Notes the certificates issued to a request, and returns the row of its answer.
    fn answer(&mut self, leaf: &Leaf, request: &str) -> Vec<u8> {
        let (hash, time) = (Sha256::digest(request), leaf.time.as_millis().to_be_bytes());
        let certificates = leaf.certificates.iter().copied().collect();
        self.issued.insert(hash.to_vec(), (leaf.name().clone(), certificates));
        row_of(&[&hash, leaf.device().as_str().as_bytes(), &time])
    }

    /// Returns true if `line` is the answer to a request, byte for byte.
    fn is_answer(&self, request: &[u8], line: &str) -> bool {
        let Ok(TtpAnswer::Issued(issued)) = serde_json::from_str(line) else { return false };
        let certificates = std::iter::once(&issued.device_certificate).chain(&issued.account_certificate);
        let certificates = certificates.map(|der| certificate_hash(&der.0)).collect();
        let fits = self.issued.get(request) == Some(&(issued.name.clone(), certificates));
        // Reading ignores unknown members and other spellings; writing it again reveals them.
        fits && serde_json::to_string(&TtpAnswer::Issued(issued)).is_ok_and(|again| again == line)
    }
}

/// Checks that every certificate matches its columns, comes from the root, and is in the log.
fn issued(
    connection: &Connection,
    root: Option<&RootCertificate>,
    logged: &mut Logged,
    inspection: &mut Inspection,
) -> Result<(), LedgerError> {
    let all = certificates::all(&LedgerTransaction(connection))?;
    inspection.inventory.counts.insert("certificates".to_owned(), all.len() as u64);
    for certificate in all {
        let hash = certificate_hash(&certificate.der);
        let fits = match certificate.kind {
            // These are not in the log of the users' keys; their own beginning shows the time of issue.
            CertificateKind::Root | CertificateKind::Log | CertificateKind::Server => {
                certificate.issued.as_seconds().checked_sub(SKEW) == Some(certificate.not_before)
            }
            CertificateKind::Device | CertificateKind::Account => {
                logged.certificates.remove(&hash) == Some(certificate.issued)
            }
        };
        if !fits || !is_as_described(&certificate, root).unwrap_or(false) {
            let IssuedCertificate { kind, name, serial, .. } = &certificate;
            inspection.damaged(format!("the {kind} certificate {serial} of {name:?} is not the one issued"));
        }
    }
    if !logged.certificates.is_empty() {
        inspection.damaged(format!("{} certificates of the log are missing", logged.certificates.len()));
    }
    Ok(())
}

/// Returns true if a certificate matches its row.
fn is_as_described(
    row: &IssuedCertificate,
    root: Option<&RootCertificate>,
) -> Result<bool, CertificateError> {
    let der = &row.der;
    let (described, dates, verified) = match row.kind {
        CertificateKind::Root => {
            let it = RootCertificate::from_der(der, &AwsLc)?;
            let described = it.common_name() == row.name && it.serial() == row.serial;
            (described, (it.not_before(), it.not_after()), root.is_none_or(|root| *root == it))
        }
        CertificateKind::Log => {
            let it = LogCertificate::from_der(der)?;
            let described = it.common_name() == row.name && it.serial() == row.serial;
            let verified = root.is_none_or(|root| it.verify(root, it.not_before()).is_ok());
            (described, (it.not_before(), it.not_after()), verified)
        }
        CertificateKind::Server => {
            let it = ServerCertificate::from_der(der)?;
            let verified = root.is_none_or(|root| it.verify(root, it.not_before()).is_ok());
            let hosts: Vec<String> = it.hosts().iter().map(ToString::to_string).collect();
            let described = it.serial() == row.serial && hosts.join(",") == row.name;
            (described, (it.not_before(), it.not_after()), verified)
        }
        CertificateKind::Device => {
            let it = DeviceCertificate::from_der(der)?;
            let described = it.user().as_str() == row.name
                && Some(it.device()) == row.device.as_ref()
                && *it.device() == device_id(it.spki_der())
                && it.serial() == row.serial;
            let verified = root.is_none_or(|root| it.verify(root, it.not_before()).is_ok());
            (described, (it.not_before(), it.not_after()), verified)
        }
        CertificateKind::Account => {
            let it = AccountCertificate::from_der(der)?;
            let described = it.user().as_str() == row.name && it.serial() == row.serial;
            let verified = root.is_none_or(|root| it.verify(root, it.not_before()).is_ok());
            (described, (it.not_before(), it.not_after()), verified)
        }
    };
    Ok(described && dates == (row.not_before, row.not_after) && verified)
}

/// Checks that a table has the rows of the log, and no others except those that are `optional`.
fn compare(
    connection: &Connection,
    table: &str,
    columns: &str,
    logged: &BTreeSet<Vec<u8>>,
    optional: &BTreeSet<Vec<u8>>,
    inspection: &mut Inspection,
) -> Result<(), LedgerError> {
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM {table}"))?;
    let width = statement.column_count();
    let mut rows = statement.query([])?;
    let mut kept = BTreeSet::new();
    while let Some(row) = rows.next()? {
        kept.insert(bytes(row, width)?);
    }
    inspection.inventory.counts.insert(table.to_owned(), kept.len() as u64);
    let (odd, gone) = (
        kept.iter().filter(|row| !logged.contains(*row) && !optional.contains(*row)).count(),
        logged.difference(&kept).count(),
    );
    if odd + gone > 0 {
        inspection.damaged(format!("{table}: {odd} rows are not in the log, {gone} of the log are missing"));
    }
    Ok(())
}

/// Reads the values of a row, encoded by [`row_of`].
fn bytes(row: &Row<'_>, width: usize) -> Result<Vec<u8>, LedgerError> {
    let mut values = Vec::with_capacity(width);
    for column in 0..width {
        values.push(match row.get_ref(column)? {
            rusqlite::types::ValueRef::Integer(number) => number.to_be_bytes().to_vec(),
            rusqlite::types::ValueRef::Text(bytes) | rusqlite::types::ValueRef::Blob(bytes) => bytes.to_vec(),
            rusqlite::types::ValueRef::Null | rusqlite::types::ValueRef::Real(_) => Vec::new(),
        });
    }
    Ok(row_of(&values.iter().map(Vec::as_slice).collect::<Vec<_>>()))
}

/// Checks that every answer belongs to a request in the log, and has the certificates that were issued to it.
fn answers(connection: &Connection, logged: &Logged, inspection: &mut Inspection) -> Result<(), LedgerError> {
    compare(connection, "answers", "request, device, time", &logged.answers, &logged.renewals, inspection)?;
    let mut statement = connection.prepare("SELECT request, answer FROM answers")?;
    let mut rows = statement.query([])?;
    let mut odd = 0;
    while let Some(row) = rows.next()? {
        let (request, line): (Vec<u8>, String) = (row.get(0)?, row.get(1)?);
        odd += u64::from(!logged.is_answer(&request, &line));
    }
    if odd > 0 {
        inspection.damaged(format!("answers: {odd} do not hold what was issued"));
    }
    Ok(())
}

/// Checks that revocations are numbered from 1 without gaps: the server relies on it.
fn numbers(connection: &Connection, inspection: &mut Inspection) -> Result<(), LedgerError> {
    let (newest, count): (u64, u64) = connection.query_row(
        "SELECT coalesce(max(number), 0), count(*) FROM revocations WHERE number > 0",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if newest != count {
        inspection.damaged(format!("revocations: {count} up to number {newest}"));
    }
    Ok(())
}
