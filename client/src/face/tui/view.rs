//! What a user has before them besides the [`State`]: where they are, what they write, how far they
//! scrolled.

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
    /// The whole terminal.
    pub(super) size: Size,
    /// The conversation that is shown, and that a text goes to.
    pub(super) selected: Conversation,
    /// The one before.
    pub(super) previous: Conversation,
    pub(super) composer: Composer,
    /// What is begun in other conversations.
    drafts: HashMap<Conversation, Composer>,
    pub(super) history: History,
    pub(super) scroll: Scroll,
    /// The newest message that was seen before; behind it stands what is new.
    pub(super) marker: Option<Seq>,
    /// How far the help is scrolled, while it is open.
    pub(super) help: Option<usize>,
    /// Whether the terminal has the focus.
    pub(super) focused: bool,
    pub(super) completion: Option<Completion>,
    /// Something to be said until the next key.
    pub(super) hint: Option<&'static str>,
    /// Where we are, or were, connected.
    pub(super) server: Option<ServerAddress>,
    /// When the next try to connect comes.
    pub(super) retry_at: Option<Timestamp>,
    /// Whom a login is under way for.
    pub(super) logging_in: Option<UserName>,
    /// The users whose keys are on this machine.
    pub(super) profiles: Vec<UserName>,
}

/// What stands in the lowest row of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Scroll {
    /// Whatever is newest.
    #[default]
    Newest,
    /// This row of this message. It stays there whatever comes in below or above.
    At {
        /// The message; 0 is what stands above all, the greatest number what stands below all.
        seq: Seq,
        /// The generation that the message is kept under.
        generation: u64,
        /// Counted from the message's first row.
        row: usize,
    },
}

impl View {
    /// A view of nothing yet.
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

    /// The conversation that is shown, as far as there is one.
    pub(super) fn conversation<'a>(&self, state: &'a State) -> Option<&'a ConversationState> {
        state.conversations.iter().find(|conversation| conversation.name == self.selected)
    }

    /// Goes to a conversation. What was begun here stays here.
    pub(super) fn select(&mut self, name: &Conversation, state: &State) {
        if *name != self.selected {
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

    /// Puts the line between what was seen and what is new.
    pub(super) fn mark(&mut self, state: &State) {
        self.marker = self.conversation(state).filter(|c| c.unread() > 0).map(|c| c.read);
    }

    /// Puts a line back for the user to mend, unless they are writing something else there: then it is
    /// among the lines sent before.
    pub(super) fn give_back(&mut self, to: &Conversation, line: &str) {
        let composer = if *to == self.selected {
            &mut self.composer
        } else {
            self.drafts.entry(to.clone()).or_default()
        };
        if composer.is_empty() {
            composer.give_back(line);
            if *to == self.selected {
                self.hint = Some("the next text takes this line's place; Left or End keeps it");
            }
        }
    }

    /// Forgets what a user typed, for the next one.
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
    fn what_is_begun_in_a_conversation_stays_there() {
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
    fn a_line_comes_back_only_where_nothing_is_begun() {
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
