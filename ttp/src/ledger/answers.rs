//! Answers to signed requests, kept so that the same request gets the same answer: those to enrolments for ever,
//! those to renewals while their certificate is valid.

use parlour_protocol::{DeviceId, Timestamp};
use rusqlite::{OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use super::{LedgerError, LedgerTransaction};

/// The identity of a signed request.
pub(crate) struct RequestKey {
    /// SHA-256 of the compact JWS.
    hash: [u8; 32],
    /// The device that signed it.
    device: DeviceId,
    /// The nonce in it.
    nonce: [u8; 32],
}

impl RequestKey {
    /// The key of a signed request, a compact JWS.
    pub(crate) fn new(request: &str, device: &DeviceId, nonce: [u8; 32]) -> Self {
        Self { hash: Sha256::digest(request).into(), device: device.clone(), nonce }
    }
}

impl LedgerTransaction<'_> {
    /// The stored answer to exactly this request.
    pub(crate) fn answer(&self, request: &RequestKey) -> Result<Option<String>, LedgerError> {
        let mut statement = self.0.prepare_cached("SELECT answer FROM answers WHERE request = ?1")?;
        Ok(statement.query_row([request.hash.as_slice()], |row| row.get(0)).optional()?)
    }

    /// Returns true if the device has used this nonce before. Anyone can turn an ECDSA signature into another valid
    /// one, so an old request can come back with another hash.
    pub(crate) fn has_nonce(&self, request: &RequestKey) -> Result<bool, LedgerError> {
        let mut statement =
            self.0.prepare_cached("SELECT 1 FROM answers WHERE device = ?1 AND nonce = ?2")?;
        Ok(statement.exists(params![request.device.as_str(), request.nonce.as_slice()])?)
    }

    /// Deletes the answers to this device's renewals from before `time`.
    pub(crate) fn forget_renewals(&self, device: &DeviceId, time: Timestamp) -> Result<(), LedgerError> {
        self.0
            .prepare_cached(
                "DELETE FROM answers WHERE device = ?1 AND time < ?2
                 AND json_extract(answer, '$.issued.account_certificate') IS NULL",
            )?
            .execute(params![device.as_str(), time.as_millis()])?;
        Ok(())
    }

    pub(crate) fn add_answer(
        &self,
        request: &RequestKey,
        answer: &str,
        time: Timestamp,
    ) -> Result<(), LedgerError> {
        self.0
            .prepare_cached(
                "INSERT INTO answers (request, device, nonce, answer, time) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                request.hash.as_slice(),
                request.device.as_str(),
                request.nonce.as_slice(),
                answer,
                time.as_millis()
            ])?;
        Ok(())
    }
}
