//! Pages of a conversation, from what is kept here and from the server.

use parlour_protocol::limits::HISTORY_PAGE;
use parlour_protocol::{Command, Conversation, HistoryRange, Message, Refusal, Reply, Seq};

use super::Engine;
use super::contacts::ContactError;
use super::fetch::BACKLOG;
use super::sync::{SyncError, merged_by_time};
use crate::asking::action::Answer;
use crate::asking::update::Update;
use crate::failure::{Explain, Explanation};
use crate::link::LinkError;
use crate::reading::shown::Shown;
use crate::records::{Extent, RecordsError};
use thiserror::Error;

/// Why a page was not handed out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HistoryError {
    /// The kept messages, or the fetched ones that join them, could not be had.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// Nothing is kept, and the other user does not exist or could not be asked about.
    #[error(transparent)]
    Contact(#[from] ContactError),
}

impl From<LinkError> for HistoryError {
    fn from(error: LinkError) -> Self {
        Self::Sync(error.into())
    }
}

impl From<RecordsError> for HistoryError {
    fn from(error: RecordsError) -> Self {
        Self::Sync(error.into())
    }
}

impl Explain for HistoryError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Sync(error) => error.explain(),
            Self::Contact(error) => error.explain(),
        }
    }
}

impl Engine {
    /// The newest messages of every conversation that are kept here, merged by the server's time.
    pub(super) fn backlog(&self) -> Result<Vec<Shown>, SyncError> {
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let mut backlog = Vec::new();
        for extent in account.records.extents()? {
            backlog.append(&mut account.records.messages(&extent.name, None, BACKLOG)?);
        }
        Ok(merged_by_time(backlog))
    }

    /// A page of the messages before `before`, from here or from the server. `generation` is that of the message with
    /// this `seq`; if it is `None`, the page comes from what counts now.
    pub(super) async fn history(
        &mut self,
        conversation: Conversation,
        before: Option<Seq>,
        generation: Option<u64>,
        limit: usize,
    ) -> Result<Answer, HistoryError> {
        if self.account.is_none() {
            return Err(LinkError::Refused(Refusal::NotNow).into());
        }
        let Some(extent) = self.extent(&conversation)? else {
            // Nothing was said there, or nobody has that name: only the server can tell.
            if let Conversation::Direct(name) = &conversation {
                self.contact(name).await?;
            } else if conversation != Conversation::lobby() {
                return Err(LinkError::Refused(Refusal::ConversationNotFound).into());
            }
            return Ok(Answer::History { messages: Vec::new(), complete: true, ended: Vec::new() });
        };
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let path = account.records.path(&extent)?;
        let place = before
            .map(|seq| (generation.or_else(|| path.generation_of(seq)).unwrap_or(extent.generation), seq));
        let oldest = account.records.oldest_generation(&extent)?;
        let counts = |(generation, seq): (u64, Seq)| {
            generation >= oldest && (seq > extent.last || path.has(generation, seq))
        };
        let mut not_fetched = None;
        if place.is_none_or(counts) {
            let end = before.unwrap_or(extent.last.saturating_add(1));
            not_fetched =
                self.fill(&conversation, end, limit).await.err().filter(|failure| !failure.is_over());
        }
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let messages = account.records.messages(&conversation, place, limit)?;
        // Kept messages are better than nothing, even if the server fails.
        if let Some(failure) = not_fetched {
            if messages.is_empty() {
                return Err(failure.into());
            }
            self.tell(Update::Notice(format!(
                "older messages of {conversation} were not fetched: {failure}"
            )))
            .await;
        }
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let extent = self.extent(&conversation)?.unwrap_or(extent);
        let complete = match messages.first() {
            None => true,
            Some(first) => {
                let is_oldest = account.records.messages(&conversation, Some(first.place()), 1)?.is_empty();
                is_oldest && extent.first <= 1
            }
        };
        let mut ended = account.ended(&extent)?;
        ended.retain(|ended| messages.iter().any(|shown| shown.generation == ended.generation));
        Ok(Answer::History { messages, complete, ended })
    }

    /// Fetches older messages until `count` before `end` are kept, or the beginning is reached.
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
            self.take_older(name, page)?;
            if self.extent(name)?.is_some_and(|now| now.first >= extent.first) {
                return Err(
                    LinkError::protocol(format!("it does not hand out older messages of {name}")).into()
                );
            }
        }
    }

    pub(super) fn mark_read(&mut self, name: &Conversation, seq: Seq) -> Result<Answer, SyncError> {
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        account.records.mark_read(name, seq)?;
        Ok(Answer::Done)
    }

    /// The extent of what is kept of a conversation.
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
