//! Messages of others: live, missed, or older. Every message is taken once, in the order of `seq`.

use std::collections::HashSet;

use parlour_protocol::{
    Body, Conversation, ConversationHead, Message, MessageId, Refusal, RevokedDevice, Seq, UserName,
};

use super::contacts::ContactError;
use super::fetch::BACKLOG;
use super::{Account, Engine};
use crate::asking::update::Update;
use crate::failure::{Explain, Explanation};
use crate::link::LinkError;
use crate::reading::judge::{ChainKey, judge};
use crate::reading::opening::Opened;
use crate::reading::shown::Shown;
use crate::records::{Extent, PageChains, RecordsError};
use thiserror::Error;

/// Why messages of a conversation were not taken or handed out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SyncError {
    /// The connection, or what the server says about the conversation.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The local history.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The account of somebody who takes part in it.
    #[error(transparent)]
    Contact(ContactError),
}

impl From<ContactError> for SyncError {
    fn from(error: ContactError) -> Self {
        match error {
            ContactError::Link(error) => Self::Link(error),
            ContactError::Records(error) => Self::Records(error),
            error => Self::Contact(error),
        }
    }
}

impl Explain for SyncError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Link(error) => error.explain(),
            Self::Records(error) => error.explain(),
            Self::Contact(error) => error.explain(),
        }
    }
}

/// The fate of a message that came.
pub(super) enum Taken {
    /// It is kept. Nothing is told of one that was known.
    Now(Option<Shown>),
    /// Others come before it, which are being fetched.
    Later,
}

impl Engine {
    /// A message came live, or as the answer to one of ours.
    pub(super) async fn take(&mut self, message: &Message) -> Result<Taken, SyncError> {
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let name = message.conversation(&account.profile.name);
        let seq = message.seq;
        let opened = account.opener.open(message.clone());
        if self.behind.is_some() {
            // Seen at once; whatever does not fit shows when it is taken.
            self.tell_ahead(&name, &[opened]).await?;
            return Ok(Taken::Later);
        }
        let outcome = match self.extent(&name)?.map(|extent| extent.last) {
            Some(last) if seq <= last && self.knows(&name, message)? => return Ok(Taken::Now(None)),
            Some(last) if seq == last + 1 => self.take_newer(&name, vec![opened]).await,
            None if seq == 1 => self.begin(&name, vec![opened]).await,
            // What was said before it is fetched first. Or in its place we have another one: the server
            // has lost some, and goes on from there.
            _ => {
                self.fetch_missed(vec![ConversationHead { name, last: seq }]).await?;
                return Ok(Taken::Later);
            }
        };
        let untold = self.account.as_ref().map(|account| account.untold.as_slice()).unwrap_or_default();
        let own = untold.iter().find(|shown| shown.conversation == name && shown.seq == seq).cloned();
        self.tell_untold().await;
        outcome.map(|()| Taken::Now(own))
    }

    /// Whether a message that has its place among what is kept is what is kept there, or was forgotten
    /// here because it is older than all that is kept.
    fn knows(&self, name: &Conversation, message: &Message) -> Result<bool, SyncError> {
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let kept = account.records.messages(name, Some(message.seq.saturating_add(1)), 1)?.pop();
        Ok(kept.is_none_or(|kept| kept.seq != message.seq || kept.id == message.id))
    }

    /// What is kept of a conversation does not fit what the server has: the newest page takes its place.
    pub(super) async fn begin_anew(
        &mut self,
        name: &Conversation,
        page: Vec<Opened>,
    ) -> Result<(), SyncError> {
        if self.extent(name)?.is_none() {
            return self.begin(name, page).await;
        }
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let known: HashSet<MessageId> =
            account.records.messages(name, None, 2 * BACKLOG)?.iter().map(|shown| shown.id).collect();
        self.tell(Update::Forgotten { name: name.clone() }).await;
        self.begin(name, page).await?;
        if let Some(account) = &mut self.account {
            // What was told before is not news.
            account.untold.retain(|shown| shown.conversation != *name || !known.contains(&shown.id));
        }
        Ok(())
    }

    pub(super) async fn hear_message(&mut self, message: Message) {
        if self.account.is_none() {
            return;
        }
        match self.take(&message).await {
            Ok(Taken::Later) if self.holds_too_many() => self.lost(LinkError::Flooded).await,
            Ok(Taken::Later) => self.hold(message, None),
            outcome => self.tell_not_taken(outcome).await,
        }
    }

    /// Says why a message was not taken, if it was not.
    pub(super) async fn tell_not_taken(&mut self, outcome: Result<Taken, SyncError>) {
        match outcome {
            // What was lost is fetched by its `seq` after the next login.
            Err(failure) if !failure.is_over() => {
                self.tell(Update::Notice(format!("a message was not taken: {failure}"))).await;
            }
            _ => {}
        }
    }

    /// Tells what was kept and not told, in the order of the server's time; nothing before the backlog.
    pub(super) async fn tell_untold(&mut self) {
        let Some(account) = self.account.as_mut().filter(|account| account.told) else { return };
        let mut untold = std::mem::take(&mut account.untold);
        untold.sort_by_key(|shown| shown.time);
        for shown in untold {
            self.tell(Update::Message(Box::new(shown))).await;
        }
    }

    /// Shows the newest that is kept of a conversation, while others are still being fetched.
    pub(super) async fn tell_newest(&mut self, name: &Conversation) -> Result<(), SyncError> {
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let messages = account.records.messages(name, None, BACKLOG)?;
        let read = account.records.extent(name)?.map_or(0, |extent| extent.read);
        self.tell(Update::Newest { name: name.clone(), messages, read, settled: true }).await;
        Ok(())
    }

    /// Shows messages that cannot be kept yet, since others before them are still being fetched. They are
    /// judged by what is known, and again when they are taken in their turn.
    pub(super) async fn tell_ahead(&mut self, name: &Conversation, page: &[Opened]) -> Result<(), SyncError> {
        let me = self.me().cloned().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let Some(first) = page.first().map(|opened| opened.message.seq) else { return Ok(()) };
        continuous(page, name, &me, first)?;
        let revoked = self.revoked(page);
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let messages = judged_ahead(account, name, page, &revoked)?;
        let read = account.records.extent(name)?.map_or(0, |extent| extent.read);
        self.tell(Update::Newest { name: name.clone(), messages, read, settled: false }).await;
        Ok(())
    }

    /// Tells how far each conversation goes and is read.
    pub(super) async fn tell_extents(&mut self) -> Result<(), SyncError> {
        let extents = self.account.as_ref().map(|account| account.records.extents()).transpose()?;
        for Extent { name, last, read, .. } in extents.unwrap_or_default() {
            self.tell(Update::Conversation { name, last, read }).await;
        }
        Ok(())
    }

    /// The first page that is kept of a conversation.
    async fn begin(&mut self, name: &Conversation, page: Vec<Opened>) -> Result<(), SyncError> {
        let Some(first) = page.first().map(|opened| opened.message.seq) else { return Ok(()) };
        if let Some(account) = &mut self.account {
            account.records.forget(name)?;
        }
        let extent = Extent { name: name.clone(), first, last: first - 1, read: 0 };
        self.keep_newer(extent, page, true).await
    }

    pub(super) async fn take_newer(
        &mut self,
        name: &Conversation,
        page: Vec<Opened>,
    ) -> Result<(), SyncError> {
        match self.extent(name)? {
            Some(extent) => self.keep_newer(extent, page, false).await,
            None => self.begin(name, page).await,
        }
    }

    async fn keep_newer(
        &mut self,
        mut extent: Extent,
        page: Vec<Opened>,
        anew: bool,
    ) -> Result<(), SyncError> {
        let me = self.me().cloned().ok_or(LinkError::Refused(Refusal::NotNow))?;
        continuous(&page, &extent.name, &me, extent.last + 1)?;
        let revoked = self.revoked(&page);
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        // What begins anew is judged as if nothing had been read of it.
        let mut chains = if anew {
            PageChains::older(extent.first <= 1)
        } else {
            PageChains::newer(&account.records, extent.first <= 1)
        };
        let shown = judged(&me, &page, &revoked, &mut chains);
        let learned = chains.learned();
        extent.last = shown.last().map_or(extent.last, |shown| shown.seq);
        // What the user wrote on this or another device, the user has seen.
        if let Some(own) = shown.iter().rev().find(|shown| shown.from == me) {
            extent.read = extent.read.max(own.seq);
        }
        account.records.keep(&extent, &shown, &learned)?;
        account.advance_own(&extent.name, &learned)?;
        account.untold.extend(shown);
        Ok(())
    }

    pub(super) async fn take_older(
        &mut self,
        name: &Conversation,
        page: Vec<Opened>,
    ) -> Result<(), SyncError> {
        let me = self.me().cloned().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let Some(mut extent) = self.extent(name)? else { return Ok(()) };
        let Some(first) = page.first().map(|opened| opened.message.seq) else {
            return Err(LinkError::Protocol(format!("it does not hand out what is old in {name}")).into());
        };
        continuous(&page, name, &me, first)?;
        if page.last().map(|opened| opened.message.seq + 1) != Some(extent.first) {
            return Err(LinkError::Protocol(format!("messages are missing in {name}")).into());
        }
        let revoked = self.revoked(&page);
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let mut chains = PageChains::older(first <= 1);
        let mut shown = judged(&me, &page, &revoked, &mut chains);
        let (joined, broken) = account.records.join_older(chains.learned());
        mark_broken(&mut shown, &broken);
        extent.first = first;
        Ok(account.records.keep(&extent, &shown, &joined)?)
    }

    /// The revoked devices of everyone who sealed something in this page.
    fn revoked(&self, page: &[Opened]) -> Revoked {
        let mut revoked = Revoked::new();
        let Some(account) = &self.account else { return revoked };
        for message in page.iter().map(|opened| &opened.message) {
            let is_known = revoked.iter().any(|(name, _)| *name == message.from);
            if matches!(message.body, Body::Sealed(_)) && !is_known {
                revoked.push((message.from.clone(), account.revocations.of(&message.from).to_vec()));
            }
        }
        revoked
    }
}

/// The revoked devices of some users.
type Revoked = Vec<(UserName, Vec<RevokedDevice>)>;

/// Judges a page in its order.
fn judged(me: &UserName, page: &[Opened], revoked: &Revoked, chains: &mut PageChains<'_>) -> Vec<Shown> {
    let of = |name: &UserName| revoked.iter().find(|(user, _)| user == name);
    page.iter()
        .map(|opened| {
            let devices = of(&opened.message.from).map_or(&[][..], |(_, devices)| devices.as_slice());
            judge(me, opened, devices, chains)
        })
        .collect()
}

/// Judges a page that others come before which have not been read.
fn judged_ahead(
    account: &mut Account,
    name: &Conversation,
    page: &[Opened],
    revoked: &Revoked,
) -> Result<Vec<Shown>, RecordsError> {
    let mut chains = PageChains::ahead(&account.records);
    let shown = judged(&account.profile.name, page, revoked, &mut chains);
    // What is said from now on follows what we have said already, also when these records are an older
    // copy and do not know of it.
    let learned = chains.learned();
    account.advance_own(name, &learned)?;
    Ok(shown)
}

/// A page must be of its conversation and without gaps: otherwise the server has dropped, moved or
/// invented something, and nothing of it is taken.
fn continuous(page: &[Opened], name: &Conversation, me: &UserName, first: Seq) -> Result<(), LinkError> {
    let fits = page
        .iter()
        .zip(first..)
        .all(|(Opened { message, .. }, seq)| message.seq == seq && message.conversation(me) == *name);
    if fits { Ok(()) } else { Err(LinkError::Protocol(format!("messages are missing in {name}"))) }
}

/// Marks the newest of an older page when its sender's chain does not run on into what is kept.
fn mark_broken(shown: &mut [Shown], broken: &[(ChainKey, u64)]) {
    for (key, missing) in broken {
        let last = shown.iter_mut().rev().find(|shown| shown.from == key.from && shown.verdict.is_believed());
        if let Some(last) = last {
            last.verdict = last.verdict.clone().after_gap(*missing);
        }
    }
}
