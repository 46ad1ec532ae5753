//! Pages of a conversation, from what is kept here and from the server.

use parlour_protocol::limits::HISTORY_PAGE;
use parlour_protocol::{Command, Conversation, HistoryRange, Message, Refusal, Reply, Seq};

use super::Engine;
use super::fetch::BACKLOG;
use super::sync::SyncError;
use crate::asking::action::Answer;
use crate::failure::Explain as _;
use crate::link::LinkError;
use crate::reading::shown::Shown;
use crate::records::Extent;

impl Engine {
    /// The newest messages of every conversation that are kept here, by the server's time.
    pub(super) fn backlog(&self) -> Result<Vec<Shown>, SyncError> {
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let mut backlog = Vec::new();
        for extent in account.records.extents()? {
            backlog.append(&mut account.records.messages(&extent.name, None, BACKLOG)?);
        }
        backlog.sort_by_key(|shown| shown.time);
        Ok(backlog)
    }

    /// A page of what came before `before`, from here or from the server.
    pub(super) async fn history(
        &mut self,
        conversation: Conversation,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Answer, SyncError> {
        if self.account.is_none() {
            return Err(LinkError::Refused(Refusal::NotNow).into());
        }
        let Some(extent) = self.extent(&conversation)? else {
            // Nothing was said there, or nobody has that name: the server knows.
            if let Conversation::Direct(name) = &conversation {
                self.contact(name).await?;
            } else if conversation != Conversation::lobby() {
                return Err(LinkError::Refused(Refusal::ConversationNotFound).into());
            }
            return Ok(Answer::History { messages: Vec::new(), complete: true });
        };
        let end = before.unwrap_or(extent.last.saturating_add(1));
        match self.fill(&conversation, end, limit).await {
            // What is kept here is better than nothing.
            Err(failure) if !failure.is_over() => return Err(failure),
            _ => {}
        }
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let messages = account.records.messages(&conversation, before, limit)?;
        let complete = messages.first().is_none_or(|first| first.seq <= 1);
        Ok(Answer::History { messages, complete })
    }

    /// Fetches older messages until `count` before `end` are kept, or the conversation begins.
    async fn fill(&mut self, name: &Conversation, end: Seq, count: usize) -> Result<(), SyncError> {
        loop {
            let Some(extent) = self.extent(name)? else { return Ok(()) };
            let kept = end.saturating_sub(extent.first);
            if extent.first <= 1 || kept >= count as u64 {
                return Ok(());
            }
            let page = self.page(name, HistoryRange::Before(extent.first)).await?;
            let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
            let page = account.opener.begin(page).opened().await;
            self.take_older(name, page).await?;
        }
    }

    pub(super) fn mark_read(&mut self, name: &Conversation, seq: Seq) -> Result<Answer, SyncError> {
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        account.records.mark_read(name, seq)?;
        Ok(Answer::Done)
    }

    /// How far a conversation is kept here.
    pub(super) fn extent(&self, name: &Conversation) -> Result<Option<Extent>, SyncError> {
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        Ok(account.records.extent(name)?)
    }

    async fn page(&mut self, name: &Conversation, range: HistoryRange) -> Result<Vec<Message>, LinkError> {
        let conversation = name.clone();
        let command = Command::History { conversation, range, limit: HISTORY_PAGE };
        let Reply::History { messages, .. } = self.ask_online(&command).await? else {
            return Err(LinkError::Protocol("it does not hand out the history".to_owned()));
        };
        Ok(messages)
    }
}
