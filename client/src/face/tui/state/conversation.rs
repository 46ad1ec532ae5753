//! One conversation as the terminal holds it: a window of its messages, and how far it was read.

use parlour_protocol::{Conversation, Seq};

use crate::reading::shown::Shown;

/// The most messages of a conversation that stay loaded. Others are read from this machine's records when the
/// user scrolls to them.
pub const WINDOW: usize = 2_000;

/// Messages that leave the window together.
const SLACK: usize = 200;

/// A conversation.
#[derive(Debug, Clone)]
pub struct ConversationState {
    /// Its name.
    pub name: Conversation,
    /// Its loaded messages, in the order in which they are kept: at most [`WINDOW`] and some more.
    pub messages: Vec<Shown>,
    /// True if newer messages exist that are not loaded.
    pub detached: bool,
    /// True while the user looks at older messages, which newer ones then do not push out.
    pub held: bool,
    /// The newest messages, by `seq` and without gaps, while those before them have not been opened: see
    /// [`Update::Newest`](crate::asking::update::Update::Newest).
    pub ahead: Vec<Shown>,
    /// The newest `seq` that exists.
    pub last: Seq,
    /// The newest `seq` that the user has seen.
    pub read: Seq,
    /// True if the first of `messages` is the first of the conversation.
    pub complete: bool,
    /// True while a request for older messages is not answered.
    pub loading: bool,
}

impl ConversationState {
    pub(super) fn new(name: Conversation) -> Self {
        Self {
            name,
            messages: Vec::new(),
            detached: false,
            held: false,
            ahead: Vec::new(),
            last: 0,
            read: 0,
            complete: false,
            loading: false,
        }
    }

    /// The number of messages that the user has not seen.
    pub fn unread(&self) -> u64 {
        self.last.saturating_sub(self.read)
    }

    /// Adds the message that comes after the loaded ones. `own` is true if the user wrote it.
    pub(super) fn add(&mut self, shown: Shown, own: bool) {
        let seq = shown.seq;
        match self.messages.last() {
            Some(newest) if shown.place() <= newest.place() => return,
            // A new generation stands below what was kept before.
            Some(newest) if shown.generation > newest.generation => {}
            Some(newest) if seq > newest.seq + 1 && !self.detached => self.messages.clear(),
            _ => {}
        }
        if self.messages.is_empty() {
            self.complete = shown.place() <= (0, 1);
        }
        // It has its place now.
        self.ahead.retain(|ahead| ahead.seq > seq);
        self.last = self.last.max(seq);
        self.push(shown);
        if own {
            self.read = self.read.max(seq);
        }
    }

    /// If the window is full, the oldest messages leave it; while the user looks at those, the new one stays out
    /// instead and is loaded later.
    fn push(&mut self, shown: Shown) {
        let is_full = self.messages.len() >= WINDOW + SLACK;
        if self.detached || (is_full && self.held) {
            self.detached = true;
            return;
        }
        if is_full {
            self.messages.drain(..SLACK);
            self.complete = false;
        }
        self.messages.push(shown);
    }

    /// Adds a message while those before it have not been opened.
    pub(super) fn add_ahead(&mut self, shown: Shown, own: bool) {
        let seq = shown.seq;
        match self.ahead.last().or(self.messages.last()) {
            Some(newest) if seq <= newest.seq => return,
            Some(newest) if seq > newest.seq + 1 => self.ahead.clear(),
            _ => {}
        }
        if self.ahead.len() >= WINDOW {
            self.ahead.drain(..SLACK);
        }
        self.ahead.push(shown);
        self.last = self.last.max(seq);
        if own {
            self.read = self.read.max(seq);
        }
    }

    /// Gives a message its new verdict, if it is loaded.
    pub(super) fn replace(&mut self, judged: &Shown) {
        for shown in self.messages.iter_mut().chain(&mut self.ahead) {
            if (shown.place(), shown.id) == (judged.place(), judged.id) {
                *shown = judged.clone();
            }
        }
    }

    /// Puts older messages in front of the loaded ones. `complete` is true if the first of them is the first of
    /// the conversation.
    pub(super) fn add_older(&mut self, older: Vec<Shown>, complete: bool) {
        self.loading = false;
        let first = self.messages.first().map_or((u64::MAX, Seq::MAX), Shown::place);
        let mut messages: Vec<Shown> = older.into_iter().filter(|shown| shown.place() < first).collect();
        messages.append(&mut self.messages);
        self.complete = complete || messages.first().is_some_and(|shown| shown.place() <= (0, 1));
        if messages.len() > WINDOW + SLACK {
            // The user looks at the older ones.
            messages.truncate(WINDOW);
            self.detached = true;
        }
        let newest = messages.iter().rev().find(|shown| !shown.set_aside);
        self.last = self.last.max(newest.map_or(0, |shown| shown.seq));
        self.messages = messages;
    }

    /// Replaces the loaded messages by the newest ones.
    pub(super) fn set_newest(&mut self, newest: Vec<Shown>, complete: bool) {
        self.loading = false;
        self.complete = complete;
        self.detached = false;
        self.messages = newest;
    }

    /// Marks everything as read; returns the newest `seq` if it was not marked before.
    pub(super) fn mark_read(&mut self) -> Option<Seq> {
        let is_news = self.read < self.last;
        self.read = self.last;
        is_news.then_some(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::tui::state::tests::shown;
    use crate::reading::shown::Verdict;

    fn lobby() -> ConversationState {
        ConversationState::new(Conversation::lobby())
    }

    fn add(lobby: &mut ConversationState, seqs: impl IntoIterator<Item = Seq>) {
        seqs.into_iter().for_each(|seq| lobby.add(shown("#lobby", "erik", seq), false));
    }

    fn seqs(messages: &[Shown]) -> Vec<Seq> {
        messages.iter().map(|shown| shown.seq).collect()
    }

    #[test]
    fn each_message_is_there_once_and_in_order() {
        let mut lobby = lobby();
        add(&mut lobby, [5, 6, 6, 7]);
        lobby.add_older(vec![shown("#lobby", "erik", 4), shown("#lobby", "erik", 5)], false);
        assert_eq!(seqs(&lobby.messages), [4, 5, 6, 7]);
    }

    #[test]
    fn messages_opened_ahead_stand_apart_until_those_before_them_are_opened() {
        let mut lobby = lobby();
        lobby.read = 2;
        add(&mut lobby, [1, 2]);
        // The last one came by itself; one that is known is not shown twice.
        for seq in [8, 9, 9, 10] {
            lobby.add_ahead(shown("#lobby", "erik", seq), false);
        }
        assert_eq!((seqs(&lobby.messages), seqs(&lobby.ahead)), (vec![1, 2], vec![8, 9, 10]));
        assert_eq!(lobby.unread(), 8);
        for seq in 3..=9 {
            let mut judged = shown("#lobby", "erik", seq);
            judged.verdict = Verdict::Gap { missing: seq };
            lobby.add(judged, false);
        }
        assert_eq!((seqs(&lobby.messages), seqs(&lobby.ahead)), ((1..=9).collect(), vec![10]));
        // The verdict is the one that was given in its turn.
        assert_eq!(lobby.messages.last().unwrap().verdict, Verdict::Gap { missing: 9 });
    }

    #[test]
    fn the_window_is_bounded_and_can_be_moved_to_older_messages_and_back() {
        let mut lobby = lobby();
        add(&mut lobby, 1..=10_000);
        let loaded = seqs(&lobby.messages);
        assert!((WINDOW..=WINDOW + SLACK).contains(&loaded.len()), "{}", loaded.len());
        assert!(loaded.iter().copied().eq(10_001 - loaded.len() as Seq..=10_000));
        assert!(!lobby.complete);
        lobby.held = true;
        let first = loaded[0];
        add(&mut lobby, 10_001..=11_000);
        assert_eq!(lobby.messages[0].seq, first + (10_000 - first + 1).saturating_sub(loaded.len() as Seq));
        assert!(lobby.detached && lobby.last == 11_000);
        lobby.add_older((first - 500..first).map(|seq| shown("#lobby", "erik", seq)).collect(), false);
        assert_eq!((lobby.messages[0].seq, lobby.messages.len()), (first - 500, WINDOW));
        lobby.set_newest((10_901..=11_000).map(|seq| shown("#lobby", "erik", seq)).collect(), false);
        add(&mut lobby, [11_001]);
        assert_eq!((lobby.messages[0].seq, lobby.messages.len()), (10_901, 101));
    }

    #[test]
    fn unread_counts_what_others_said_since_the_user_looked() {
        let mut erik = ConversationState::new("@erik".parse().unwrap());
        erik.add(shown("@erik", "erik", 1), false);
        erik.add(shown("@erik", "erik", 2), false);
        assert_eq!(erik.unread(), 2);
        assert_eq!(erik.mark_read(), Some(2));
        assert_eq!(erik.mark_read(), None);
        erik.add(shown("@erik", "sam", 3), true);
        assert_eq!(erik.unread(), 0);
    }
}
