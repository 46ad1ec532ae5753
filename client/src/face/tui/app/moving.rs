//! Moves from one conversation to another, and scrolls.

use parlour_protocol::Conversation;

use super::{App, Purpose};
use crate::asking::action::Action;
use crate::face::tui::draw::{self, Transcript};
use crate::face::tui::keys::Press;
use crate::face::tui::view::Scroll;

/// The number of messages in one request.
pub(super) const PAGE: usize = 100;

impl App {
    pub(super) fn go(&mut self, press: Press) {
        match press {
            Press::PreviousConversation => self.step(true),
            Press::NextConversation => self.step(false),
            Press::Conversation(number) => self.select_number(number),
            Press::NextUnread => self.next_unread(),
            Press::PageUp => self.scroll_up(None),
            Press::PageDown => self.scroll_down(None),
            Press::RowUp => self.scroll_up(Some(1)),
            Press::RowDown => self.scroll_down(Some(1)),
            Press::End if self.view.scroll == Scroll::Newest => {
                self.view.composer.edit(crate::face::tui::composer::Edit::LineEnd);
            }
            Press::End => self.view.scroll = Scroll::Newest,
            // These are for the input or the whole face.
            Press::Insert(_)
            | Press::Edit(_)
            | Press::Send
            | Press::LineBreak
            | Press::Up
            | Press::Down
            | Press::Complete
            | Press::CompleteBack
            | Press::Escape
            | Press::Help
            | Press::Interrupt
            | Press::EndOfInput
            | Press::Leave
            | Press::Suspend
            | Press::Redraw => {}
        }
    }

    pub(super) fn press_in_help(&mut self, press: Press) {
        let Some(scrolled) = self.view.help else { return };
        let size = self.view.size;
        let most = draw::help_most_scrolled(size.width, size.height);
        let page = usize::from(size.height.saturating_sub(1)).max(1);
        self.view.help = match press {
            Press::Escape | Press::Help | Press::Send => None,
            Press::Up | Press::RowUp => Some(scrolled.saturating_sub(1)),
            Press::Down | Press::RowDown => Some((scrolled + 1).min(most)),
            Press::PageUp => Some(scrolled.saturating_sub(page)),
            Press::PageDown => Some((scrolled + page).min(most)),
            Press::End => Some(most),
            _ => Some(scrolled.min(most)),
        };
    }

    /// Opens a conversation, which may be new.
    pub(super) fn open(&mut self, name: &Conversation) {
        let is_new = !self.state.conversations.iter().any(|known| known.name == *name);
        let conversation = self.state.conversation(name);
        let is_empty = conversation.messages.is_empty()
            && conversation.ahead.is_empty()
            && !conversation.complete
            && !conversation.loading;
        self.view.select(name, &self.state);
        if is_new || is_empty {
            self.state.conversation(name).loading = true;
            let (conversation, limit) = (name.clone(), PAGE);
            let action =
                Action::History { conversation: conversation.clone(), before: None, generation: None, limit };
            self.ask(Purpose::Open { conversation }, action);
        }
    }

    fn position(&self) -> usize {
        self.state.conversations.iter().position(|known| known.name == self.view.selected).unwrap_or(0)
    }

    fn select(&mut self, number: usize) {
        if let Some(name) = self.state.conversations.get(number).map(|known| known.name.clone()) {
            self.open(&name);
        }
    }

    /// Opens the conversation with this number, counted from 0, if it still exists.
    fn select_number(&mut self, number: usize) {
        let name = self.state.numbers.get(number).cloned();
        if let Some(name) = name.filter(|name| self.state.conversations.iter().any(|c| c.name == *name)) {
            self.open(&name);
        }
    }

    fn step(&mut self, back: bool) {
        let count = self.state.conversations.len().max(1);
        self.select((self.position() + if back { count - 1 } else { 1 }) % count);
    }

    /// Opens the next unread conversation, starting again at the top after the last one.
    fn next_unread(&mut self) {
        let count = self.state.conversations.len();
        let here = self.position();
        let order = (1..count).map(|step| (here + step) % count);
        let unread = |number: &usize| self.state.conversations.get(*number).is_some_and(|c| c.unread() > 0);
        if let Some(number) = order.into_iter().find(unread) {
            self.select(number);
        }
    }

    /// Scrolls by so many rows, or by a page; at the top older messages are asked for.
    fn scroll_up(&mut self, rows: Option<usize>) {
        let (height, columns) = draw::pane_size(&self.state, &self.view);
        let height = usize::from(height);
        let Some(transcript) = Transcript::of(&self.state, &self.view, &self.zone, columns) else { return };
        let rows = rows.unwrap_or(height.saturating_sub(1)).max(1);
        let scroll = transcript.scrolled_up(self.view.scroll, rows, height);
        let at_top = transcript.is_at_top(scroll, height);
        self.view.scroll = scroll;
        if at_top {
            self.ask_older();
        }
    }

    fn scroll_down(&mut self, rows: Option<usize>) {
        let (height, columns) = draw::pane_size(&self.state, &self.view);
        let height = usize::from(height);
        let Some(transcript) = Transcript::of(&self.state, &self.view, &self.zone, columns) else { return };
        let rows = rows.unwrap_or(height.saturating_sub(1)).max(1);
        self.view.scroll = transcript.scrolled_down(self.view.scroll, rows, height);
    }

    fn ask_older(&mut self) {
        let selected = self.view.selected.clone();
        let Some(conversation) = self.state.conversations.iter_mut().find(|known| known.name == selected)
        else {
            return;
        };
        let first = conversation.messages.first();
        let (before, generation) = (first.map(|shown| shown.seq), first.map(|shown| shown.generation));
        if conversation.complete || conversation.loading || first.is_some_and(|shown| shown.place() <= (0, 1))
        {
            return;
        }
        conversation.loading = true;
        let action = Action::History { conversation: selected.clone(), before, generation, limit: PAGE };
        self.ask(Purpose::Older { conversation: selected }, action);
    }
}
