//! The keyboard: editing, and carrying out a sent line.

use parlour_protocol::limits::TEXT_BYTES;
use parlour_protocol::{Conversation, SafeText};

use super::{App, Effect, Purpose};
use crate::asking::action::Action;
use crate::face::tui::completion::Completion;
use crate::face::tui::composer::Edit;
use crate::face::tui::keys::Press;
use crate::face::tui::state::NoticeKind;
use crate::face::tui::view::Scroll;
use crate::face::words::{self, Intent, LineError};

/// The most bytes of the input: far more than a message, so that a long text can be shortened there.
const INPUT_BYTES: usize = 8 * TEXT_BYTES;

impl App {
    pub(super) fn press(&mut self, press: Press) {
        if !matches!(press, Press::Complete | Press::CompleteBack) {
            self.view.completion = None;
        }
        match press {
            Press::Insert(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            Press::LineBreak => self.insert("\n"),
            Press::Edit(edit) => self.view.composer.edit(edit),
            Press::Send => self.send(),
            Press::Up if !self.view.composer.up() => {
                let older = self.view.history.older(self.view.composer.text(), &self.view.selected);
                if let Some(line) = older {
                    self.view.composer.set(line);
                }
            }
            Press::Down if !self.view.composer.down() => {
                if let Some(line) = self.view.history.newer(&self.view.selected) {
                    self.view.composer.set(line);
                }
            }
            Press::Up | Press::Down => {}
            Press::Complete => self.complete(false),
            Press::CompleteBack => self.complete(true),
            Press::EndOfInput if self.view.composer.is_empty() => self.effects.push(Effect::Leave),
            Press::EndOfInput => self.view.composer.edit(Edit::Delete),
            Press::Escape => self.escape(),
            Press::Help => self.view.help = Some(0),
            press => self.go(press),
        }
    }

    /// Inserts a pasted text. It is not sent, even if it contains line breaks.
    pub(super) fn paste(&mut self, text: &str) {
        self.view.completion = None;
        let text = text.replace("\r\n", "\n");
        let text: String = text
            .chars()
            .map(|c| if matches!(c, '\r' | '\u{85}' | '\u{2028}' | '\u{2029}') { '\n' } else { c })
            .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
            .collect();
        if self.view.help.is_none() {
            self.insert(&text);
        }
    }

    fn insert(&mut self, text: &str) {
        if self.view.composer.text().len() + text.len() > INPUT_BYTES {
            self.view.hint = Some("too long to paste: a message has at most 8,192 bytes");
        } else {
            self.view.composer.insert(text);
        }
    }

    fn complete(&mut self, back: bool) {
        let (old, completion) = if let Some(mut completion) = self.view.completion.take() {
            let old = completion.text().len();
            completion.step(back);
            (old, completion)
        } else {
            let before = self.view.composer.before();
            let Some(found) = Completion::of(before, &self.state, &self.view.profiles) else { return };
            (found.replaces, found)
        };
        self.view.composer.replace_before(old, completion.text());
        self.view.completion = Some(completion);
    }

    fn escape(&mut self) {
        if self.view.scroll == Scroll::Newest {
            self.state.notices.clear();
        } else {
            self.view.scroll = Scroll::Newest;
        }
    }

    fn send(&mut self) {
        let line = self.view.composer.text().to_owned();
        if line.trim().is_empty() {
            self.view.composer.set("");
            return;
        }
        self.state.notices.clear();
        self.view.composer.take();
        let intent = words::parse(&line, self.state.user.is_some());
        let of = match &intent {
            Ok(Intent::SayTo(to, _)) => to,
            _ => &self.view.selected,
        };
        self.view.history.push(&line, of);
        match intent {
            Err(misread) => {
                let failure = LineError::new(misread, self.state.user.as_ref()).into();
                self.refused(&failure, &line);
            }
            Ok(intent) => self.carry_out(intent, line),
        }
    }

    fn carry_out(&mut self, intent: Intent, line: String) {
        match intent {
            Intent::Register(name) => {
                self.wanted = None;
                self.joining += 1;
                self.ask(Purpose::Register { name: name.clone(), line }, Action::Register { name });
            }
            Intent::Login(name) => {
                self.wanted = None;
                self.log_in(name, Some(line), false);
            }
            Intent::Users => self.ask(Purpose::Users, Action::Users),
            Intent::Open(conversation) => self.open(&conversation),
            Intent::Trust(name) => {
                self.ask(Purpose::Trust { line }, Action::Trust { name });
            }
            Intent::Why(conversation) => {
                let conversation = conversation.unwrap_or_else(|| self.view.selected.clone());
                self.ask(Purpose::Why, Action::Why { conversation });
            }
            Intent::Help => self.view.help = Some(0),
            Intent::Json => {
                let text = "JSON is for scripts: start the client with --json".to_owned();
                self.state.say(NoticeKind::Info, text);
            }
            Intent::Exit => self.effects.push(Effect::Leave),
            Intent::SayTo(to, text) => {
                let at = self.view.selected.clone();
                self.state.conversation(&to);
                self.view.select(&to, &self.state);
                self.say(to, at, text, line);
            }
            Intent::Say(text) => {
                let to = self.view.selected.clone();
                self.say(to.clone(), to, text, line);
            }
        }
    }

    fn say(&mut self, to: Conversation, at: Conversation, text: SafeText, line: String) {
        self.view.scroll = Scroll::Newest;
        self.view.marker = None;
        self.ask(Purpose::Say { to: to.clone(), at, line }, Action::Say { to, text });
    }
}
