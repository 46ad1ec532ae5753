//! What others said: live, missed, or longer ago. Every message is taken once, in the order of `seq`.

use std::collections::HashSet;

use parlour_protocol::limits::HISTORY_PAGE;
use parlour_protocol::{
    Body, Command, Conversation, ConversationHead, HistoryRange, Message, MessageId, Refusal, Reply,
    RevokedDevice, Seq, UserName,
};

use super::Engine;
use crate::action::Answer;
use crate::failure::Failure;
use crate::judge::{ChainKey, Judge};
use crate::records::{Extent, OwnChain, PageChains};
use crate::shown::{Shown, Verdict};
use crate::update::Update;

/// The newest messages of each conversation that a login shows.
const BACKLOG: usize = 100;

/// A gap longer than this is not filled: what is kept of the conversation begins anew after it.
const LONGEST_GAP: u64 = 20_000;

impl Engine {
    /// Fetches what was missed in every conversation, and tells it.
    pub(super) async fn catch_up(&mut self) -> Result<(), Failure> {
        let Reply::Conversations(heads) = self.ask_online(&Command::Conversations).await? else {
            return Err(Failure::Protocol("it does not say which conversations there are".to_owned()));
        };
        let outcome = self.fetch_missed(heads).await;
        // What was fetched is told also when the rest could not be: it will not be fetched again.
        self.tell_untold().await;
        outcome?;
        let account = self.account.as_mut().ok_or(Failure::Refused(Refusal::NotNow))?;
        if !std::mem::replace(&mut account.told, true) {
            // The backlog has it.
            account.untold.clear();
            self.fill_backlog().await?;
            let backlog = self.backlog()?;
            self.tell(Update::Backlog(backlog)).await;
        }
        self.tell_extents().await
    }

    async fn fetch_missed(&mut self, heads: Vec<ConversationHead>) -> Result<(), Failure> {
        for ConversationHead { name, last } in heads {
            if let Err(failure) = self.catch_up_with(&name, last).await {
                self.tolerate(&name, failure).await?;
            }
        }
        Ok(())
    }

    /// Tells what was kept and not told, in the order of the server's time; nothing before the backlog.
    async fn tell_untold(&mut self) {
        let Some(account) = self.account.as_mut().filter(|account| account.told) else { return };
        let mut untold = std::mem::take(&mut account.untold);
        untold.sort_by_key(|shown| shown.time);
        for shown in untold {
            self.tell(Update::Message(Box::new(shown))).await;
        }
    }

    /// Tells how far each conversation goes and is read.
    pub(super) async fn tell_extents(&mut self) -> Result<(), Failure> {
        let extents = self.account.as_ref().map(|account| account.records.extents()).transpose()?;
        for Extent { name, last, read, .. } in extents.unwrap_or_default() {
            self.tell(Update::Conversation { name, last, read }).await;
        }
        Ok(())
    }

    async fn catch_up_with(&mut self, name: &Conversation, last: Seq) -> Result<(), Failure> {
        let Some(mut extent) = self.extent(name)? else {
            return self.catch_up_from_nothing(name, last).await;
        };
        if extent.last > last {
            let notice = format!(
                "the server knows {last} messages of {name}, this machine {}: the server has lost some",
                extent.last
            );
            self.tell(Update::Notice(notice)).await;
            return self.begin_anew(name).await;
        }
        if last - extent.last > LONGEST_GAP {
            self.tell(Update::Notice(format!("{name}: too much was missed to fetch it all"))).await;
            return self.begin_anew(name).await;
        }
        while extent.last < last {
            let page = self.page(name, HistoryRange::After(extent.last)).await?;
            let before = extent.last;
            self.take_newer(name, page).await?;
            extent = self.extent(name)?.unwrap_or(extent);
            if extent.last == before {
                return Err(Failure::Protocol(format!("it does not hand out what is new in {name}")));
            }
        }
        Ok(())
    }

    /// Of a conversation that is new here a login takes the newest page. Who was told what there was gets
    /// everything that came after that: the conversation from its beginning.
    async fn catch_up_from_nothing(&mut self, name: &Conversation, last: Seq) -> Result<(), Failure> {
        if last == 0 {
            return Ok(());
        }
        let told = self.account.as_ref().is_some_and(|account| account.told);
        if !told || last > LONGEST_GAP {
            let page = self.page(name, HistoryRange::Newest).await?;
            return self.begin(name, page).await;
        }
        let page = self.page(name, HistoryRange::After(0)).await?;
        self.begin(name, page).await?;
        while let Some(extent) = self.extent(name)?.filter(|extent| extent.last < last) {
            let page = self.page(name, HistoryRange::After(extent.last)).await?;
            if page.is_empty() {
                return Err(Failure::Protocol(format!("it does not hand out what is new in {name}")));
            }
            self.take_newer(name, page).await?;
        }
        Ok(())
    }

    /// A message came live, or as the answer to one of ours. Nothing is returned for one that is known.
    pub(super) async fn take(&mut self, message: Message) -> Result<Option<Shown>, Failure> {
        let me = self.me().cloned().ok_or(Failure::Refused(Refusal::NotNow))?;
        let name = message.conversation(&me);
        let seq = message.seq;
        let last = self.extent(&name)?.map(|extent| extent.last);
        let outcome = match last {
            Some(last) if seq <= last && self.knows(&name, &message)? => return Ok(None),
            // In its place we have another one: the server has lost some, and goes on from there.
            Some(last) if seq <= last => self.catch_up_with(&name, seq).await,
            Some(last) if seq == last + 1 => self.take_newer(&name, vec![message]).await,
            None if seq == 1 => self.begin(&name, vec![message]).await,
            // What was said before it in this conversation is fetched too.
            _ => self.catch_up_with(&name, seq).await,
        };
        let untold = self.account.as_ref().map(|account| account.untold.as_slice()).unwrap_or_default();
        let own = untold.iter().find(|shown| shown.conversation == name && shown.seq == seq).cloned();
        self.tell_untold().await;
        outcome.map(|()| own)
    }

    /// Whether a message that has its place among what is kept is what is kept there, or was forgotten
    /// here because it is older than all that is kept.
    fn knows(&self, name: &Conversation, message: &Message) -> Result<bool, Failure> {
        let account = self.account.as_ref().ok_or(Failure::Refused(Refusal::NotNow))?;
        let kept = account.records.messages(name, Some(message.seq.saturating_add(1)), 1)?.pop();
        Ok(kept.is_none_or(|kept| kept.seq != message.seq || kept.id == message.id))
    }

    /// What is kept of a conversation does not fit what the server has: the newest page takes its place.
    async fn begin_anew(&mut self, name: &Conversation) -> Result<(), Failure> {
        let page = self.page(name, HistoryRange::Newest).await?;
        if page.is_empty() {
            // Not even that: what is kept is all that is left of it.
            return Ok(());
        }
        let account = self.account.as_ref().ok_or(Failure::Refused(Refusal::NotNow))?;
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
        match self.take(message).await {
            // What was lost is fetched by its `seq` after the next login.
            Ok(_) | Err(Failure::Lost | Failure::Dismissed(_)) => {}
            Err(failure) => self.tell(Update::Notice(format!("a message was not taken: {failure}"))).await,
        }
    }

    /// The newest messages of every conversation that are kept here, by the server's time.
    pub(super) fn backlog(&self) -> Result<Vec<Shown>, Failure> {
        let account = self.account.as_ref().ok_or(Failure::Refused(Refusal::NotNow))?;
        let mut backlog = Vec::new();
        for extent in account.records.extents()? {
            backlog.append(&mut account.records.messages(&extent.name, None, BACKLOG)?);
        }
        backlog.sort_by_key(|shown| shown.time);
        Ok(backlog)
    }

    /// Fetches older messages until each conversation has as many as a login shows.
    async fn fill_backlog(&mut self) -> Result<(), Failure> {
        let account = self.account.as_ref().ok_or(Failure::Refused(Refusal::NotNow))?;
        for extent in account.records.extents()? {
            if let Err(failure) = self.fill(&extent.name, extent.last.saturating_add(1), BACKLOG).await {
                self.tolerate(&extent.name, failure).await?;
            }
        }
        Ok(())
    }

    /// One conversation that cannot be fetched does not keep the user from the others.
    async fn tolerate(&mut self, name: &Conversation, failure: Failure) -> Result<(), Failure> {
        match failure {
            Failure::Lost | Failure::Dismissed(_) | Failure::Records(_) => Err(failure),
            failure => {
                self.tell(Update::Notice(format!("{name} was not fetched: {failure}"))).await;
                Ok(())
            }
        }
    }

    /// A page of what came before `before`, from here or from the server.
    pub(super) async fn history(
        &mut self,
        conversation: Conversation,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Answer, Failure> {
        if self.account.is_none() {
            return Err(Failure::Refused(Refusal::NotNow));
        }
        let Some(extent) = self.extent(&conversation)? else {
            // Nothing was said there, or nobody has that name: the server knows.
            if let Conversation::Direct(name) = &conversation {
                self.peer(name).await?;
            } else if conversation != Conversation::lobby() {
                return Err(Failure::Refused(Refusal::ConversationNotFound));
            }
            return Ok(Answer::History { messages: Vec::new(), complete: true });
        };
        let end = before.unwrap_or(extent.last.saturating_add(1));
        match self.fill(&conversation, end, limit).await {
            // What is kept here is better than nothing.
            Ok(()) | Err(Failure::Lost | Failure::Dismissed(_)) => {}
            Err(failure) => return Err(failure),
        }
        let account = self.account.as_ref().ok_or(Failure::Refused(Refusal::NotNow))?;
        let messages = account.records.messages(&conversation, before, limit)?;
        let complete = messages.first().is_none_or(|first| first.seq <= 1);
        Ok(Answer::History { messages, complete })
    }

    /// Fetches older messages until `count` before `end` are kept, or the conversation begins.
    async fn fill(&mut self, name: &Conversation, end: Seq, count: usize) -> Result<(), Failure> {
        loop {
            let Some(extent) = self.extent(name)? else { return Ok(()) };
            let kept = end.saturating_sub(extent.first);
            if extent.first <= 1 || kept >= count as u64 {
                return Ok(());
            }
            let page = self.page(name, HistoryRange::Before(extent.first)).await?;
            self.take_older(extent, page).await?;
        }
    }

    pub(super) fn mark_read(&mut self, name: &Conversation, seq: Seq) -> Result<Answer, Failure> {
        let account = self.account.as_mut().ok_or(Failure::Refused(Refusal::NotNow))?;
        account.records.mark_read(name, seq)?;
        Ok(Answer::Done)
    }

    fn extent(&self, name: &Conversation) -> Result<Option<Extent>, Failure> {
        self.account.as_ref().ok_or(Failure::Refused(Refusal::NotNow))?.records.extent(name)
    }

    async fn page(&mut self, name: &Conversation, range: HistoryRange) -> Result<Vec<Message>, Failure> {
        let conversation = name.clone();
        let command = Command::History { conversation, range, limit: HISTORY_PAGE };
        let Reply::History { messages, .. } = self.ask_online(&command).await? else {
            return Err(Failure::Protocol("it does not hand out the history".to_owned()));
        };
        Ok(messages)
    }

    /// The first page that is kept of a conversation.
    async fn begin(&mut self, name: &Conversation, page: Vec<Message>) -> Result<(), Failure> {
        let Some(first) = page.first().map(|message| message.seq) else { return Ok(()) };
        if let Some(account) = &mut self.account {
            account.records.forget(name)?;
        }
        let extent = Extent { name: name.clone(), first, last: first - 1, read: 0 };
        self.keep_newer(extent, page, true).await
    }

    async fn take_newer(&mut self, name: &Conversation, page: Vec<Message>) -> Result<(), Failure> {
        match self.extent(name)? {
            Some(extent) => self.keep_newer(extent, page, false).await,
            None => self.begin(name, page).await,
        }
    }

    async fn keep_newer(
        &mut self,
        mut extent: Extent,
        page: Vec<Message>,
        anew: bool,
    ) -> Result<(), Failure> {
        let me = self.me().cloned().ok_or(Failure::Refused(Refusal::NotNow))?;
        continuous(&page, &extent.name, &me, extent.last + 1)?;
        let revoked = self.revoked(&page).await?;
        let account = self.account.as_mut().ok_or(Failure::Refused(Refusal::NotNow))?;
        let profile = &account.profile;
        let judge = Judge { me: &me, key: &profile.account_key, root: &profile.root };
        // What begins anew is judged as if nothing had been read of it.
        let mut chains = if anew {
            PageChains::older(extent.first <= 1)
        } else {
            PageChains::newer(&account.records, extent.first <= 1)
        };
        let shown: Vec<Shown> = page
            .iter()
            .map(|message| judge.judge(message, of(&revoked, &message.from), &mut chains))
            .collect();
        let learned = chains.learned();
        extent.last = shown.last().map_or(extent.last, |shown| shown.seq);
        // What the user wrote on this or another device, the user has seen.
        if let Some(own) = shown.iter().rev().find(|shown| shown.from == me) {
            extent.read = extent.read.max(own.seq);
        }
        account.records.keep(&extent, &shown, &learned)?;
        for (key, chain) in &learned {
            if key.from == me && key.device == *account.profile.device.device() {
                let next =
                    OwnChain { chain: key.chain.clone(), n: chain.last_n + 1, prev: chain.last_hash.clone() };
                account.records.advance_own_chain(&extent.name, &next)?;
            }
        }
        account.untold.extend(shown);
        Ok(())
    }

    async fn take_older(&mut self, mut extent: Extent, page: Vec<Message>) -> Result<(), Failure> {
        let me = self.me().cloned().ok_or(Failure::Refused(Refusal::NotNow))?;
        let Some(first) = page.first().map(|message| message.seq) else {
            return Err(Failure::Protocol(format!("it does not hand out what is old in {}", extent.name)));
        };
        continuous(&page, &extent.name, &me, first)?;
        if page.last().map(|message| message.seq + 1) != Some(extent.first) {
            return Err(Failure::Protocol(format!("messages are missing in {}", extent.name)));
        }
        let revoked = self.revoked(&page).await?;
        let account = self.account.as_mut().ok_or(Failure::Refused(Refusal::NotNow))?;
        let profile = &account.profile;
        let judge = Judge { me: &me, key: &profile.account_key, root: &profile.root };
        let mut chains = PageChains::older(first <= 1);
        let mut shown: Vec<Shown> = page
            .iter()
            .map(|message| judge.judge(message, of(&revoked, &message.from), &mut chains))
            .collect();
        let (joined, broken) = account.records.join_older(chains.learned());
        mark_broken(&mut shown, &broken);
        extent.first = first;
        account.records.keep(&extent, &shown, &joined)
    }

    /// The revoked devices of everyone who sealed something in this page.
    async fn revoked(&mut self, page: &[Message]) -> Result<Vec<(UserName, Vec<RevokedDevice>)>, Failure> {
        let mut revoked: Vec<(UserName, Vec<RevokedDevice>)> = Vec::new();
        for message in page.iter().filter(|message| matches!(message.body, Body::Sealed(_))) {
            if revoked.iter().all(|(name, _)| *name != message.from) {
                let devices = match self.peer(&message.from).await {
                    Ok(peer) => peer.revoked,
                    // Whether the signature holds does not hang on the account's certificate.
                    Err(Failure::BadAccount { .. } | Failure::Refused(_)) => Vec::new(),
                    Err(failure) => return Err(failure),
                };
                revoked.push((message.from.clone(), devices));
            }
        }
        Ok(revoked)
    }
}

fn of<'a>(revoked: &'a [(UserName, Vec<RevokedDevice>)], name: &UserName) -> &'a [RevokedDevice] {
    revoked.iter().find(|(user, _)| user == name).map_or(&[], |(_, devices)| devices.as_slice())
}

/// A page must be of its conversation and without gaps: otherwise the server has dropped, moved or
/// invented something, and nothing of it is taken.
fn continuous(page: &[Message], name: &Conversation, me: &UserName, first: Seq) -> Result<(), Failure> {
    let fits = page
        .iter()
        .zip(first..)
        .all(|(message, seq)| message.seq == seq && message.conversation(me) == *name);
    if fits { Ok(()) } else { Err(Failure::Protocol(format!("messages are missing in {name}"))) }
}

/// Marks the newest of an older page when its sender's chain does not run on into what is kept.
fn mark_broken(shown: &mut [Shown], broken: &[(ChainKey, u64)]) {
    for (key, missing) in broken {
        let last = shown.iter_mut().rev().find(|shown| shown.from == key.from && shown.verdict.is_believed());
        if let Some(last) = last {
            last.verdict = Verdict::Gap { missing: *missing };
        }
    }
}
