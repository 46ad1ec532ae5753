//! Messages of others: live, missed, or older. Every message is taken once, in the order of `seq`.

use std::collections::HashMap;

use parlour_protocol::{Conversation, ConversationHead, Message, MessageId, Refusal, Seq, UserName};

use super::Engine;
use super::fetch::BACKLOG;
use super::judging::{judged, judged_ahead, judged_newer, mark_broken, mark_times};
use crate::asking::update::Update;
use crate::failure::{Explain, Explanation};
use crate::link::LinkError;
use crate::reading::opening::Opened;
use crate::reading::shown::Shown;
use crate::records::{CONVERSATIONS, Extent, PageChains, RecordsError};
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
}

impl Explain for SyncError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Link(error) => error.explain(),
            Self::Records(error) => error.explain(),
        }
    }
}

/// The most kept messages that are not told yet; beyond this, they are told before more is fetched.
const UNTOLD: usize = 1_000;

/// The fate of a message that came.
pub(super) enum Taken {
    /// It is kept. Nothing is shown of a message that was known.
    Now(Option<Box<Shown>>),
    /// Earlier messages are missing and are being fetched.
    Later,
}

impl Engine {
    /// Takes a message that came live, or as the answer to one of ours.
    pub(super) async fn take(&mut self, message: &Message) -> Result<Taken, SyncError> {
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let name = message.conversation(&account.profile.name);
        let seq = message.seq;
        if name != Conversation::lobby()
            && self.extent(&name)?.is_none()
            && self.room_for_conversations()? == 0
        {
            self.leave_conversation_out().await;
            return Ok(Taken::Now(None));
        }
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let opened = account.opener.open(message.clone());
        if self.behind.is_some() {
            // It is shown at once; a misfit shows when it is taken.
            self.tell_ahead(&name, &[opened]).await?;
            return Ok(Taken::Later);
        }
        let outcome = match self.extent(&name)?.map(|extent| extent.last) {
            Some(last) if seq <= last && self.knows(&name, message)? => return Ok(Taken::Now(None)),
            Some(last) if seq == last + 1 => self.take_newer(&name, vec![opened]).await,
            None if seq == 1 => self.take_newer(&name, vec![opened]).await,
            // The messages before it are fetched first. Or we have another message in its place: the server
            // has lost some, and goes on from there.
            _ => {
                self.fetch_missed(vec![ConversationHead { name, last: seq, newest: None }]).await?;
                return Ok(Taken::Later);
            }
        };
        let own = match &self.account {
            Some(account) if outcome.is_ok() => account.records.message(&name, seq)?,
            _ => None,
        };
        self.tell_untold().await;
        outcome.map(|()| Taken::Now(own.map(Box::new)))
    }

    /// The number of conversations that can still be added.
    pub(super) fn room_for_conversations(&self) -> Result<u64, SyncError> {
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        Ok(account.records.room_for_conversations()?)
    }

    /// Says, once, that there are more conversations than can be kept.
    pub(super) async fn leave_conversation_out(&mut self) {
        let Some(account) = &mut self.account else { return };
        if !std::mem::replace(&mut account.told_of_conversations, true) {
            let notice = format!(
                "there are more than {CONVERSATIONS} conversations: messages in further ones are neither kept nor \
                 shown here"
            );
            self.tell(Update::Notice(notice)).await;
        }
    }

    /// True if a message equals the one kept in its place. A message older than everything that is kept counts as
    /// known too.
    pub(super) fn knows(&self, name: &Conversation, message: &Message) -> Result<bool, SyncError> {
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        Ok(account.records.message(name, message.seq)?.is_none_or(|kept| kept.id == message.id))
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

    /// Reports the failure if a message was not taken.
    pub(super) async fn tell_not_taken(&mut self, outcome: Result<Taken, SyncError>) {
        match outcome {
            // A lost message is fetched by its `seq` after the next login.
            Err(failure) if !failure.is_over() => {
                self.tell(Update::Notice(format!("a message was not taken: {failure}"))).await;
            }
            _ => {}
        }
    }

    /// Tells kept messages that were not told yet, merged by the server's time; nothing before the backlog.
    pub(super) async fn tell_untold(&mut self) {
        let Some(account) = self.account.as_mut().filter(|account| account.told) else { return };
        for shown in merged_by_time(std::mem::take(&mut account.untold)) {
            self.tell(Update::Message(Box::new(shown))).await;
        }
    }

    /// Shows the newest kept messages of a conversation, while others are still being fetched.
    pub(super) async fn tell_newest(&mut self, name: &Conversation) -> Result<(), SyncError> {
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let messages = account.records.messages(name, None, BACKLOG)?;
        let read = account.records.extent(name)?.map_or(0, |extent| extent.read);
        self.tell(Update::Newest { name: name.clone(), messages, read, settled: true }).await;
        Ok(())
    }

    /// Shows messages that cannot be kept yet, because earlier ones are still being fetched. They are
    /// judged by what is known now, and again when they are taken in their turn.
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

    /// Tells the newest and the last read message of each conversation.
    pub(super) async fn tell_extents(&mut self) -> Result<(), SyncError> {
        let extents = self.account.as_ref().map(|account| account.records.extents()).transpose()?;
        for Extent { name, last, read, .. } in extents.unwrap_or_default() {
            self.tell(Update::Conversation { name, last, read }).await;
        }
        Ok(())
    }

    /// Takes messages that follow what is kept.
    pub(super) async fn take_newer(
        &mut self,
        name: &Conversation,
        page: Vec<Opened>,
    ) -> Result<(), SyncError> {
        let Some(first) = page.first().map(|opened| opened.message.seq) else { return Ok(()) };
        match self.extent(name)? {
            Some(extent) => self.keep_newer(extent, page, false).await,
            None => self.keep_newer(Extent::new(name.clone(), first), page, true).await,
        }
    }

    /// Keeps messages that follow what is kept. `anew` is true if nothing is kept, perhaps because of damage: then they
    /// are judged as if nothing had been read.
    pub(super) async fn keep_newer(
        &mut self,
        extent: Extent,
        mut page: Vec<Opened>,
        anew: bool,
    ) -> Result<(), SyncError> {
        let me = self.me().cloned().ok_or(LinkError::Refused(Refusal::NotNow))?;
        continuous(&page, &extent.name, &me, extent.last + 1)?;
        let mut extent = self.have_again(extent, &mut page).await?;
        let revoked = self.revoked(&page);
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let (mut shown, learned) = judged_newer(account, &extent, &page, &revoked, anew)?;
        extent.last = shown.last().map_or(extent.last, |shown| shown.seq);
        // A user has seen her own messages, whichever device wrote them.
        if let Some(own) = shown.iter().rev().find(|shown| shown.from == me) {
            extent.read = extent.read.max(own.seq);
        }
        for shown in &mut shown {
            shown.generation = extent.generation;
        }
        let judged = account.records.keep(&extent, &shown, &learned)?;
        account.advance_own(&extent.name, &learned)?;
        let notices = account.records.take_notices();
        // A backlog that is still to be told will include them.
        if account.told {
            account.untold.extend(shown);
        }
        self.tell_judged(judged).await;
        for notice in notices {
            self.tell(Update::Notice(notice)).await;
        }
        if self.account.as_ref().is_some_and(|account| account.untold.len() >= UNTOLD) {
            self.tell_untold().await;
        }
        Ok(())
    }

    pub(super) fn take_older(&mut self, name: &Conversation, mut page: Vec<Opened>) -> Result<(), SyncError> {
        let me = self.me().cloned().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let Some(extent) = self.extent(name)? else { return Ok(()) };
        let Some(first) = page.first().map(|opened| opened.message.seq) else {
            return Err(LinkError::protocol(format!("it does not hand out older messages of {name}")).into());
        };
        continuous(&page, name, &me, first)?;
        // Messages from before a gap may have been joined to the rest meanwhile.
        page.retain(|opened| opened.message.seq < extent.first);
        let Some(last) = page.last().map(|opened| opened.message.seq) else { return Ok(()) };
        if last + 1 != extent.first {
            return Err(LinkError::protocol(format!("messages are missing in {name}")).into());
        }
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let oldest = account.records.oldest_generation(&extent)?;
        // Messages that only a later generation has are kept once more: no generation goes on from a later one.
        let parent = account.records.find_kept(&extent, places(&page))?;
        let parent = parent.filter(|parent| parent.generation < oldest);
        page.retain(|opened| parent.is_none_or(|parent| opened.message.seq > parent.last));
        let revoked = self.revoked(&page);
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let own = account.own_refused(name)?;
        let mut chains = PageChains::older(first <= 1 && parent.is_none()).with_own(own);
        let mut shown = judged(&me, &page, &revoked, &[], &mut chains);
        let (joined, broken) = account.records.join_older(oldest, chains.learned());
        joined.mark(&mut shown);
        mark_broken(&mut shown, &broken);
        let before = parent.map(|parent| account.records.message_of(name, parent.generation, parent.last));
        let before = before.transpose()?.flatten().map(|before| before.time);
        // Only beside this page does it show whether the message after it runs backwards in time.
        let next = account.records.message_of(name, oldest, extent.first)?;
        shown.extend(next);
        mark_times(before, &mut shown);
        account.records.keep_older(&extent, &shown, &joined, parent)?;
        Ok(())
    }
}

/// Checks that a page is of its conversation and without gaps: otherwise the server has dropped, moved or
/// invented messages, and none of the page is taken.
pub(super) fn continuous(
    page: &[Opened],
    name: &Conversation,
    me: &UserName,
    first: Seq,
) -> Result<(), LinkError> {
    let fits = page
        .iter()
        .zip(first..)
        .all(|(Opened { message, .. }, seq)| message.seq == seq && message.conversation(me) == *name);
    if fits { Ok(()) } else { Err(LinkError::Protocol(format!("messages are missing in {name}"))) }
}

/// Merges messages of several conversations by the server's time. Those of one conversation keep their order, whatever
/// the server says of their times.
pub(super) fn merged_by_time(shown: Vec<Shown>) -> Vec<Shown> {
    let mut newest: HashMap<Conversation, i64> = HashMap::new();
    let mut timed: Vec<(i64, Shown)> = shown
        .into_iter()
        .map(|shown| {
            let newest = newest.entry(shown.conversation.clone()).or_insert(i64::MIN);
            *newest = (*newest).max(shown.time.as_millis());
            (*newest, shown)
        })
        .collect();
    // The sort is stable: messages of one conversation never change places.
    timed.sort_by_key(|(time, _)| *time);
    timed.into_iter().map(|(_, shown)| shown).collect()
}

/// The places and ids of a page.
pub(super) fn places(page: &[Opened]) -> impl DoubleEndedIterator<Item = (Seq, MessageId)> {
    page.iter().map(|opened| (opened.message.seq, opened.message.id))
}

#[cfg(test)]
pub(super) mod tests {
    use parlour_protocol::Timestamp;

    use super::*;
    use crate::reading::shown::Verdict;

    pub(crate) fn shown(conversation: &str, seq: Seq, time: i64) -> Shown {
        Shown {
            conversation: conversation.parse().unwrap(),
            seq,
            id: MessageId::from_bytes([1; 16]),
            from: "erik".parse().unwrap(),
            to: conversation.parse().unwrap(),
            time: Timestamp::from_millis(time),
            signed: None,
            text: None,
            verdict: Verdict::Public,
            signer: None,
            backwards: false,
            generation: 0,
            set_aside: false,
            refused: false,
        }
    }

    #[test]
    fn times_merge_conversations_and_never_change_the_order_within_one() {
        let all = vec![
            shown("#lobby", 1, 10),
            shown("#lobby", 2, 90),
            shown("#lobby", 3, 5),
            shown("#lobby", 4, 95),
            shown("@erik", 1, 20),
            shown("@erik", 2, 92),
        ];
        let merged = merged_by_time(all);
        let order: Vec<(String, Seq)> =
            merged.iter().map(|shown| (shown.conversation.to_string(), shown.seq)).collect();
        let expected =
            [("#lobby", 1), ("@erik", 1), ("#lobby", 2), ("#lobby", 3), ("@erik", 2), ("#lobby", 4)];
        assert_eq!(order, expected.map(|(name, seq)| (name.to_owned(), seq)));
    }
}
