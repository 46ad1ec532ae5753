//! The state that the terminal draws: everything that the engine has reported, in one place. It changes only by
//! updates and answers, so that drawing is a pure function of it. A single [`conversation`] has a file of its own.

mod conversation;

use std::collections::VecDeque;

use parlour_protocol::{Conversation, Seq, UserName};

use crate::asking::update::{Connection, Update, Waiting};
use crate::failure::Failure;
use crate::reading::shown::Shown;

pub use conversation::{ConversationState, WINDOW};

/// The most notices that are kept; the oldest go first.
const NOTICES: usize = 200;

/// The beginning of notices that a new connection makes useless.
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
    /// A description of the long task that is under way, if there is one.
    pub progress: Option<String>,
    /// Lines for the user that are not messages, oldest first.
    pub notices: VecDeque<Notice>,
    /// The users who were online at the last request for them.
    pub online: Vec<UserName>,
}

/// A line for the user that is not a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // its names say it
pub struct Notice {
    pub kind: NoticeKind,
    pub text: String,
    /// True for an error, or its hint, that is over as soon as there is a connection.
    pub is_absence: bool,
}

/// The kind of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// An answer, or news.
    Info,
    /// Something was not done.
    Error,
    /// Advice about the error before it.
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
            Update::Judged(messages) => {
                for shown in &messages {
                    self.conversation(&shown.conversation).replace(shown);
                }
            }
            Update::Message(shown) => self.add(*shown),
            Update::Outbox { newest, .. } => self.waiting = newest,
            Update::NotSent(not_sent) => self.fail(&not_sent.failure()),
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
        // During the next attempt the reason stays on the screen.
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
        let own = self.is_own(&shown);
        if own {
            // The report that it does not wait any more comes later.
            self.waiting.retain(|waiting| waiting.id != shown.id);
        }
        self.conversation(&shown.conversation).add(shown, own);
    }

    fn add_ahead(&mut self, shown: Shown) {
        let own = self.is_own(&shown);
        self.conversation(&shown.conversation).add_ahead(shown, own);
    }

    fn is_own(&self, shown: &Shown) -> bool {
        self.user.as_ref() == Some(&shown.from)
    }

    /// Puts older messages in front of a conversation's. `complete` is true if it begins with the first of them.
    pub fn add_older(&mut self, name: &Conversation, older: Vec<Shown>, complete: bool) {
        self.conversation(name).add_older(older, complete);
    }

    /// Goes back to the newest messages of a conversation.
    pub fn set_newest(&mut self, name: &Conversation, newest: Vec<Shown>, complete: bool) {
        self.conversation(name).set_newest(newest, complete);
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

    /// Takes away a conversation in which nothing was said. Its number is free again if it was the last one.
    pub fn close(&mut self, name: &Conversation) {
        self.conversations.retain(|conversation| conversation.name != *name);
        self.numbers.pop_if(|last| last == name);
    }

    /// Marks everything in a conversation as read; returns the newest `seq` if it was not marked before.
    pub fn mark_read(&mut self, name: &Conversation) -> Option<Seq> {
        self.conversation(name).mark_read()
    }

    /// Adds a line that is not a message.
    pub fn say(&mut self, kind: NoticeKind, text: String) {
        self.notice(Notice { kind, text, is_absence: false });
    }

    fn notice(&mut self, notice: Notice) {
        while self.notices.len() >= NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
    }

    /// Reports an error, and what to do about it.
    pub fn fail(&mut self, failure: &Failure) {
        self.progress = None;
        let is_absence = failure.is_absence();
        self.notice(Notice { kind: NoticeKind::Error, text: format!("error: {failure}"), is_absence });
        if let Some(hint) = failure.hint() {
            self.notice(Notice { kind: NoticeKind::Hint, text: format!("hint: {hint}"), is_absence });
        }
    }
}

#[cfg(test)]
mod tests {
    use parlour_protocol::{Farewell, MessageId, Timestamp};

    use super::*;
    use crate::link::LinkError;
    use crate::reading::shown::Verdict;

    pub(super) fn shown(conversation: &str, from: &str, seq: Seq) -> Shown {
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
            refused: false,
            signer: None,
        }
    }

    fn state() -> State {
        let mut state = State::default();
        let device = "0123456789abcdef".parse().unwrap();
        state.apply(Update::LoggedIn { user: "sam".parse().unwrap(), device });
        state
    }

    #[test]
    fn a_lost_connection_is_reported_until_there_is_one_again() {
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
        // A number stays with the conversation that got it.
        assert_eq!(
            ["#lobby", "@zoe", "@anna"].map(|name| state.number(&name.parse().unwrap())),
            [1, 2, 3].map(Some)
        );
    }

    #[test]
    fn a_message_stops_waiting_when_it_is_shown_as_stored() {
        let mut state = state();
        let waiting =
            |id| Waiting { id: MessageId::from_bytes([id; 16]), to: Conversation::lobby(), text: "x".into() };
        state.apply(Update::Outbox { count: 2, newest: vec![waiting(1), waiting(2)] });
        state.apply(Update::Message(Box::new(shown("#lobby", "sam", 1))));
        assert_eq!(state.waiting, [waiting(2)]);
    }

    #[test]
    fn logging_out_removes_everything_of_the_user() {
        let mut state = state();
        state.apply(Update::Message(Box::new(shown("@erik", "erik", 1))));
        state.apply(Update::LoggedOut { reason: LinkError::Dismissed(Farewell::SlowReader).into() });
        assert!(state.user.is_none() && state.conversations.is_empty());
        assert_eq!(state.notices.len(), 1);
    }

    #[test]
    fn a_conversation_that_is_closed_at_once_takes_no_number() {
        let mut state = state();
        let [erik, nobody, zoe] = ["@erik", "@nobody", "@zoe"].map(|name| name.parse().unwrap());
        state.conversation(&erik);
        state.conversation(&nobody);
        state.close(&nobody);
        state.conversation(&zoe);
        assert_eq!([&erik, &nobody, &zoe].map(|name| state.number(name)), [Some(2), None, Some(3)]);
    }
}
