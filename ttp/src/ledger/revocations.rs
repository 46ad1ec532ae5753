//! Revoked devices.

use parlour_protocol::ttp::Revocation;
use parlour_protocol::{DeviceId, Timestamp, UserName};
use rusqlite::{OptionalExtension as _, params};

use super::{LedgerError, LedgerTransaction};

impl LedgerTransaction<'_> {
    /// The time at which a device was revoked, if it was.
    pub(crate) fn revoked(
        &self,
        name: &UserName,
        device: &DeviceId,
    ) -> Result<Option<Timestamp>, LedgerError> {
        let mut statement =
            self.0.prepare_cached("SELECT time FROM revocations WHERE name = ?1 AND device = ?2")?;
        let time = statement.query_row([name.as_str(), device.as_str()], |row| row.get(0)).optional()?;
        Ok(time.map(Timestamp::from_millis))
    }

    /// Revokes a device that is not revoked yet, under the next number.
    pub(crate) fn add_revocation(
        &self,
        name: &UserName,
        device: &DeviceId,
        time: Timestamp,
    ) -> Result<Revocation, LedgerError> {
        let mut statement = self.0.prepare_cached(
            "INSERT INTO revocations (number, name, device, time)
             SELECT coalesce(max(number), 0) + 1, ?1, ?2, ?3 FROM revocations RETURNING number",
        )?;
        let values = params![name.as_str(), device.as_str(), time.as_millis()];
        let number = statement.query_row(values, |row| row.get(0))?;
        Ok(Revocation { number, name: name.clone(), device: device.clone(), time, statement: None })
    }

    /// Up to `most` revocations with numbers above `after`, in order, without their statements.
    pub(crate) fn revocations_after(&self, after: u64, most: u32) -> Result<Vec<Revocation>, LedgerError> {
        // A number too large for SQLite is above all of them.
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let mut statement = self.0.prepare_cached(
            "SELECT number, name, device, time FROM revocations WHERE number > ?1 ORDER BY number LIMIT ?2",
        )?;
        let mut rows = statement.query(params![after, most])?;
        let mut revocations = Vec::new();
        while let Some(row) = rows.next()? {
            revocations.push(Revocation {
                number: row.get(0)?,
                name: super::parsed(&row.get::<_, String>(1)?)?,
                device: super::parsed(&row.get::<_, String>(2)?)?,
                time: Timestamp::from_millis(row.get(3)?),
                statement: None,
            });
        }
        Ok(revocations)
    }
}

/// The number of the newest revocation, 0 when there is none.
pub(super) fn newest(ledger: &LedgerTransaction<'_>) -> Result<u64, LedgerError> {
    let mut statement = ledger.0.prepare_cached("SELECT coalesce(max(number), 0) FROM revocations")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}
