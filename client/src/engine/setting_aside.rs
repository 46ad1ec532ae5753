//! Setting aside kept messages when the server has something else for a conversation. They are never deleted.
//! See [`records::generations`](crate::records::Generation).

use parlour_protocol::{Conversation, Refusal, Seq};

use super::Engine;
use super::fetch::BACKLOG;
use super::sync::{SyncError, continuous, places};
use crate::asking::action::{Answer, Ended};
use crate::asking::update::Update;
use crate::link::LinkError;
use crate::reading::opening::Opened;
use crate::records::{Extent, Generation, Parent, Reason};

/// The most generations that `/why` lists, newest first.
const TOLD: usize = 50;

impl Engine {
    /// Begins a new generation, because what is kept of a conversation does not fit what the server has. It begins with
    /// the newest page, after the newest message in it that both have.
    pub(super) async fn begin_anew(
        &mut self,
        name: &Conversation,
        mut page: Vec<Opened>,
    ) -> Result<(), SyncError> {
        let Some(ended) = self.extent(name)? else { return self.take_newer(name, page).await };
        let me = self.me().cloned().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let ends = |page: &[Opened]| Some((page.first()?.message.seq, page.last()?.message.seq));
        let Some((first, last)) = ends(&page) else { return Ok(()) };
        continuous(&page, name, &me, first)?;
        let now = self.setup.clock.now();
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let parent = account.records.find_kept(&ended, places(&page))?;
        page.retain(|opened| parent.is_none_or(|parent| opened.message.seq > parent.last));
        let path = account.records.path(&ended)?;
        let is_newest = match parent {
            Some(Parent { generation, last }) => last == ended.last && path.has(generation, last),
            None => first == ended.last + 1,
        };
        if is_newest {
            // After damage nothing counts, and the server's messages are simply fetched again.
            if ended.last > 0 {
                let notice =
                    format!("the server named a wrong number of messages of {name}: nothing is missing here");
                self.tell(Update::Notice(notice)).await;
            }
            return self.keep_newer(ended, page, false).await;
        }
        if ended.begins > ended.last
            && let Some(parent) = parent.filter(|parent| parent.last > ended.last)
        {
            // Messages that were set aside before count again.
            let adopted = account.records.adopt(&ended, parent)?;
            self.tell_regrouped(&adopted).await?;
            return self.keep_newer(adopted, page, false).await;
        }
        if parent.is_none() && ended.last == 0 {
            // No message that counts was kept.
            return self.keep_newer(ended.emptied(first), page, true).await;
        }
        if account.records.begins_too_often(&ended, now)? {
            let failure =
                format!("it has other messages of {name} again and again; none of them are taken now");
            return Err(LinkError::Protocol(failure).into());
        }
        let reason = if last < ended.last {
            Reason::SetBack
        } else if first > ended.last {
            Reason::Gap
        } else {
            Reason::OtherMessage
        };
        let begun = account.records.begin_generation(&ended, (reason, now, last), parent, first)?;
        match reason {
            Reason::SetBack => self.tell_loss(name, last, ended.last).await,
            Reason::OtherMessage => {
                let notice = format!("the server has other messages of {name} than this machine");
                self.tell(Update::Notice(notice)).await;
            }
            Reason::Gap => {}
        }
        self.tell_regrouped(&begun).await?;
        self.keep_newer(begun, page, false).await
    }

    /// Sets aside everything that counted, under a new generation without messages: the server says that it has no
    /// message of this conversation. If it says so too often, what is kept stays as it is.
    pub(super) async fn set_all_aside(&mut self, ended: &Extent) -> Result<(), SyncError> {
        let now = self.setup.clock.now();
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        if account.records.begins_too_often(ended, now)? {
            let name = &ended.name;
            let notice =
                format!("the server says again and again that {name} is empty: nothing is set aside now");
            self.tell(Update::Notice(notice)).await;
            return Ok(());
        }
        let begun = account.records.begin_generation(ended, (Reason::SetBack, now, 0), None, 1)?;
        self.tell_loss(&ended.name, 0, ended.last).await;
        self.tell_regrouped(&begun).await
    }

    async fn tell_loss(&mut self, name: &Conversation, last: Seq, kept: Seq) {
        let notice = format!(
            "the server knows {last} messages of {name}, this machine {kept}: the server has lost some; nothing is \
             deleted here, /why says more"
        );
        self.tell(Update::Notice(notice)).await;
    }

    /// Takes messages that should follow what is kept; the first may be the newest kept message once more.
    pub(super) async fn take_following(
        &mut self,
        name: &Conversation,
        mut page: Vec<Opened>,
    ) -> Result<(), SyncError> {
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let again = page.first().map(|opened| &opened.message);
        if let (Some(extent), Some(again)) = (account.records.extent(name)?, again)
            && again.seq == extent.last
        {
            let kept = account.records.message(name, extent.last)?;
            if kept.is_some_and(|kept| kept.id != again.id) {
                return self.begin_anew(name, page).await;
            }
            page.remove(0);
        }
        self.take_newer(name, page).await
    }

    /// Makes the first messages of a page count again if they were set aside before, and takes them out of the page.
    /// Used in a generation without messages.
    pub(super) async fn have_again(
        &mut self,
        extent: Extent,
        page: &mut Vec<Opened>,
    ) -> Result<Extent, SyncError> {
        if extent.generation == 0 || extent.begins <= extent.last {
            return Ok(extent);
        }
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let Some(parent) = account.records.find_kept(&extent, places(page))? else { return Ok(extent) };
        page.retain(|opened| opened.message.seq > parent.last);
        let adopted = account.records.adopt(&extent, parent)?;
        self.tell_regrouped(&adopted).await?;
        Ok(adopted)
    }

    async fn tell_regrouped(&mut self, extent: &Extent) -> Result<(), SyncError> {
        // Untold messages are reported in the generation in which they came.
        self.tell_untold().await;
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let set_aside = account.ended(extent)?.iter().map(|ended| ended.set_aside).sum();
        let Extent { name, last, read, generation, begins, .. } = extent.clone();
        let messages = account.records.messages(&name, None, BACKLOG)?;
        self.tell(Update::Regrouped { name, generation, begins, last, read, set_aside, messages }).await;
        Ok(())
    }

    /// The history of what is kept of a conversation: its generations, and what was refused and delivered.
    pub(super) fn why(&self, conversation: Conversation) -> Result<Answer, SyncError> {
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let Some(extent) = account.records.extent(&conversation)? else {
            return Ok(Answer::Why { conversation, ended: Vec::new(), refused: 0 });
        };
        Ok(Answer::Why { conversation, ended: account.ended(&extent)?, refused: extent.refused })
    }
}

impl super::Account {
    /// The ended generations of a conversation, newest first, in the form that a face shows.
    pub(super) fn ended(&self, extent: &Extent) -> Result<Vec<Ended>, SyncError> {
        let path = self.records.path(extent)?;
        let mut next = (extent.begins, extent.parent.is_some());
        let mut ended = Vec::new();
        for generation in self.records.generations(extent).take(TOLD) {
            let Generation { number, first, last, parent, reason, noticed, server_last } = generation?;
            let kept = (last + 1).saturating_sub(first);
            let missing = match reason {
                Reason::Gap if !next.1 => next.0.saturating_sub(last + 1),
                _ => 0,
            };
            next = (first, parent.is_some());
            let set_aside = kept.saturating_sub(path.count(number));
            ended.push(Ended {
                generation: number,
                reason,
                noticed,
                server_last,
                kept_last: last,
                set_aside,
                missing,
            });
        }
        Ok(ended)
    }
}
