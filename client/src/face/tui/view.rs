//! The user's view of the [`State`]: the open conversation, the text in the input, the scroll position.

use std::collections::HashMap;

use parlour_protocol::{Conversation, Seq, ServerAddress, Timestamp, UserName};
use ratatui::layout::Size;

use super::completion::Completion;
use super::composer::Composer;
use super::history::History;
use super::state::{ConversationState, State};

/// The view.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// The size of the terminal.
    pub(super) size: Size,
    /// The conversation that is shown, and that gets the next text.
    pub(super) selected: Conversation,
    /// The conversation that was shown before.
    pub(super) previous: Conversation,
    pub(super) composer: Composer,
    /// The drafts in other conversations.
    drafts: HashMap<Conversation, Composer>,
    pub(super) history: History,
    pub(super) scroll: Scroll,
    /// The newest message that was seen before; a line below it marks the new ones.
    pub(super) marker: Option<Seq>,
    /// The number of rows by which the help is scrolled, while it is open.
    pub(super) help: Option<usize>,
    /// True while the terminal has the focus.
    pub(super) focused: bool,
    pub(super) completion: Option<Completion>,
    /// A hint that is shown until the next key.
    pub(super) hint: Option<&'static str>,
    /// The server of this connection, or of the last one.
    pub(super) server: Option<ServerAddress>,
    /// The time of the next attempt to connect.
    pub(super) retry_at: Option<Timestamp>,
    /// The user whose login is under way.
    pub(super) logging_in: Option<UserName>,
    /// The users whose keys are on this machine.
    pub(super) profiles: Vec<UserName>,
}

/// The content of the lowest row of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Scroll {
    /// The newest message.
    #[default]
    Newest,
    /// This row of this message, which stays there when messages are added below or above.
    At {
        /// The message; 0 is the block above all messages, the greatest number the one below them.
        seq: Seq,
        /// The generation that the message is kept under.
        generation: u64,
        /// Counted from the message's first row.
        row: usize,
    },
}

impl View {
    /// An empty view.
    pub(super) fn new(profiles: Vec<UserName>) -> Self {
        Self {
            size: Size::new(80, 24),
            selected: Conversation::lobby(),
            previous: Conversation::lobby(),
            composer: Composer::default(),
            drafts: HashMap::new(),
            history: History::default(),
            scroll: Scroll::Newest,
            marker: None,
            help: None,
            focused: true,
            completion: None,
            hint: None,
            server: None,
            retry_at: None,
            logging_in: None,
            profiles,
        }
    }

    /// The state of the selected conversation, if it exists.
    pub(super) fn conversation<'a>(&self, state: &'a State) -> Option<&'a ConversationState> {
        state.conversations.iter().find(|conversation| conversation.name == self.selected)
    }

    /// Goes to a conversation. The draft stays with the one that was open.
    pub(super) fn select(&mut self, name: &Conversation, state: &State) {
        if *name != self.selected {
            self.history.leave(&self.selected);
            let draft = self.drafts.remove(name).unwrap_or_default();
            let begun = std::mem::replace(&mut self.composer, draft);
            if !begun.is_empty() {
                self.drafts.insert(self.selected.clone(), begun);
            }
            self.previous = std::mem::replace(&mut self.selected, name.clone());
        }
        self.scroll = Scroll::Newest;
        self.completion = None;
        self.mark(state);
    }

    /// Sets the mark between seen and new messages.
    pub(super) fn mark(&mut self, state: &State) {
        self.marker = self.conversation(state).filter(|c| c.unread() > 0).map(|c| c.read);
    }

    /// Brings a refused line back for correction, unless there is a new draft: then Up brings it back.
    pub(super) fn give_back(&mut self, to: &Conversation, line: &str) {
        let composer = if *to == self.selected {
            &mut self.composer
        } else {
            self.drafts.entry(to.clone()).or_default()
        };
        if composer.is_empty() {
            composer.give_back(line);
            if *to == self.selected {
                self.hint = Some("typing replaces this line; press Left or End to edit it");
            }
        }
    }

    /// Removes everything that one user typed, before another one logs in.
    pub(super) fn forget(&mut self) {
        self.composer = Composer::default();
        self.drafts.clear();
        self.history = History::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_conversation_keeps_its_draft() {
        let (mut view, state) = (View::new(Vec::new()), State::default());
        let erik = "@erik".parse().unwrap();
        view.composer.insert("for all");
        view.select(&erik, &state);
        assert!(view.composer.is_empty());
        view.composer.insert("for erik");
        view.select(&Conversation::lobby(), &state);
        assert_eq!(view.composer.text(), "for all");
        view.select(&erik, &state);
        assert_eq!(view.composer.text(), "for erik");
    }

    #[test]
    fn a_refused_line_comes_back_only_if_there_is_no_draft() {
        let mut view = View::new(Vec::new());
        let erik = "@erik".parse().unwrap();
        view.give_back(&erik, "hello");
        assert_eq!(view.hint, None);
        view.composer.insert("x");
        view.give_back(&Conversation::lobby(), "lost");
        assert_eq!(view.composer.text(), "x");
        view.select(&erik, &State::default());
        assert_eq!(view.composer.text(), "hello");
    }
}
