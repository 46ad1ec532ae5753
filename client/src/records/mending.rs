//! Damage: every value must open in its place. Damaged values that the server has are forgotten and fetched again; the
//! loss of values that only this machine had is reported to the user. `records/checking.rs` decides when to look.

use std::collections::{BTreeMap, HashSet};

use super::RecordsError;
use super::{Extent, Kind, Records, context, message_context, sqlite};
use rusqlite::params;

/// Writes both tables anew, without the damaged rows.
const WITHOUT_BAD: &str = "
    CREATE TEMP TABLE facts_kept AS SELECT tag, kind, body FROM main.facts
        WHERE tag NOT IN (SELECT tag FROM bad_facts);
    CREATE TEMP TABLE messages_kept AS SELECT conversation, generation, seq, body FROM main.messages AS kept
        WHERE NOT EXISTS (SELECT 1 FROM bad_messages AS bad WHERE bad.conversation = kept.conversation
            AND (bad.generation IS NULL OR bad.generation = kept.generation));
    DELETE FROM main.facts;
    DELETE FROM main.messages;
    INSERT INTO main.facts SELECT * FROM facts_kept;
    INSERT INTO main.messages SELECT * FROM messages_kept;
    DROP TABLE facts_kept; DROP TABLE messages_kept; DROP TABLE bad_facts; DROP TABLE bad_messages;
";

/// A conversation with damage in it.
struct BadConversation {
    tag: Vec<u8>,
    /// Its extent, if that can be read.
    extent: Option<Extent>,
    /// The intact generations that are set aside. The server could not give them again, so they stay.
    sound: Vec<u64>,
    /// All others.
    bad: Vec<u64>,
}

/// The damage that was found, as the user reads it.
#[derive(Default)]
struct Damage {
    /// The number of values that are as they were written.
    sound: usize,
    facts: BTreeMap<u8, u64>,
    conversations: u64,
    outgoing: u64,
    lost: u64,
}

impl Records {
    /// Removes what is damaged, and returns the reports for the user. Fails if nothing can be read any more, or if
    /// the file itself is inconsistent.
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
            for conversation in &bad_conversations {
                records.begin_after_damage(conversation)?;
            }
            for position in &bad_outgoing {
                transaction.execute("DELETE FROM outbox WHERE position = ?1", [position]).map_err(sqlite)?;
            }
            records.note_outbox()?;
            transaction.commit().map_err(sqlite)
        })?;
        Ok(damage.words())
    }

    /// Removes facts and conversations, and writes both tables anew: a row whose name was changed stands in the
    /// wrong place of the index, where a deletion would not find it.
    fn take_out_all(&self, facts: &[Vec<u8>], conversations: &[BadConversation]) -> Result<(), RecordsError> {
        self.connection
            .execute_batch(
                "CREATE TEMP TABLE bad_facts (tag BLOB);
                 CREATE TEMP TABLE bad_messages (conversation BLOB, generation INTEGER)",
            )
            .map_err(sqlite)?;
        let fact = |tag: &[u8]| {
            self.connection.execute("INSERT INTO bad_facts VALUES (?1)", [tag]).map(drop).map_err(sqlite)
        };
        for tag in facts {
            fact(tag)?;
        }
        for BadConversation { tag, extent, bad, sound } in conversations {
            fact(tag)?;
            let all = sound.is_empty().then_some(None);
            let bad = bad.iter().copied().map(Some);
            for generation in all.into_iter().chain(bad.clone()) {
                self.connection
                    .execute("INSERT INTO bad_messages VALUES (?1, ?2)", params![tag, generation])
                    .map_err(sqlite)?;
            }
            if let Some(extent) = extent {
                for generation in bad.flatten() {
                    fact(&self.generation_tag(&extent.name, generation))?;
                }
            }
        }
        self.connection.execute_batch(WITHOUT_BAD).map_err(sqlite)
    }

    /// Keeps messages that are set aside readable, under a new generation for what will be fetched again.
    fn begin_after_damage(&self, conversation: &BadConversation) -> Result<(), RecordsError> {
        match &conversation.extent {
            Some(extent) if !conversation.sound.is_empty() => {
                let generation = extent.generation + 1;
                self.set_extent(&Extent { generation, ..Extent::new(extent.name.clone(), 1) })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn look_at_structure(&self) -> Result<(), RecordsError> {
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
            // If the kind was damaged, the value still tells which kind it was.
            let kind = Kind::ALL.into_iter().find(|kind| self.opens(&context(*kind, &tag), &body)).or(named);
            *damage.facts.entry(kind.map_or(0, |kind| kind as u8)).or_default() += 1;
            bad.push(tag);
        }
        Ok(bad)
    }

    /// Conversations with a message that does not open, or that is missing between the ends of a generation.
    fn bad_conversations(&self, damage: &mut Damage) -> Result<Vec<BadConversation>, RecordsError> {
        // For each generation, the number of its messages and the number of those that do not open.
        let mut found: BTreeMap<Vec<u8>, BTreeMap<u64, (u64, u64)>> = BTreeMap::new();
        let mut select = self
            .connection
            .prepare("SELECT conversation, generation, seq, body FROM messages")
            .map_err(sqlite)?;
        let mut rows = select.query([]).map_err(sqlite)?;
        while let Some(row) = rows.next().map_err(sqlite)? {
            let tag: Vec<u8> = row.get(0).map_err(sqlite)?;
            let (generation, seq): (i64, i64) = (row.get(1).map_err(sqlite)?, row.get(2).map_err(sqlite)?);
            let body: Vec<u8> = row.get(3).map_err(sqlite)?;
            let opens = match (u64::try_from(generation), u64::try_from(seq)) {
                (Ok(generation), Ok(seq)) => self.opens(&message_context(&tag, generation, seq), &body),
                _ => false,
            };
            damage.sound += usize::from(opens);
            let generation = u64::try_from(generation).unwrap_or(u64::MAX);
            let counts = found.entry(tag).or_default().entry(generation).or_default();
            *counts = (counts.0 + 1, counts.1 + u64::from(!opens));
        }
        let mut bad = Vec::new();
        for (tag, extent) in self.opening_extents()? {
            let counts = found.remove(&tag).unwrap_or_default();
            bad.extend(self.bad_in(tag, extent, &counts));
        }
        // Messages of a conversation that is otherwise unknown can be shown to nobody.
        bad.extend(found.into_keys().map(|tag| BadConversation {
            tag,
            extent: None,
            sound: vec![],
            bad: vec![],
        }));
        damage.conversations += bad.len() as u64;
        Ok(bad)
    }

    fn bad_in(
        &self,
        tag: Vec<u8>,
        extent: Extent,
        counts: &BTreeMap<u64, (u64, u64)>,
    ) -> Option<BadConversation> {
        let mut expected = BTreeMap::from([(extent.generation, (extent.begins, extent.last))]);
        let generations = self.readable_generations(&extent);
        expected.extend(generations.iter().map(|ended| (ended.number, (ended.first, ended.last))));
        let is_whole = |generation: u64| {
            let (first, last) = expected.get(&generation).copied().unwrap_or((1, 0));
            let count = counts.get(&generation).copied().unwrap_or((0, 0));
            count == ((last + 1).saturating_sub(first), 0)
        };
        if expected.keys().chain(counts.keys()).all(|generation| is_whole(*generation)) {
            return None;
        }
        let path = self.path(&extent).unwrap_or_default();
        let stays = |generation: &u64| {
            *generation != extent.generation && path.count(*generation) == 0 && is_whole(*generation)
        };
        let (sound, bad) = expected.keys().chain(counts.keys()).copied().partition(stays);
        Some(BadConversation { tag, extent: Some(extent), sound, bad })
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
            if let Ok(extent) = self.unseal::<Extent>(&context(Kind::Conversation, &tag), &body) {
                extents.push((tag, extent.completed()));
            }
        }
        Ok(extents)
    }

    /// The positions of waiting messages that do not open.
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

    /// The number of waiting messages that are gone, leaving only the note that they existed.
    pub(super) fn missing_outgoing(&self) -> Result<u64, RecordsError> {
        let stored = self.stored_outgoing()?;
        let there: HashSet<Vec<u8>> = stored
            .iter()
            .filter_map(|(_, outgoing)| outgoing.as_ref().ok())
            .map(|outgoing| self.tag(Kind::Outbox, &outgoing.id.to_string()))
            .collect();
        let mut select =
            self.connection.prepare("SELECT tag, body FROM facts WHERE kind = ?1").map_err(sqlite)?;
        let mut rows = select.query([Kind::Outbox as u8]).map_err(sqlite)?;
        let mut gone = 0_usize;
        while let Some(row) = rows.next().map_err(sqlite)? {
            let (tag, body): (Vec<u8>, Vec<u8>) = (row.get(0).map_err(sqlite)?, row.get(1).map_err(sqlite)?);
            gone += usize::from(!there.contains(&tag) && self.opens(&context(Kind::Outbox, &tag), &body));
        }
        let damaged = stored.iter().filter(|(_, outgoing)| outgoing.is_err()).count();
        Ok(gone.saturating_sub(damaged) as u64)
    }

    pub(super) fn opens(&self, context: &[u8], body: &[u8]) -> bool {
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
            facts(&[Kind::Chain, Kind::NewestChain, Kind::Device, Kind::OwnChain]),
            "notes of the newest messages are lost: a missing message may go unnoticed once",
        );
        say(facts(&[Kind::Revocation]), "revocations are fetched again from the server");
        say(
            facts(&[Kind::Outbox]),
            "notes of waiting messages are lost: the messages that can be read are sent",
        );
        say(facts(&[Kind::Generation]), "notes of messages set aside are lost, and the messages with them");
        words
    }
}
