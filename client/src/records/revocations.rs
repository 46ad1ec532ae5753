//! Proved revocations. They are kept for good; when one arrives, the messages that its device signed are judged again.

use parlour_keylog::SignedRevocation;
use parlour_protocol::limits::CLOCK_TOLERANCE_MS;
use parlour_protocol::{Conversation, DeviceId, Seq, Timestamp, UserName};
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{Kind, Records, RecordsError, context, message_context, sqlite};
use crate::reading::shown::Shown;

/// A revocation with its proof.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)] // each is what the revocation's statement says
pub struct KnownRevocation {
    pub number: u64,
    pub name: UserName,
    pub device: DeviceId,
    pub time: Timestamp,
    /// The statement itself, to be shown to others.
    pub statement: String,
}

impl Records {
    /// All revocations that are known.
    pub fn revocations(&self) -> Result<Vec<KnownRevocation>, RecordsError> {
        let mut select =
            self.connection.prepare_cached("SELECT tag, body FROM facts WHERE kind = ?1").map_err(sqlite)?;
        let rows = select
            .query_map([Kind::Revocation as u8], |row| {
                Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .map_err(sqlite)?;
        rows.map(|row| {
            let (tag, body) = row.map_err(sqlite)?;
            self.unseal(&context(Kind::Revocation, &tag), &body)
        })
        .collect()
    }

    /// The number up to which all revocations are known.
    pub fn revocations_known(&self) -> Result<u64, RecordsError> {
        let mut numbers: Vec<u64> = self.revocations()?.iter().map(|known| known.number).collect();
        numbers.sort_unstable();
        Ok(numbers.into_iter().fold(0, |known, number| if number == known + 1 { number } else { known }))
    }

    /// True if a revocation is known under its number.
    pub fn knows_revocation(&self, signed: &SignedRevocation) -> Result<bool, RecordsError> {
        Ok(self.fact::<KnownRevocation>(Kind::Revocation, &label(signed))?.is_some())
    }

    /// Keeps a revocation, and gives the kept messages of the device their new verdict, all or nothing. Returns
    /// the messages whose verdict changed; nothing if the revocation was known. `me` is the owner of these records.
    pub fn add_revocation(
        &mut self,
        me: &UserName,
        signed: &SignedRevocation,
    ) -> Result<Option<Vec<Shown>>, RecordsError> {
        let SignedRevocation { number, name, device, time, statement } = signed;
        if self.knows_revocation(signed)? {
            return Ok(None);
        }
        let label = label(signed);
        let known = KnownRevocation {
            number: *number,
            name: name.clone(),
            device: device.clone(),
            time: *time,
            statement: statement.clone(),
        };
        let conversations: Vec<Conversation> = if name == me {
            self.extents()?.into_iter().map(|extent| extent.name).collect()
        } else {
            vec![Conversation::Direct(name.clone())]
        };
        self.write(|records| {
            let transaction = records.connection.unchecked_transaction().map_err(sqlite)?;
            records.set_fact(Kind::Revocation, &label, &known)?;
            let mut judged = Vec::new();
            for conversation in &conversations {
                records.judge_again(conversation, &known, &mut judged)?;
            }
            transaction.commit().map_err(sqlite)?;
            Ok(Some(judged))
        })
    }

    fn judge_again(
        &self,
        name: &Conversation,
        revocation: &KnownRevocation,
        judged: &mut Vec<Shown>,
    ) -> Result<(), RecordsError> {
        let tag = self.conversation_tag(name);
        let path = self.extent(name)?.map(|extent| self.path(&extent)).transpose()?.unwrap_or_default();
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT generation, seq, body FROM messages WHERE conversation = ?1 ORDER BY generation, seq",
            )
            .map_err(sqlite)?;
        let rows = select
            .query_map([tag.as_slice()], |row| {
                Ok((row.get::<_, u64>(0)?, row.get::<_, Seq>(1)?, row.get::<_, Vec<u8>>(2)?))
            })
            .map_err(sqlite)?
            .collect::<Result<Vec<_>, _>>()
            .map_err(sqlite)?;
        for (generation, seq, body) in rows {
            let context = message_context(&tag, generation, seq);
            let mut shown: Shown = self.unseal(&context, &body)?;
            if !had_been_revoked(&shown, revocation) {
                continue;
            }
            shown.withdraw();
            let body = self.seal(&context, &shown)?;
            self.connection
                .prepare_cached(
                    "UPDATE messages SET body = ?4 WHERE conversation = ?1 AND generation = ?2 AND seq = ?3",
                )
                .and_then(|mut update| update.execute(params![tag, generation, seq, body]))
                .map_err(sqlite)?;
            // Its present place, so that a face can update the right message.
            judged.push(Shown { generation, set_aside: !path.has(generation, seq), ..shown });
        }
        Ok(())
    }
}

/// The name of a revocation's fact. Two different revocations under one number are both kept.
fn label(signed: &SignedRevocation) -> String {
    let SignedRevocation { number, name, device, time, .. } = signed;
    format!("{number} {name} {device} {}", time.as_millis())
}

/// True if a kept message was good so far and the device had been revoked when it signed. Versions that kept no
/// signer knew one device per user, and kept the signed time if it was far from the server's.
fn had_been_revoked(shown: &Shown, revocation: &KnownRevocation) -> bool {
    let is_sealed = matches!(shown.conversation, Conversation::Direct(_)) && shown.verdict.is_believed();
    if !is_sealed || shown.from != revocation.name {
        return false;
    }
    let (is_by_it, signed) = if let Some(signer) = &shown.signer {
        (signer.device == revocation.device, signer.time.as_millis())
    } else {
        let earliest = shown.time.as_millis().saturating_sub(CLOCK_TOLERANCE_MS);
        (true, shown.signed.map_or(earliest, Timestamp::as_millis))
    };
    is_by_it && signed >= revocation.time.as_millis()
}
