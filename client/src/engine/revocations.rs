//! Revocations: what the TTP signed is kept for good and used in judging; the server's bare word is not believed.

use std::collections::{HashMap, HashSet};

use parlour_keylog::SignedRevocation;
use parlour_protocol::{Command, DeviceId, Refusal, Reply, RevokedDevice, Timestamp, UserName};

use super::sync::SyncError;
use super::{Account, Engine};
use crate::asking::update::Update;
use crate::link::LinkError;
use crate::reading::shown::Shown;
use crate::records::{Records, RecordsError};

/// The most users about whom the server may claim a revocation without proof; beyond this, it is flooding us.
const UNPROVED: usize = 1_000;

/// The proved revocations, and the claims without proof.
pub(super) struct Revocations {
    of: HashMap<UserName, Vec<RevokedDevice>>,
    /// Their numbers.
    numbers: HashSet<u64>,
    /// Users whose devices the server calls revoked without proof; each is reported once.
    unproved: HashSet<UserName>,
    /// The warnings that the user has seen: `None` that the server cannot show revocations, a number that the server
    /// withholds that one.
    told: HashSet<Option<u64>>,
}

/// A revocation as the server claims it, beside its statement.
pub(super) struct Claimed<'a> {
    pub(super) user: &'a UserName,
    pub(super) device: &'a DeviceId,
    pub(super) time: Timestamp,
    /// Its number in the TTP's list, if the server gives one.
    pub(super) number: Option<u64>,
    pub(super) statement: Option<&'a str>,
}

impl Claimed<'_> {
    /// True if the statement says the same.
    fn agrees(&self, signed: &SignedRevocation) -> bool {
        let same = (&signed.name, &signed.device, signed.time) == (self.user, self.device, self.time);
        same && self.number.is_none_or(|number| number == signed.number)
    }
}

impl Revocations {
    /// The revocations that are kept.
    pub(super) fn kept(records: &Records) -> Result<Self, RecordsError> {
        let mut revocations = Self {
            of: HashMap::new(),
            numbers: HashSet::new(),
            unproved: HashSet::new(),
            told: HashSet::new(),
        };
        for known in records.revocations()? {
            revocations.add(known.number, known.name, known.device, known.time);
        }
        Ok(revocations)
    }

    /// The revoked devices of a user.
    pub(super) fn of(&self, name: &UserName) -> &[RevokedDevice] {
        self.of.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns whether its number is that of another one.
    fn add(&mut self, number: u64, name: UserName, device: DeviceId, time: Timestamp) -> bool {
        self.of.entry(name).or_default().push(RevokedDevice { device, time, statement: None });
        !self.numbers.insert(number)
    }
}

impl Engine {
    /// Asks for the revocations that are not known yet. If the server cannot list them, the user can still read.
    ///
    /// The newest known one is requested once more: if it does not come again, the TTP was set back and may have
    /// reused known numbers for other revocations, and so all are requested.
    pub(super) async fn fetch_revocations(&mut self) -> Result<(), SyncError> {
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let mut after = account.records.revocations_known()?.saturating_sub(1);
        let mut is_first = true;
        loop {
            let reply = match self.ask_online(&Command::Revocations { after }).await {
                Ok(reply) => reply,
                Err(LinkError::Refused(refusal)) => {
                    let reason = match refusal {
                        Refusal::UnknownCommand(_) => "it is of an older version".to_owned(),
                        refusal => refusal.to_string(),
                    };
                    let notice = format!("revoked devices cannot be checked with this server: {reason}");
                    self.tell_of_revocations(None, notice).await;
                    return Ok(());
                }
                Err(failure) => return Err(failure.into()),
            };
            let Reply::Revocations { statements, more } = reply else {
                return Err(LinkError::protocol("it does not say what was revoked").into());
            };
            if std::mem::take(&mut is_first) && after > 0 && !self.is_kept(statements.first())? {
                after = 0;
                continue;
            }
            let reached = self.take_statements(&statements, after).await?;
            if !more {
                return Ok(());
            }
            if reached == after {
                let notice = "the server says that there are more revocations and shows none".to_owned();
                self.tell_of_revocations(Some(after), notice).await;
                return Ok(());
            }
            after = reached;
        }
    }

    /// True if the same revocation is known already.
    fn is_kept(&self, statement: Option<&String>) -> Result<bool, SyncError> {
        let Some(signed) = statement.and_then(|statement| self.verify_statement(statement)) else {
            return Ok(false);
        };
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        Ok(account.records.knows_revocation(&signed)?)
    }

    /// Takes a page of statements after the number `after`, and returns the number of the last valid one.
    async fn take_statements(&mut self, statements: &[String], after: u64) -> Result<u64, SyncError> {
        let mut reached = after;
        for statement in statements {
            let Some(signed) = self.verify_statement(statement) else {
                let notice =
                    "the server shows a revocation that nobody signed; nothing is judged by it".to_owned();
                self.tell_of_revocations(Some(0), notice).await;
                continue;
            };
            if signed.number > reached + 1 {
                let number = reached + 1;
                let notice = format!("the server withholds revocation {number}");
                self.tell_of_revocations(Some(number), notice).await;
            }
            reached = reached.max(signed.number);
            self.remember_revocation(&signed).await?;
        }
        Ok(reached)
    }

    /// Takes the server's claim about one device. A claim without proof is reported once and changes nothing.
    /// Returns true if it was proved and is new.
    pub(super) async fn take_claim(&mut self, claimed: Claimed<'_>) -> Result<bool, SyncError> {
        let signed = claimed.statement.and_then(|statement| self.verify_statement(statement));
        if let Some(signed) = signed.filter(|signed| claimed.agrees(signed)) {
            return self.remember_revocation(&signed).await;
        }
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let Revocations { of, unproved, .. } = &mut account.revocations;
        let is_known = |revoked: &RevokedDevice| revoked.device == *claimed.device;
        if of.get(claimed.user).is_some_and(|devices| devices.iter().any(is_known)) {
            return Ok(false);
        }
        if unproved.len() >= UNPROVED {
            return Err(LinkError::Flooded.into());
        }
        if unproved.insert(claimed.user.clone()) {
            let user = claimed.user;
            let notice = format!("the server says that a device of {user} was revoked and shows no proof");
            self.tell(Update::Notice(notice)).await;
        }
        Ok(false)
    }

    /// Handles the server's claim that a device was revoked just now.
    pub(super) async fn hear_revocation(&mut self, claimed: Claimed<'_>) {
        let (user, device) = (claimed.user.clone(), claimed.device.clone());
        match self.take_claim(claimed).await {
            Ok(false) => {}
            Ok(true) => self.tell(Update::Notice(format!("device {device} of {user} was revoked"))).await,
            Err(SyncError::Link(failure)) => self.lost(failure).await,
            Err(failure) => self.not_online(failure.into()).await,
        }
    }

    fn verify_statement(&self, statement: &str) -> Option<SignedRevocation> {
        let root = &self.account.as_ref()?.profile.root;
        SignedRevocation::verify(statement, root, self.setup.clock.now().as_seconds()).ok()
    }

    /// Keeps a revocation for good, and judges the kept messages of the device again. Returns true if it is new.
    async fn remember_revocation(&mut self, signed: &SignedRevocation) -> Result<bool, SyncError> {
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let Account { profile, records, revocations, .. } = account;
        let Some(judged) = records.add_revocation(&profile.name, signed)? else { return Ok(false) };
        let number = signed.number;
        let is_taken = revocations.add(number, signed.name.clone(), signed.device.clone(), signed.time);
        self.tell_judged(judged).await;
        if is_taken {
            let notice = format!(
                "the certificate authority has signed two revocations as number {number}: it was set back, or \
                 somebody else has its key; both count"
            );
            self.tell_of_revocations(Some(number), notice).await;
        }
        Ok(true)
    }

    /// Reports the new verdicts on kept messages.
    pub(super) async fn tell_judged(&mut self, judged: Vec<Shown>) {
        let Some(account) = &mut self.account else { return };
        for changed in &judged {
            let same = |shown: &&mut Shown| {
                (&shown.conversation, shown.place()) == (&changed.conversation, changed.place())
            };
            if let Some(shown) = account.untold.iter_mut().find(same) {
                *shown = changed.clone();
            }
        }
        if !judged.is_empty() {
            self.tell(Update::Judged(judged)).await;
        }
    }

    async fn tell_of_revocations(&mut self, about: Option<u64>, notice: String) {
        let is_news = self.account.as_mut().is_some_and(|account| account.revocations.told.insert(about));
        if is_news {
            self.tell(Update::Notice(notice)).await;
        }
    }
}
