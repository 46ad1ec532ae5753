//! The user who is logged in: keys, records, and messages under way.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use parlour_protocol::{Conversation, Message, UserName};

use super::Door;
use super::contacts::ContactError;
use super::contacts::Contacts;
use super::held::HeldMessages;
use super::revocations::Revocations;
use crate::asking::asker::Answering;
use crate::asking::update::Waiting;
use crate::profile::{Profile, ProfileLock};
use crate::reading::chain::ChainKey;
use crate::reading::opening::Opener;
use crate::reading::shown::Shown;
use crate::records::{Burnt, Learned, Outgoing, OutgoingBody, OwnChain, Records, RecordsError};

/// The most waiting messages that a face is shown.
const WAITING_SHOWN: usize = 200;

/// A message on its way, in memory.
pub(super) struct Sending {
    pub(super) position: i64,
    pub(super) outgoing: Outgoing,
    /// The number of its command, while an answer is pending.
    pub(super) asked: Option<u64>,
    /// Takes the answer; there is none after a restart.
    pub(super) answer: Option<Answering>,
}

/// A logged-in user. It stays when the connection is lost.
pub struct Account {
    pub(super) profile: Profile,
    pub(super) records: Records,
    /// Opens what is sealed to this user.
    pub(super) opener: Arc<Opener>,
    pub(super) contacts: Contacts,
    pub(super) revocations: Revocations,
    /// In the order in which they were written.
    pub(super) sending: Vec<Sending>,
    /// True if more messages wait than are shown.
    pub(super) is_outbox_long: bool,
    /// True if the user was told that there are too many conversations.
    pub(super) told_of_conversations: bool,
    /// True once the backlog was told: newer messages are told one by one after that.
    pub(super) told: bool,
    /// Messages in the records that no face has heard of yet.
    pub(super) untold: Vec<Shown>,
    /// Conversations whose newest messages were shown ahead of what comes before them.
    pub(super) shown_ahead: HashSet<Conversation>,
    /// Messages that came while others before them were being fetched.
    pub(super) held: HeldMessages,
    /// Changed account keys that the user was told of and has not accepted.
    pub(super) suspects: HashMap<UserName, String>,
    pub(super) _door: Door,
    pub(super) _lock: ProfileLock,
}

impl Account {
    /// The account, with the messages that an earlier run left to send.
    pub(super) fn new(
        profile: Profile,
        records: Records,
        door: Door,
        lock: ProfileLock,
    ) -> Result<Self, RecordsError> {
        let sending = records
            .outgoing()?
            .into_iter()
            .map(|(position, outgoing)| Sending { position, outgoing, asked: None, answer: None })
            .collect();
        let revocations = Revocations::kept(&records)?;
        let opener =
            Opener::new(profile.name.clone(), Arc::clone(&profile.account_key), profile.root.clone());
        Ok(Self {
            profile,
            records,
            opener: Arc::new(opener),
            contacts: Contacts::default(),
            revocations,
            sending,
            is_outbox_long: false,
            told_of_conversations: false,
            told: false,
            untold: Vec::new(),
            shown_ahead: HashSet::new(),
            held: HeldMessages::default(),
            suspects: HashMap::new(),
            _door: door,
            _lock: lock,
        })
    }

    /// Notes an account key that differs from the known one, and returns the error that says so.
    pub(super) fn suspect(&mut self, name: &UserName, kid: &str) -> ContactError {
        self.suspects.insert(name.clone(), kid.to_owned());
        ContactError::KeyChanged { name: name.clone(), kid: kid.to_owned() }
    }

    /// The name of one of our own chains.
    fn own_key(&self, name: &Conversation, chain: &str) -> ChainKey {
        ChainKey {
            conversation: name.clone(),
            from: self.profile.name.clone(),
            device: self.profile.device.device().clone(),
            chain: chain.to_owned(),
        }
    }

    /// Advances our own chain past what was read of it.
    pub(super) fn advance_own(&mut self, name: &Conversation, learned: &Learned) -> Result<(), RecordsError> {
        for (key, chain) in &learned.chains {
            // A message under way may still be refused although it was read here: its answer decides.
            if *key == self.own_key(name, &key.chain) && !self.is_under_way(key, chain.last_n) {
                let (n, prev) = (chain.last_n + 1, chain.last_hash.clone());
                let next = OwnChain { chain: key.chain.clone(), n, prev, void: 0 };
                self.records.advance_own_chain(name, &next)?;
            }
        }
        Ok(())
    }

    /// True if the message at this place of one of our chains has not been answered yet.
    fn is_under_way(&self, key: &ChainKey, place: u64) -> bool {
        self.sending.iter().map(|sending| &sending.outgoing).any(|outgoing| match &outgoing.body {
            OutgoingBody::Sealed { chain, n, .. } => {
                (&outgoing.to, chain, *n) == (&key.conversation, &key.chain, place)
            }
            OutgoingBody::Text(_) => false,
        })
    }

    /// Our own chain in a conversation, and the counters in it that the server told us it refused.
    pub(super) fn own_refused(
        &self,
        name: &Conversation,
    ) -> Result<Option<(ChainKey, Range<u64>)>, RecordsError> {
        let own = self.records.own_chain(name)?;
        Ok(own.map(|own| (self.own_key(name, &own.chain), own.refused())))
    }

    /// The place in our chain that a message takes, if it is sealed.
    pub(super) fn burnt(&self, outgoing: &Outgoing) -> Option<Burnt> {
        match &outgoing.body {
            OutgoingBody::Sealed { chain, n, hash, .. } => {
                Some(Burnt { key: self.own_key(&outgoing.to, chain), n: *n, hash: hash.clone() })
            }
            OutgoingBody::Text(_) => None,
        }
    }

    /// Forgets the questions asked on the lost connection: no answers will come.
    pub(super) fn offline(&mut self) {
        for sending in &mut self.sending {
            sending.asked = None;
        }
        // The messages of others are fetched again.
        self.held.keep_asked();
        // On a new connection the accounts are asked for again.
        self.contacts = Contacts::default();
    }

    /// The first message of each conversation that may be sent now: one at a time, so that each knows
    /// what it follows.
    pub(super) fn next_to_send(&self) -> Option<usize> {
        let mut busy: HashSet<&Conversation> = HashSet::new();
        for (index, sending) in self.sending.iter().enumerate() {
            let first = busy.insert(&sending.outgoing.to);
            if first && sending.asked.is_none() {
                return Some(index);
            }
        }
        None
    }

    /// True if a stored message is the one that was sent.
    pub(super) fn is_answer(&self, index: usize, message: &Message) -> bool {
        self.sending.get(index).is_some_and(|sending| {
            sending.outgoing.id == message.id
                && sending.outgoing.to == message.to
                && message.from == self.profile.name
        })
    }

    /// The newest messages that wait, as a face shows them.
    pub(super) fn waiting(&self) -> Vec<Waiting> {
        let hidden = self.sending.len().saturating_sub(WAITING_SHOWN);
        self.sending
            .iter()
            .skip(hidden)
            .map(|sending| Waiting {
                id: sending.outgoing.id,
                to: sending.outgoing.to.clone(),
                text: sending.outgoing.body.text().to_owned(),
            })
            .collect()
    }

    /// True if nothing else in this conversation has to be sent before a new message.
    pub(super) fn is_next(&self, to: &Conversation) -> bool {
        self.sending.iter().all(|sending| sending.outgoing.to != *to)
    }

    /// Keeps a new message to be sent.
    pub(super) fn queue(
        &mut self,
        outgoing: Outgoing,
        answer: Answering,
    ) -> Result<(), (RecordsError, Answering)> {
        match self.records.push_outgoing(&outgoing) {
            Ok(position) => {
                self.sending.push(Sending { position, outgoing, asked: None, answer: Some(answer) });
                Ok(())
            }
            Err(failure) => Err((failure, answer)),
        }
    }
}
