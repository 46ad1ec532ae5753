//! What is looked at when records are opened: every value must open in its place. What the server has is forgotten
//! when it was damaged, and fetched again; of what only this machine had the user is told.

use std::collections::{BTreeMap, HashSet};

use super::RecordsError;
use super::{Extent, Kind, Outgoing, Records, context, message_context, sqlite};
use parlour_protocol::MessageId;

/// Writes both tables anew, without what was damaged.
const WITHOUT_BAD: &str = "
    CREATE TEMP TABLE facts_kept AS SELECT tag, kind, body FROM main.facts
        WHERE tag NOT IN (SELECT tag FROM bad_facts) AND tag NOT IN (SELECT tag FROM bad_conversations);
    CREATE TEMP TABLE messages_kept AS SELECT conversation, seq, body FROM main.messages
        WHERE conversation NOT IN (SELECT tag FROM bad_conversations);
    DELETE FROM main.facts;
    DELETE FROM main.messages;
    INSERT INTO main.facts SELECT * FROM facts_kept;
    INSERT INTO main.messages SELECT * FROM messages_kept;
    DROP TABLE facts_kept; DROP TABLE messages_kept; DROP TABLE bad_facts; DROP TABLE bad_conversations;
";

/// What was damaged, as the user hears it.
#[derive(Default)]
struct Damage {
    /// Values that are as they were written.
    sound: usize,
    facts: BTreeMap<u8, u64>,
    conversations: u64,
    outgoing: u64,
    lost: u64,
}

impl Records {
    /// Takes out what was damaged; returns what the user should know. An error when nothing can be read any more, or
    /// the file itself does not hold together.
    pub(super) fn mend(&mut self) -> Result<Vec<String>, RecordsError> {
        self.look_at_structure()?;
        let mut damage = Damage::default();
        let bad_facts = self.bad_facts(&mut damage)?;
        let bad_conversations = self.bad_conversations(&mut damage)?;
        let bad_outgoing = self.bad_outgoing(&mut damage)?;
        let is_damaged = !(bad_facts.is_empty() && bad_conversations.is_empty() && bad_outgoing.is_empty());
        if damage.sound == 0 && is_damaged {
            return Err(RecordsError::Damaged("nothing in it opens with local.key".to_owned()));
        }
        damage.lost = self.missing_outgoing()?;
        if !is_damaged && damage.lost == 0 {
            return Ok(Vec::new());
        }
        self.write(|records| {
            let transaction = records.connection.unchecked_transaction().map_err(sqlite)?;
            records.take_out_all(&bad_facts, &bad_conversations)?;
            for position in &bad_outgoing {
                transaction.execute("DELETE FROM outbox WHERE position = ?1", [position]).map_err(sqlite)?;
            }
            records.note_outbox()?;
            transaction.commit().map_err(sqlite)
        })?;
        Ok(damage.words())
    }

    /// Takes facts and conversations out, and writes both tables anew: where a row's name was changed it stands in a
    /// wrong place, and cannot be found to be deleted.
    fn take_out_all(&self, facts: &[Vec<u8>], conversations: &[Vec<u8>]) -> Result<(), RecordsError> {
        self.connection
            .execute_batch(
                "CREATE TEMP TABLE bad_facts (tag BLOB); CREATE TEMP TABLE bad_conversations (tag BLOB)",
            )
            .map_err(sqlite)?;
        for (table, tags) in [("bad_facts", facts), ("bad_conversations", conversations)] {
            for tag in tags {
                let insert = format!("INSERT INTO {table} VALUES (?1)");
                self.connection.execute(&insert, [tag]).map_err(sqlite)?;
            }
        }
        self.connection.execute_batch(WITHOUT_BAD).map_err(sqlite)
    }

    fn look_at_structure(&self) -> Result<(), RecordsError> {
        let mut check = self.connection.prepare("PRAGMA quick_check(1)").map_err(sqlite)?;
        let line: String = check.query_row([], |row| row.get(0)).map_err(sqlite)?;
        if line == "ok" { Ok(()) } else { Err(RecordsError::Damaged(line)) }
    }

    /// The tags of facts that do not open.
    fn bad_facts(&self, damage: &mut Damage) -> Result<Vec<Vec<u8>>, RecordsError> {
        let mut select = self.connection.prepare("SELECT tag, kind, body FROM facts").map_err(sqlite)?;
        let mut rows = select.query([]).map_err(sqlite)?;
        let mut bad = Vec::new();
        while let Some(row) = rows.next().map_err(sqlite)? {
            let tag: Vec<u8> = row.get(0).map_err(sqlite)?;
            let (kind, body): (i64, Vec<u8>) = (row.get(1).map_err(sqlite)?, row.get(2).map_err(sqlite)?);
            let named = Kind::ALL.into_iter().find(|known| *known as i64 == kind);
            if named.is_some_and(|kind| self.opens(&context(kind, &tag), &body)) {
                damage.sound += 1;
                continue;
            }
            // Where its kind was damaged, the value still says which it was.
            let kind = Kind::ALL.into_iter().find(|kind| self.opens(&context(*kind, &tag), &body)).or(named);
            *damage.facts.entry(kind.map_or(0, |kind| kind as u8)).or_default() += 1;
            bad.push(tag);
        }
        Ok(bad)
    }

    /// The tags of conversations of which a message does not open, or is missing between the oldest and the newest.
    fn bad_conversations(&self, damage: &mut Damage) -> Result<Vec<Vec<u8>>, RecordsError> {
        let mut bad = HashSet::new();
        let mut found: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        let mut select =
            self.connection.prepare("SELECT conversation, seq, body FROM messages").map_err(sqlite)?;
        let mut rows = select.query([]).map_err(sqlite)?;
        while let Some(row) = rows.next().map_err(sqlite)? {
            let tag: Vec<u8> = row.get(0).map_err(sqlite)?;
            let (seq, body): (i64, Vec<u8>) = (row.get(1).map_err(sqlite)?, row.get(2).map_err(sqlite)?);
            *found.entry(tag.clone()).or_default() += 1;
            match u64::try_from(seq) {
                Ok(seq) if self.opens(&message_context(&tag, seq), &body) => damage.sound += 1,
                _ => drop(bad.insert(tag)),
            }
        }
        let mut known = HashSet::new();
        for (tag, extent) in self.opening_extents()? {
            let expected = (extent.last + 1).saturating_sub(extent.first);
            if found.get(&tag).copied().unwrap_or(0) != expected {
                bad.insert(tag.clone());
            }
            known.insert(tag);
        }
        // Messages of a conversation of which nothing else is known can be shown to nobody.
        bad.extend(found.into_keys().filter(|tag| !known.contains(tag)));
        damage.conversations += bad.len() as u64;
        Ok(bad.into_iter().collect())
    }

    fn opening_extents(&self) -> Result<Vec<(Vec<u8>, Extent)>, RecordsError> {
        let mut select =
            self.connection.prepare("SELECT tag, body FROM facts WHERE kind = ?1").map_err(sqlite)?;
        let rows = select
            .query_map([Kind::Conversation as u8], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(sqlite)?;
        let mut extents = Vec::new();
        for row in rows {
            let (tag, body): (Vec<u8>, Vec<u8>) = row.map_err(sqlite)?;
            if let Ok(extent) = self.unseal(&context(Kind::Conversation, &tag), &body) {
                extents.push((tag, extent));
            }
        }
        Ok(extents)
    }

    /// The positions of what waits to be sent and does not open.
    fn bad_outgoing(&self, damage: &mut Damage) -> Result<Vec<i64>, RecordsError> {
        let mut bad = Vec::new();
        for (position, outgoing) in self.stored_outgoing()? {
            match outgoing {
                Ok(_) => damage.sound += 1,
                Err(_) => bad.push(position),
            }
        }
        damage.outgoing = bad.len() as u64;
        Ok(bad)
    }

    /// How much of what was to be sent is gone without a trace but that it is noted.
    fn missing_outgoing(&self) -> Result<u64, RecordsError> {
        let Ok(Some(noted)) = self.noted_outbox() else { return Ok(0) };
        let stored = self.stored_outgoing()?;
        let there: HashSet<MessageId> = stored
            .iter()
            .filter_map(|(_, outgoing)| outgoing.as_ref().ok())
            .map(|o: &Outgoing| o.id)
            .collect();
        let damaged = stored.iter().filter(|(_, outgoing)| outgoing.is_err()).count();
        let gone = noted.iter().filter(|id| !there.contains(id)).count();
        Ok(gone.saturating_sub(damaged) as u64)
    }

    fn opens(&self, context: &[u8], body: &[u8]) -> bool {
        self.vault.open(context, body).is_ok()
    }
}

impl Damage {
    fn words(&self) -> Vec<String> {
        let facts =
            |kinds: &[Kind]| -> u64 { kinds.iter().filter_map(|kind| self.facts.get(&(*kind as u8))).sum() };
        let unknown = self.facts.get(&0).copied().unwrap_or(0);
        let mut words = Vec::new();
        let mut say = |count: u64, what: &str| {
            if count > 0 {
                words.push(format!("local.db was damaged: {count} {what}"));
            }
        };
        say(
            self.conversations.max(facts(&[Kind::Conversation])),
            "conversations are fetched again from the server",
        );
        say(
            self.outgoing + self.lost,
            "messages that waited to be sent cannot be read any more, and are not sent: please write them again",
        );
        say(
            facts(&[Kind::Pin]) + unknown,
            "known account keys are lost: compare keys before you trust the next one of somebody you know",
        );
        say(
            facts(&[Kind::Chain, Kind::Device, Kind::OwnChain]),
            "notes of what came last are lost: a missing message may go unnoticed once",
        );
        say(facts(&[Kind::Revocation]), "revocations are asked for again from the server");
        say(
            facts(&[Kind::Outbox]),
            "list of what waits to be sent is lost: what could be read of it is sent",
        );
        words
    }
}
