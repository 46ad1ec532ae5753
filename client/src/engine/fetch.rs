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
    /// The first and the last `seq` that are kept here; nothing when it begins anew.
    pub(super) kept: Option<(Seq, Seq)>,
    /// Whether the newest page is wanted ahead of what comes before it.
    pub(super) ahead: bool,
    /// Whether all is wanted from the beginning, where nothing is kept.
    pub(super) whole: bool,
    /// How many messages are wanted, older ones too.
    pub(super) count: u64,
}

/// The use of a page to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The newest, in the place of whatever is kept.
    Anew,
    /// The newest, to be shown and not kept: there is more before it.
    Ahead,
    /// Follows what is kept.
    Newer,
    /// Stands before what is kept.
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
    /// Whether it ends with the newest message there is, and was fetched for that.
    pub(super) newest: bool,
    pub(super) opening: Opening,
}

/// Runs the errands: first the newest page of each, then all that is left of one after the other. Ends
/// with the connection.
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

/// There is no use in going on: the connection or the engine is gone.
struct Over;

/// Fetches over a connection and hands the pages on.
pub(super) struct Fetcher {
    pub(super) requests: Requests,
    pub(super) opener: Arc<Opener>,
    /// Takes the pages. Its room bounds how far fetching and opening run ahead of the engine.
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
            return self.fail(errand, "new").await;
        };
        let part = match errand.kept {
            None if anew => Part::Anew,
            None if first <= 1 => Part::Newer,
            Some((_, kept)) if first <= kept.saturating_add(1) => {
                // The newest that is kept comes again, if it is there: it must be the same.
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
        // The newest that is kept comes again, once: it must be the same.
        let mut again = u64::from(newest > 0);
        while newest < errand.last {
            let after = newest - std::mem::take(&mut again);
            let Some(page) = self.page(&mut errand, HistoryRange::After(after)).await? else {
                return Ok(());
            };
            let Some(last) = last(&page).filter(|last| *last > newest) else {
                return self.fail(&errand, "new").await;
            };
            newest = last;
            self.tell(&errand, Part::Newer, false, page).await?;
        }
        while oldest > 1 && (newest + 1).saturating_sub(oldest) < errand.count {
            let Some(page) = self.page(&mut errand, HistoryRange::Before(oldest)).await? else {
                return Ok(());
            };
            let Some(first) = first(&page).filter(|first| *first < oldest) else {
                return self.fail(&errand, "old").await;
            };
            oldest = first;
            self.tell(&errand, Part::Older, false, page).await?;
        }
        Ok(())
    }

    /// A page, unless the server does not hand it out; then the errand has ended.
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
        // It is not opened before there is room for it.
        let room = self.pages.reserve().await.map_err(|_| Over)?;
        let page = Ok(Page { part, newest, opening: self.opener.begin(page) });
        room.send(Fetched { name: errand.name.clone(), page });
        Ok(())
    }

    async fn fail(&self, errand: &Errand, what: &str) -> Result<(), Over> {
        let failure = LinkError::Protocol(format!("it does not hand out what is {what} in {}", errand.name));
        self.send(errand, Err(failure)).await
    }

    async fn send(&self, errand: &Errand, page: Result<Page, LinkError>) -> Result<(), Over> {
        self.pages.send(Fetched { name: errand.name.clone(), page }).await.map_err(|_| Over)
    }
}

impl Errand {
    /// Nothing more is wanted.
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
