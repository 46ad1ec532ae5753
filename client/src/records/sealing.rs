//! Facts and values as they are stored: each encrypted for its own place, each name a keyed hash.

use parlour_protocol::{Conversation, Seq};
use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::disk::sqlite;
use super::{Records, RecordsError};
use crate::reading::chain::ChainKey;

/// The kind of fact that a row holds; its encryption is bound to it.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Conversation = 1,
    Chain = 2,
    Device = 3,
    Pin = 4,
    OwnChain = 5,
    Outbox = 6,
    Generation = 7,
    NewestChain = 8,
    Revocation = 9,
}

impl Kind {
    pub(super) const ALL: [Self; 9] = [
        Self::Conversation,
        Self::Chain,
        Self::Device,
        Self::Pin,
        Self::OwnChain,
        Self::Outbox,
        Self::Generation,
        Self::NewestChain,
        Self::Revocation,
    ];
}

impl Records {
    pub(super) fn fact<T: DeserializeOwned>(
        &self,
        kind: Kind,
        label: &str,
    ) -> Result<Option<T>, RecordsError> {
        let tag = self.tag(kind, label);
        let body: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT body FROM facts WHERE tag = ?1")
            .and_then(|mut select| select.query_row([tag.as_slice()], |row| row.get(0)).optional())
            .map_err(sqlite)?;
        body.map(|body| self.unseal(&context(kind, &tag), &body)).transpose()
    }

    pub(super) fn set_fact<T: Serialize>(
        &self,
        kind: Kind,
        label: &str,
        fact: &T,
    ) -> Result<(), RecordsError> {
        let tag = self.tag(kind, label);
        let body = self.seal(&context(kind, &tag), fact)?;
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO facts (tag, kind, body) VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![tag, kind as u8, body]))
            .map_err(sqlite)?;
        Ok(())
    }

    pub(super) fn conversation_tag(&self, name: &Conversation) -> Vec<u8> {
        self.tag(Kind::Conversation, &name.to_string())
    }

    pub(super) fn tag(&self, kind: Kind, label: &str) -> Vec<u8> {
        let mut bytes = vec![kind as u8];
        bytes.extend_from_slice(label.as_bytes());
        self.vault.tag(&bytes).to_vec()
    }

    pub(super) fn seal<T: Serialize>(&self, context: &[u8], value: &T) -> Result<Vec<u8>, RecordsError> {
        let json =
            Zeroizing::new(serde_json::to_vec(value).map_err(|e| RecordsError::Unusable(e.to_string()))?);
        self.vault.seal(&mut rand::rng(), context, &json).map_err(|e| RecordsError::Unusable(e.to_string()))
    }

    pub(super) fn unseal<T: DeserializeOwned>(&self, context: &[u8], body: &[u8]) -> Result<T, RecordsError> {
        let damaged = || RecordsError::Damaged("a value in it does not open with local.key".to_owned());
        let json = self.vault.open(context, body).map_err(|_| damaged())?;
        serde_json::from_slice(&json).map_err(|_| damaged())
    }
}

pub(super) fn device_label(key: &ChainKey) -> String {
    format!("{} {} {}", key.conversation, key.from, key.device)
}

/// Binds a fact to its own place.
pub(super) fn context(kind: Kind, tag: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind as u8];
    bytes.extend_from_slice(tag);
    bytes
}

/// Binds a message to its own place. The first generation's context is the one from before there were generations.
pub(super) fn message_context(tag: &[u8], generation: u64, seq: Seq) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend_from_slice(tag);
    bytes.extend_from_slice(&seq.to_be_bytes());
    if generation > 0 {
        bytes.extend_from_slice(&generation.to_be_bytes());
    }
    bytes
}
