//! What the terminal face draws: everything that the engine has told, in one place. It changes by
//! updates and answers alone, so that drawing is a pure function of it.

use std::collections::VecDeque;

use parlour_protocol::{Conversation, Seq, UserName};

use crate::asking::update::{Connection, Update, Waiting};
use crate::failure::Failure;
use crate::reading::shown::Shown;

/// Messages of a conversation that are loaded at most. Others are read from this machine's records when somebody goes
/// there.
pub const WINDOW: usize = 2_000;

/// Messages that are taken out of the window together.
const SLACK: usize = 200;

/// Notices that are kept; the oldest go first.
const NOTICES: usize = 200;

/// The beginning of notices that are of no use any more once there is a connection.
const NOT_CONNECTED: &str = "not connected";

/// Everything that the terminal shows.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The state of the connection; `None` before the first attempt.
    pub connection: Option<Connection>,
    /// The user who is logged in.
    pub user: Option<UserName>,
    /// `#lobby` first, then direct conversations by name.
    pub conversations: Vec<ConversationState>,
    /// Conversations in the order in which they were first seen. Their places are their numbers, which stay.
    pub numbers: Vec<Conversation>,
    /// The newest of the messages that the server has not stored yet.
    pub waiting: Vec<Waiting>,
    /// What takes a while, while it does.
    pub progress: Option<String>,
    /// What was said to the user besides messages, oldest first.
    pub notices: VecDeque<Notice>,
    /// The users who were online when it was last asked.
    pub online: Vec<UserName>,
}

/// A conversation.
#[derive(Debug, Clone)]
pub struct ConversationState {
    /// Its name.
    pub name: Conversation,
    /// What is loaded of it, in the order in which it is kept: a window of at most [`WINDOW`] and some more.
    pub messages: Vec<Shown>,
    /// Whether there are newer ones that are not loaded.
    pub detached: bool,
    /// Whether the user looks at older ones: then newer ones do not push them out.
    pub held: bool,
    /// The newest, by `seq`, without gaps, when what comes between is not there yet: see
    /// [`Update::Newest`].
    pub ahead: Vec<Shown>,
    /// The newest `seq` that there is.
    pub last: Seq,
    /// The newest that the user has seen.
    pub read: Seq,
    /// Whether the first of `messages` is the first of the conversation.
    pub complete: bool,
    /// Whether older messages were asked for and have not come.
    pub loading: bool,
}

impl ConversationState {
    fn new(name: Conversation) -> Self {
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

    /// Puts a message behind the others; the oldest go when there are too many, or, while the user looks at those, the
    /// new one is left to be read later.
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

    /// Messages that the user has not seen.
    pub fn unread(&self) -> u64 {
        self.last.saturating_sub(self.read)
    }
}

/// Something said to the user that is no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its kind.
    pub kind: NoticeKind,
    /// Its text.
    pub text: String,
}

/// The kind of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// An answer.
    Info,
    /// Something was not done.
    Error,
    /// What to do about that.
    Hint,
}

impl State {
    /// Takes an update from the engine.
    pub fn apply(&mut self, update: Update) {
        match update {
            Update::Connection(connection) => self.connect(connection),
            Update::Progress(text) => self.progress = Some(text),
            Update::LoggedIn { user, .. } => {
                self.progress = None;
                self.user = Some(user);
                self.conversation(&Conversation::lobby());
            }
            Update::LoggedOut { reason } => {
                self.forget_user();
                self.fail(&reason);
            }
            Update::Conversation { name, last, read } => {
                let conversation = self.conversation(&name);
                conversation.last = conversation.last.max(last);
                conversation.read = conversation.read.max(read);
            }
            Update::Regrouped { name, last, read, messages, .. } => {
                let conversation = self.conversation(&name);
                *conversation = ConversationState { messages, last, read, ..ConversationState::new(name) };
            }
            Update::Newest { name, messages, read, settled } => {
                let conversation = self.conversation(&name);
                conversation.read = conversation.read.max(read);
                for shown in messages {
                    if settled { self.add(shown) } else { self.add_ahead(shown) }
                }
            }
            Update::Backlog(messages) => messages.into_iter().for_each(|shown| self.add(shown)),
            Update::Judged(messages) => messages.iter().for_each(|shown| self.replace(shown)),
            Update::Message(shown) => self.add(*shown),
            Update::Outbox { newest, .. } => self.waiting = newest,
            Update::Notice(text) => self.say(NoticeKind::Info, text),
        }
    }

    fn connect(&mut self, connection: Connection) {
        if let Connection::Offline { reason, .. } = &connection {
            let known = matches!(&self.connection, Some(Connection::Offline { .. }));
            if !known {
                self.say(NoticeKind::Info, format!("{NOT_CONNECTED}: {reason}"));
            }
        }
        if matches!(connection, Connection::Online { .. } | Connection::Guest { .. }) {
            self.progress = None;
            let is_over = |text: &str| text.trim_start_matches("error: ").starts_with(NOT_CONNECTED);
            self.notices.retain(|notice| !is_over(&notice.text));
        }
        // While it is tried again the reason stays to be seen.
        let retrying = matches!(
            (&self.connection, &connection),
            (Some(Connection::Offline { .. }), Connection::Connecting { .. })
        );
        if !retrying {
            self.connection = Some(connection);
        }
    }

    fn forget_user(&mut self) {
        let notices = std::mem::take(&mut self.notices);
        *self = Self { notices, ..Self::default() };
    }

    fn add(&mut self, shown: Shown) {
        let own = self.user.as_ref() == Some(&shown.from);
        let conversation = self.conversation(&shown.conversation);
        let seq = shown.seq;
        match conversation.messages.last() {
            Some(newest) if shown.place() <= newest.place() => return,
            // A new generation stands below what was kept before.
            Some(newest) if shown.generation > newest.generation => {}
            Some(newest) if seq > newest.seq + 1 && !conversation.detached => conversation.messages.clear(),
            _ => {}
        }
        if conversation.messages.is_empty() {
            conversation.complete = shown.place() <= (0, 1);
        }
        // It has its place now.
        conversation.ahead.retain(|ahead| ahead.seq > seq);
        conversation.last = conversation.last.max(seq);
        conversation.push(shown);
        if own {
            conversation.read = conversation.read.max(seq);
        }
    }

    /// Shows a message with its new verdict, where it is shown.
    fn replace(&mut self, judged: &Shown) {
        let ConversationState { messages, ahead, .. } = self.conversation(&judged.conversation);
        for shown in messages.iter_mut().chain(ahead) {
            if (shown.place(), shown.id) == (judged.place(), judged.id) {
                *shown = judged.clone();
            }
        }
    }

    /// Shows a message that others come before which are not there yet.
    fn add_ahead(&mut self, shown: Shown) {
        let own = self.user.as_ref() == Some(&shown.from);
        let conversation = self.conversation(&shown.conversation);
        let seq = shown.seq;
        match conversation.ahead.last().or(conversation.messages.last()) {
            Some(newest) if seq <= newest.seq => return,
            Some(newest) if seq > newest.seq + 1 => conversation.ahead.clear(),
            _ => {}
        }
        if conversation.ahead.len() >= WINDOW {
            conversation.ahead.drain(..SLACK);
        }
        conversation.ahead.push(shown);
        conversation.last = conversation.last.max(seq);
        if own {
            conversation.read = conversation.read.max(seq);
        }
    }

    /// Puts older messages in front of a conversation's.
    pub fn add_older(&mut self, name: &Conversation, older: Vec<Shown>, complete: bool) {
        let conversation = self.conversation(name);
        conversation.loading = false;
        let first = conversation.messages.first().map_or((u64::MAX, Seq::MAX), Shown::place);
        let mut messages: Vec<Shown> = older.into_iter().filter(|shown| shown.place() < first).collect();
        messages.append(&mut conversation.messages);
        conversation.complete = complete || messages.first().is_some_and(|shown| shown.place() <= (0, 1));
        if messages.len() > WINDOW + SLACK {
            // The user looks at the older ones.
            messages.truncate(WINDOW);
            conversation.detached = true;
        }
        let newest = messages.iter().rev().find(|shown| !shown.set_aside);
        conversation.last = conversation.last.max(newest.map_or(0, |shown| shown.seq));
        conversation.messages = messages;
    }

    /// Goes back to the newest messages of a conversation.
    pub fn set_newest(&mut self, name: &Conversation, newest: Vec<Shown>, complete: bool) {
        let conversation = self.conversation(name);
        conversation.loading = false;
        conversation.complete = complete;
        conversation.detached = false;
        conversation.messages = newest;
    }

    /// The conversation with this name, made if there is none.
    pub fn conversation(&mut self, name: &Conversation) -> &mut ConversationState {
        let index = match self.conversations.binary_search_by(|known| known.name.cmp(name)) {
            Ok(index) => index,
            Err(index) => {
                self.conversations.insert(index, ConversationState::new(name.clone()));
                if !self.numbers.contains(name) {
                    self.numbers.push(name.clone());
                }
                index
            }
        };
        // The index was just found or filled.
        #[allow(clippy::indexing_slicing)]
        &mut self.conversations[index]
    }

    /// A conversation's number, counted from 1.
    pub fn number(&self, name: &Conversation) -> Option<usize> {
        Some(self.numbers.iter().position(|known| known == name)? + 1)
    }

    /// The user has seen everything in a conversation; returns the newest `seq` if that is news.
    pub fn mark_read(&mut self, name: &Conversation) -> Option<Seq> {
        let conversation = self.conversation(name);
        let news = conversation.read < conversation.last;
        conversation.read = conversation.last;
        news.then_some(conversation.last)
    }

    /// Says something that is no message.
    pub fn say(&mut self, kind: NoticeKind, text: String) {
        while self.notices.len() >= NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back(Notice { kind, text });
    }

    /// Says what was not done, and what to do about it.
    pub fn fail(&mut self, failure: &Failure) {
        self.progress = None;
        self.say(NoticeKind::Error, format!("error: {failure}"));
        if let Some(hint) = failure.hint() {
            self.say(NoticeKind::Hint, format!("hint: {hint}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use parlour_protocol::{MessageId, Timestamp};

    use super::*;
    use crate::link::LinkError;
    use crate::reading::shown::Verdict;

    fn shown(conversation: &str, from: &str, seq: Seq) -> Shown {
        Shown {
            conversation: conversation.parse().unwrap(),
            seq,
            id: MessageId::from_bytes([1; 16]),
            from: from.parse().unwrap(),
            to: conversation.parse().unwrap(),
            time: Timestamp::from_millis(0),
            signed: None,
            text: Some("x".into()),
            verdict: Verdict::Public,
            backwards: false,
            generation: 0,
            set_aside: false,
            signer: None,
        }
    }

    fn state() -> State {
        let mut state = State::default();
        let device = "0123456789abcdef".parse().unwrap();
        state.apply(Update::LoggedIn { user: "sam".parse().unwrap(), device });
        state
    }

    fn seqs(state: &mut State) -> Vec<Seq> {
        state.conversation(&Conversation::lobby()).messages.iter().map(|shown| shown.seq).collect()
    }

    #[test]
    fn each_message_is_there_once_and_in_order() {
        let mut state = state();
        state.apply(Update::Backlog(vec![shown("#lobby", "erik", 5), shown("#lobby", "erik", 6)]));
        state.apply(Update::Message(Box::new(shown("#lobby", "erik", 6))));
        state.apply(Update::Message(Box::new(shown("#lobby", "erik", 7))));
        let older = vec![shown("#lobby", "erik", 4), shown("#lobby", "erik", 5)];
        state.add_older(&Conversation::lobby(), older, false);
        assert_eq!(seqs(&mut state), [4, 5, 6, 7]);
    }

    #[test]
    fn what_is_read_ahead_stands_apart_until_what_comes_before_it_is_there() {
        let mut state = state();
        let newest = |messages: Vec<Shown>, settled| Update::Newest {
            name: Conversation::lobby(),
            messages,
            read: 2,
            settled,
        };
        state.apply(newest(vec![shown("#lobby", "erik", 1), shown("#lobby", "erik", 2)], true));
        state.apply(newest(vec![shown("#lobby", "erik", 8), shown("#lobby", "erik", 9)], false));
        // A live one goes on from there; what is known is not shown twice.
        state.apply(newest(vec![shown("#lobby", "erik", 9)], false));
        state.apply(newest(vec![shown("#lobby", "erik", 10)], false));
        let ahead = |state: &mut State| -> Vec<Seq> {
            state.conversation(&Conversation::lobby()).ahead.iter().map(|shown| shown.seq).collect()
        };
        assert_eq!((seqs(&mut state), ahead(&mut state)), (vec![1, 2], vec![8, 9, 10]));
        assert_eq!(state.conversation(&Conversation::lobby()).unread(), 8);
        for seq in 3..=9 {
            let mut judged = shown("#lobby", "erik", seq);
            judged.verdict = Verdict::Gap { missing: seq };
            state.apply(Update::Message(Box::new(judged)));
        }
        assert_eq!((seqs(&mut state), ahead(&mut state)), ((1..=9).collect(), vec![10]));
        // As it was judged in its turn.
        let last = state.conversation(&Conversation::lobby()).messages.last().cloned().unwrap();
        assert_eq!(last.verdict, Verdict::Gap { missing: 9 });
    }

    #[test]
    fn what_is_loaded_is_a_window_and_older_or_newer_messages_stay_out_of_it() {
        let mut state = state();
        let lobby = Conversation::lobby();
        let add = |state: &mut State, seqs: std::ops::RangeInclusive<Seq>| {
            seqs.for_each(|seq| state.apply(Update::Message(Box::new(shown("#lobby", "erik", seq)))));
        };
        add(&mut state, 1..=10_000);
        let loaded = seqs(&mut state);
        assert!((WINDOW..=WINDOW + SLACK).contains(&loaded.len()), "{}", loaded.len());
        assert!(loaded.iter().copied().eq(10_001 - loaded.len() as Seq..=10_000));
        assert!(!state.conversation(&lobby).complete);
        // Whoever looks at older ones keeps them.
        state.conversation(&lobby).held = true;
        let first = loaded[0];
        add(&mut state, 10_001..=11_000);
        assert_eq!(seqs(&mut state)[0], first + (10_000 - first + 1).saturating_sub(loaded.len() as Seq));
        assert!(state.conversation(&lobby).detached && state.conversation(&lobby).last == 11_000);
        let older = (first - 500..first).map(|seq| shown("#lobby", "erik", seq)).collect();
        state.add_older(&lobby, older, false);
        assert_eq!((seqs(&mut state)[0], seqs(&mut state).len()), (first - 500, WINDOW));
        // And back.
        let newest = (10_901..=11_000).map(|seq| shown("#lobby", "erik", seq)).collect();
        state.set_newest(&lobby, newest, false);
        add(&mut state, 11_001..=11_001);
        assert_eq!((seqs(&mut state)[0], seqs(&mut state).len()), (10_901, 101));
    }

    #[test]
    fn unread_counts_what_others_said_since_it_was_seen() {
        let mut state = state();
        let erik: Conversation = "@erik".parse().unwrap();
        state.apply(Update::Message(Box::new(shown("@erik", "erik", 1))));
        state.apply(Update::Message(Box::new(shown("@erik", "erik", 2))));
        assert_eq!(state.conversation(&erik).unread(), 2);
        assert_eq!(state.mark_read(&erik), Some(2));
        assert_eq!(state.mark_read(&erik), None);
        state.apply(Update::Message(Box::new(shown("@erik", "sam", 3))));
        assert_eq!(state.conversation(&erik).unread(), 0);
    }

    #[test]
    fn a_lost_connection_is_news_only_until_there_is_one_again() {
        let mut state = state();
        let server: parlour_protocol::ServerAddress = "localhost".parse().unwrap();
        let offline = Connection::Offline { reason: LinkError::Lost.into(), retry: None };
        state.apply(Update::Notice("something else".into()));
        state.fail(&LinkError::NotConnected.into());
        state.apply(Update::Connection(offline.clone()));
        state.apply(Update::Connection(Connection::Connecting { server: server.clone() }));
        state.apply(Update::Connection(offline));
        assert_eq!(state.notices.len(), 3);
        state.apply(Update::Connection(Connection::Online { server }));
        assert_eq!(state.notices.len(), 1);
    }

    #[test]
    fn the_lobby_comes_first() {
        let mut state = state();
        state.apply(Update::Message(Box::new(shown("@zoe", "zoe", 1))));
        state.apply(Update::Message(Box::new(shown("@anna", "anna", 1))));
        let names: Vec<String> = state.conversations.iter().map(|c| c.name.to_string()).collect();
        assert_eq!(names, ["#lobby", "@anna", "@zoe"]);
        // Numbers stay with whom they were given to.
        assert_eq!(
            ["#lobby", "@zoe", "@anna"].map(|name| state.number(&name.parse().unwrap())),
            [1, 2, 3].map(Some)
        );
    }

    #[test]
    fn logging_out_leaves_nothing_of_the_user() {
        let mut state = state();
        state.apply(Update::Message(Box::new(shown("@erik", "erik", 1))));
        state.apply(Update::LoggedOut { reason: LinkError::Dismissed("revoked".into()).into() });
        assert!(state.user.is_none() && state.conversations.is_empty());
        assert_eq!(state.notices.len(), 1);
    }
}
