//! Fetches what was missed, in a task beside the engine, and has it opened meanwhile. The engine takes
//! the pages one after the other.

use std::sync::Arc;

use parlour_protocol::limits::HISTORY_PAGE;
use parlour_protocol::{Command, Conversation, HistoryRange, Message, Reply, Seq};
use tokio::sync::mpsc;

use crate::failure::Explain as _;
use crate::link::{LinkError, Requests};
use crate::reading::opening::{Opener, Opening};

/// The newest messages of each conversation that a login shows.
pub(super) const BACKLOG: usize = 100;

/// The part of one conversation that is to be fetched.
pub(super) struct Errand {
    pub(super) name: Conversation,
    /// The newest `seq` that the server has.
    pub(super) last: Seq,
    /// The first and the last `seq` that are kept here; nothing when the conversation begins anew.
    pub(super) kept: Option<(Seq, Seq)>,
    /// True if the newest page is wanted ahead of what comes before it.
    pub(super) ahead: bool,
    /// True if everything from the beginning is wanted when nothing is kept.
    pub(super) whole: bool,
    /// The number of messages wanted, counting from the newest.
    pub(super) count: u64,
}

/// The engine's use for a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The newest messages; they replace what counts so far.
    Anew,
    /// The newest messages, to be shown but not kept yet: there is more before them.
    Ahead,
    /// Messages that follow what is kept.
    Newer,
    /// Messages that stand before what is kept.
    Older,
}

/// A page of a conversation, or why it did not come.
pub(super) struct Fetched {
    pub(super) name: Conversation,
    pub(super) page: Result<Page, LinkError>,
}

/// A page that came.
pub(super) struct Page {
    pub(super) part: Part,
    /// True if the page was fetched as the newest and ends with the newest message of the server.
    pub(super) newest: bool,
    pub(super) opening: Opening,
}

/// Runs the errands: first the newest page of each, then the rest of each in turn. Ends with the
/// connection.
pub(super) async fn fetch(fetcher: Fetcher, mut errands: Vec<Errand>) {
    for errand in &mut errands {
        if fetcher.newest(errand).await.is_err() {
            return;
        }
    }
    for errand in errands {
        if fetcher.rest(errand).await.is_err() {
            return;
        }
    }
}

/// Going on is useless: the connection or the engine is gone.
struct Over;

/// Fetches over a connection and hands the pages on.
pub(super) struct Fetcher {
    pub(super) requests: Requests,
    pub(super) opener: Arc<Opener>,
    /// Takes the pages. Its capacity bounds how far fetching and opening run ahead of the engine.
    pub(super) pages: mpsc::Sender<Fetched>,
}

impl Fetcher {
    async fn newest(&self, errand: &mut Errand) -> Result<(), Over> {
        let anew = errand.kept.is_none() && !errand.whole;
        if !anew && (!errand.ahead || errand.kept.is_some_and(|(_, last)| last >= errand.last)) {
            return Ok(());
        }
        let Some(mut page) = self.page(errand, HistoryRange::Newest).await? else { return Ok(()) };
        let (Some(first), Some(last)) = (first(&page), last(&page)) else {
            errand.end();
            return self.fail(errand, "newer").await;
        };
        let part = match errand.kept {
            None if anew => Part::Anew,
            None if first <= 1 => Part::Newer,
            Some((_, kept)) if first <= kept.saturating_add(1) => {
                // The newest kept message is fetched again, if the server has it: it must be the same.
                page.retain(|message| message.seq >= kept);
                Part::Newer
            }
            _ => Part::Ahead,
        };
        if part != Part::Ahead {
            errand.kept = Some((errand.kept.map_or(first, |(first, _)| first), last));
        }
        self.tell(errand, part, true, page).await
    }

    async fn rest(&self, mut errand: Errand) -> Result<(), Over> {
        let (mut oldest, mut newest) = errand.kept.unwrap_or((1, 0));
        // The newest kept message is fetched again, once: it must be the same.
        let mut again = u64::from(newest > 0);
        while newest < errand.last {
            let after = newest - std::mem::take(&mut again);
            let Some(page) = self.page(&mut errand, HistoryRange::After(after)).await? else {
                return Ok(());
            };
            let Some(last) = last(&page).filter(|last| *last > newest) else {
                return self.fail(&errand, "newer").await;
            };
            newest = last;
            self.tell(&errand, Part::Newer, false, page).await?;
        }
        while oldest > 1 && (newest + 1).saturating_sub(oldest) < errand.count {
            let Some(page) = self.page(&mut errand, HistoryRange::Before(oldest)).await? else {
                return Ok(());
            };
            let Some(first) = first(&page).filter(|first| *first < oldest) else {
                return self.fail(&errand, "older").await;
            };
            oldest = first;
            self.tell(&errand, Part::Older, false, page).await?;
        }
        Ok(())
    }

    /// Fetches a page. If the server refuses, the errand ends.
    async fn page(&self, errand: &mut Errand, range: HistoryRange) -> Result<Option<Vec<Message>>, Over> {
        let conversation = errand.name.clone();
        let command = Command::History { conversation, range, limit: HISTORY_PAGE };
        let failure = match self.requests.ask(&command).await {
            Ok(Reply::History { messages, .. }) => return Ok(Some(messages)),
            Ok(_) => LinkError::Protocol("it does not hand out the history".to_owned()),
            Err(failure) => failure,
        };
        errand.end();
        let over = failure.is_over();
        self.send(errand, Err(failure)).await?;
        if over { Err(Over) } else { Ok(None) }
    }

    async fn tell(&self, errand: &Errand, part: Part, newest: bool, page: Vec<Message>) -> Result<(), Over> {
        // A page is opened only once there is room for it.
        let room = self.pages.reserve().await.map_err(|_| Over)?;
        let page = Ok(Page { part, newest, opening: self.opener.begin(page) });
        room.send(Fetched { name: errand.name.clone(), page });
        Ok(())
    }

    async fn fail(&self, errand: &Errand, what: &str) -> Result<(), Over> {
        let failure = LinkError::Protocol(format!("it does not hand out {what} messages of {}", errand.name));
        self.send(errand, Err(failure)).await
    }

    async fn send(&self, errand: &Errand, page: Result<Page, LinkError>) -> Result<(), Over> {
        self.pages.send(Fetched { name: errand.name.clone(), page }).await.map_err(|_| Over)
    }
}

impl Errand {
    /// Marks the errand as finished.
    fn end(&mut self) {
        (self.last, self.count) = (0, 0);
    }
}

fn first(page: &[Message]) -> Option<Seq> {
    page.first().map(|message| message.seq)
}

fn last(page: &[Message]) -> Option<Seq> {
    page.last().map(|message| message.seq)
}
