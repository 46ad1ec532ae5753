//! Catching up with the server: after each login, and when something is missing in between. The newest
//! messages of each conversation are shown first; then everything else is fetched, judged and kept in
//! order, while the engine goes on with its other work.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parlour_protocol::{Command, Conversation, ConversationHead, Message, Refusal, Reply};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Engine;
use super::fetch::{BACKLOG, Errand, Fetched, Fetcher, Page, Part, fetch};
use super::held::Held;
use super::login::Joining;
use super::sync::{SyncError, Taken};
use crate::asking::action::Answer;
use crate::asking::asker::Answering;
use crate::asking::update::Update;
use crate::failure::{Explain as _, Failure};
use crate::link::LinkError;
use crate::records::Extent;

/// A gap longer than this is not filled automatically: it is fetched backwards when the user scrolls there.
const LONGEST_GAP: u64 = 20_000;

/// Pages that are fetched and opened ahead of the one that is judged: enough to keep all cores busy.
const AHEAD: usize = 3;

/// Everything that is still being fetched.
pub(super) struct Behind {
    /// The conversations of which something is missing.
    names: HashSet<Conversation>,
    /// Those that could not be fetched, and why.
    failed: HashMap<Conversation, SyncError>,
    pages: mpsc::Receiver<Fetched>,
    /// Taken from `pages`, and perhaps not opened yet.
    first: Option<Fetched>,
    /// Stops the task when this is dropped.
    _task: JoinSet<()>,
}

/// The next page being fetched, opened; nothing at the end. Waits for ever when nothing is being
/// fetched. Safe to cancel and await again.
pub(super) async fn next_page(behind: &mut Option<Behind>) -> Option<Fetched> {
    let Some(behind) = behind else { return std::future::pending().await };
    if behind.first.is_none() {
        behind.first = Some(behind.pages.recv().await?);
    }
    if let Some(Fetched { page: Ok(page), .. }) = &mut behind.first {
        page.opening.wait().await;
    }
    behind.first.take()
}

impl Engine {
    /// Begins to fetch what was missed in every conversation.
    pub(super) async fn catch_up(&mut self) -> Result<(), SyncError> {
        // Revocations first, so that what comes is judged by them.
        self.fetch_revocations().await?;
        let Reply::Conversations(heads) = self.ask_online(&Command::Conversations).await? else {
            return Err(LinkError::protocol("it does not say which conversations there are").into());
        };
        let heads = self.with_those_left_out(heads)?;
        self.fetch_missed(heads).await?;
        self.tell_complete().await
    }

    /// Adds the conversations that are kept here and that the server does not name: it has no messages of them.
    fn with_those_left_out(
        &self,
        mut heads: Vec<ConversationHead>,
    ) -> Result<Vec<ConversationHead>, SyncError> {
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let named: HashSet<Conversation> = heads.iter().map(|head| head.name.clone()).collect();
        let extents = account.records.extents()?.into_iter();
        let left_out = extents.filter(|extent| !named.contains(&extent.name));
        heads.extend(left_out.map(|extent| ConversationHead { name: extent.name, last: 0, newest: None }));
        Ok(heads)
    }

    /// Begins to fetch what is missing up to these heads.
    pub(super) async fn fetch_missed(&mut self, heads: Vec<ConversationHead>) -> Result<(), SyncError> {
        let mut errands = Vec::new();
        let mut room = self.room_for_conversations()?;
        for head in heads {
            let extent = match self.extent(&head.name)? {
                Some(extent) if head.last == 0 && extent.last > 0 => {
                    self.set_all_aside(&extent).await?;
                    continue;
                }
                None if head.last > 0 && room == 0 && head.name != Conversation::lobby() => {
                    self.leave_conversation_out().await;
                    continue;
                }
                extent => extent,
            };
            room = room.saturating_sub(u64::from(extent.is_none() && head.last > 0));
            self.tell_of_gap(&head, extent.as_ref()).await;
            let fits = self.fits(&head, extent.as_ref())?;
            errands.extend(self.errand(head, extent.as_ref(), fits));
        }
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let link = self.link.as_ref().ok_or(LinkError::Lost)?;
        let (room, pages) = mpsc::channel(AHEAD);
        let fetcher = Fetcher { requests: link.requests(), opener: Arc::clone(&account.opener), pages: room };
        let names = errands.iter().map(|errand| errand.name.clone()).collect();
        let mut task = JoinSet::new();
        task.spawn(fetch(fetcher, errands));
        self.behind = Some(Behind { names, failed: HashMap::new(), pages, first: None, _task: task });
        Ok(())
    }

    /// Says so when more was missed than is fetched automatically.
    async fn tell_of_gap(&mut self, head: &ConversationHead, extent: Option<&Extent>) {
        let ConversationHead { name, last, .. } = head;
        if extent.is_some_and(|extent| last.saturating_sub(extent.last) > LONGEST_GAP) {
            let notice = format!(
                "{name}: too much was missed to fetch it all; what is older is fetched when you go there"
            );
            self.tell(Update::Notice(notice)).await;
        }
    }

    /// False if the server's newest message is another than the one that is kept in its place. Then the two have
    /// different histories, although they may have as many messages.
    fn fits(&self, head: &ConversationHead, extent: Option<&Extent>) -> Result<bool, SyncError> {
        let (Some(newest), Some(_)) = (head.newest, extent) else { return Ok(true) };
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        Ok(account.records.message(&head.name, head.last)?.is_none_or(|kept| kept.id == newest))
    }

    /// The part of a conversation that has to be fetched, if any. Of a conversation that is new here, a login takes
    /// the newest messages; after the backlog was told, all of it is new and is fetched whole.
    fn errand(&mut self, head: ConversationHead, extent: Option<&Extent>, fits: bool) -> Option<Errand> {
        let account = self.account.as_mut()?;
        let ConversationHead { name, last, .. } = head;
        let follows = |kept: &Extent| fits && kept.last <= last && last - kept.last <= LONGEST_GAP;
        // Damage may have left nothing that counts.
        let extent = extent.filter(|extent| extent.last > 0);
        let kept = extent.filter(|extent| follows(extent)).map(|extent| (extent.first, extent.last));
        let count = if account.told { 0 } else { BACKLOG as u64 };
        let is_complete = match kept {
            Some((first, kept)) => kept == last && (first <= 1 || last + 1 - first >= count),
            None => extent.is_none() && last == 0,
        };
        if is_complete {
            return None;
        }
        let whole = extent.is_none() && account.told && last <= LONGEST_GAP;
        // Once is enough: on a connection that keeps breaking, repeating it would hold up the rest.
        let ahead = account.shown_ahead.insert(name.clone());
        Some(Errand { name, last, kept, ahead, whole, count })
    }

    /// Shows at once the conversations that are complete, while the rest is being fetched.
    async fn tell_complete(&mut self) -> Result<(), SyncError> {
        let Some(account) = self.account.as_ref().filter(|account| !account.told) else { return Ok(()) };
        for Extent { name, .. } in account.records.extents()? {
            if !self.is_behind_in(&name) {
                self.tell_newest(&name).await?;
            }
        }
        Ok(())
    }

    /// True if part of this conversation is still being fetched.
    pub(super) fn is_behind_in(&self, name: &Conversation) -> bool {
        self.behind.as_ref().is_some_and(|behind| behind.names.contains(name))
    }

    /// Handles a page that came, or the end of the pages.
    pub(super) async fn hear_page(&mut self, fetched: Option<Fetched>) {
        let Some(Fetched { name, page }) = fetched else { return self.caught_up().await };
        let outcome = match page {
            Ok(page) => self.take_page(&name, page).await,
            Err(failure) => Err(failure.into()),
        };
        match outcome {
            Ok(()) => {}
            Err(SyncError::Link(failure)) if failure.is_over() => self.lost(failure).await,
            Err(failure @ SyncError::Records(_)) => self.not_online(failure.into()).await,
            Err(failure) => self.tolerate(name, failure).await,
        }
    }

    async fn take_page(&mut self, name: &Conversation, page: Page) -> Result<(), SyncError> {
        if self.behind.as_ref().is_some_and(|behind| behind.failed.contains_key(name)) {
            return Ok(());
        }
        let Page { part, newest, opening } = page;
        let page = opening.opened().await;
        match part {
            Part::Anew => self.begin_anew(name, page).await?,
            Part::Ahead => return self.tell_ahead(name, &page).await,
            Part::Newer => self.take_following(name, page).await?,
            Part::Older => self.take_older(name, page)?,
        }
        if newest { self.tell_newest(name).await } else { Ok(()) }
    }

    /// Reports a conversation that cannot be fetched; the others go on.
    async fn tolerate(&mut self, name: Conversation, failure: SyncError) {
        self.tell(Update::Notice(format!("{name} was not fetched: {failure}"))).await;
        if let Some(behind) = &mut self.behind {
            behind.failed.insert(name, failure);
        }
    }

    /// Keeps what has come, and stops fetching.
    pub(super) async fn stop_catching_up(&mut self) {
        while self.behind.is_some() {
            let taken = match next_page(&mut self.behind).await {
                Some(Fetched { name, page: Ok(page) }) => self.take_page(&name, page).await.is_ok(),
                _ => false,
            };
            if !taken {
                self.behind = None;
            }
        }
        // It will not be fetched again.
        self.tell_untold().await;
    }

    /// Finishes catching up: everything was fetched.
    async fn caught_up(&mut self) {
        let Some(Behind { names, failed, .. }) = self.behind.take() else { return };
        if let Err(failure) = self.tell_all().await {
            return self.not_online(failure.into()).await;
        }
        self.reconnect.succeeded();
        if let Some(Joining { name, answer, .. }) = self.joining.take() {
            let _ = answer.send(
                self.backlog().map(|backlog| Answer::LoggedIn { name, backlog }).map_err(Failure::from),
            );
        }
        self.take_held(&names, &failed).await;
        if self.account.as_ref().is_some_and(|account| !account.sending.is_empty()) {
            self.tell_outbox().await;
        }
        self.send_waiting().await;
        self.renew_in_time().await;
    }

    /// Tells what was kept: message by message, or all of it as the backlog of a login.
    async fn tell_all(&mut self) -> Result<(), SyncError> {
        self.tell_untold().await;
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        account.shown_ahead.clear();
        if !std::mem::replace(&mut account.told, true) {
            // The backlog includes them.
            account.untold.clear();
            let backlog = self.backlog()?;
            self.tell(Update::Backlog(backlog)).await;
        }
        self.tell_extents().await
    }

    /// Takes the messages that came while these were fetched.
    async fn take_held(
        &mut self,
        fetched: &HashSet<Conversation>,
        failed: &HashMap<Conversation, SyncError>,
    ) {
        let Some(account) = &mut self.account else { return };
        let me = account.profile.name.clone();
        for Held { message, answer } in account.held.take() {
            let name = message.conversation(&me);
            let outcome = match failed.get(&name) {
                Some(failure) => Err(failure.clone()),
                // Fetched once more it would be the same, again and again.
                None if fetched.contains(&name) && self.knows(&name, &message).is_ok_and(|known| !known) => {
                    let failure = format!("it has another message of {name} in place of one that it sent");
                    Err(LinkError::Protocol(failure).into())
                }
                None => self.take(&message).await,
            };
            match (outcome, answer) {
                // If it is lost again, it is fetched with the others and known then.
                (Ok(Taken::Later), answer) => self.hold(message, answer),
                (Err(failure), answer) if failure.is_over() => self.hold(message, answer),
                (Ok(Taken::Now(shown)), Some(answer)) => self.answer_said(&message, shown, answer),
                (Err(failure), Some(answer)) => drop(answer.send(Err(failure.into()))),
                (outcome, None) => self.tell_not_taken(outcome).await,
            }
        }
    }

    /// True if no more messages can be held.
    pub(super) fn holds_too_many(&self) -> bool {
        self.account.as_ref().is_some_and(|account| account.held.is_full())
    }

    /// Holds a message until what comes before it has arrived.
    pub(super) fn hold(&mut self, message: Message, answer: Option<Answering>) {
        if let Some(account) = &mut self.account {
            account.held.push(Held { message, answer });
        }
    }
}
