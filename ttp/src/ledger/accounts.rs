//! Accounts and their devices.

use parlour_protocol::{DeviceId, Timestamp, UserName};
use rusqlite::{OptionalExtension as _, params};

use super::{LedgerError, LedgerTransaction};

/// The record of a new account with its first device.
pub(crate) struct NewAccount<'a> {
    pub(crate) name: &'a UserName,
    pub(crate) account_key: &'a [u8],
    pub(crate) device: &'a DeviceId,
    pub(crate) device_key: &'a [u8],
    pub(crate) seal_key: &'a [u8],
    pub(crate) created: Timestamp,
}

impl LedgerTransaction<'_> {
    pub(crate) fn has_account(&self, name: &UserName) -> Result<bool, LedgerError> {
        let mut statement = self.0.prepare_cached("SELECT 1 FROM accounts WHERE name = ?1")?;
        Ok(statement.exists([name.as_str()])?)
    }

    /// Returns true if an account has a name that looks like this one.
    pub(crate) fn has_look_alike(&self, name: &UserName) -> Result<bool, LedgerError> {
        let mut statement = self.0.prepare_cached("SELECT 1 FROM accounts WHERE skeleton = ?1")?;
        Ok(statement.exists([name.skeleton()])?)
    }

    /// Returns true if any account or device has this key, in any role.
    pub(crate) fn knows_key(&self, key: &[u8]) -> Result<bool, LedgerError> {
        let mut statement = self.0.prepare_cached(
            "SELECT 1 FROM accounts WHERE account_key = ?1
             UNION ALL SELECT 1 FROM devices WHERE device_key = ?1
             UNION ALL SELECT 1 FROM devices WHERE seal_key = ?1",
        )?;
        Ok(statement.exists([key])?)
    }

    pub(crate) fn add_account(&self, new: &NewAccount<'_>) -> Result<(), LedgerError> {
        let created = new.created.as_millis();
        self.0
            .prepare_cached("INSERT INTO accounts (name, account_key, created) VALUES (?1, ?2, ?3)")?
            .execute(params![new.name.as_str(), new.account_key, created])?;
        self.0
            .prepare_cached(
                "INSERT INTO devices (name, device, device_key, seal_key, created)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                new.name.as_str(),
                new.device.as_str(),
                new.device_key,
                new.seal_key,
                created
            ])?;
        Ok(())
    }

    /// The key of a device of this name, if there is one.
    pub(crate) fn device_key(
        &self,
        name: &UserName,
        device: &DeviceId,
    ) -> Result<Option<Vec<u8>>, LedgerError> {
        let mut statement =
            self.0.prepare_cached("SELECT device_key FROM devices WHERE name = ?1 AND device = ?2")?;
        Ok(statement.query_row([name.as_str(), device.as_str()], |row| row.get(0)).optional()?)
    }

    /// The devices of a name, oldest first.
    pub(crate) fn devices(&self, name: &UserName) -> Result<Vec<DeviceId>, LedgerError> {
        let mut statement =
            self.0.prepare_cached("SELECT device FROM devices WHERE name = ?1 ORDER BY created, device")?;
        let texts = statement.query_map([name.as_str()], |row| row.get::<_, String>(0))?;
        texts.map(|text| super::parsed(&text?)).collect()
    }
}
