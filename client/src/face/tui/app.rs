//! The terminal face without its terminal: the user's keys, the engine's updates and the answers to actions go in,
//! [`Effect`]s come out, and the state to be drawn changes. [`typing`] handles keys and lines, [`moving`] conversations
//! and scrolling, [`answers`] the answers.

mod answers;
mod moving;
mod typing;

use crossterm::event::{Event, KeyEvent};
use jiff::tz::TimeZone;
use parlour_protocol::{Conversation, Timestamp, UserName};
use ratatui::layout::Size;

use super::FirstLogin;
use super::keys::{self, Press};
use super::view::{Scroll, View};
use crate::asking::action::Action;
use crate::asking::update::{Connection, Update};
use crate::face::tui::state::{NoticeKind, State};

pub(super) use answers::Purpose;

/// Milliseconds between a guest's attempts to connect.
const GUEST_RETRY: i64 = 4_000;

/// Something that the loop must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// Ask the engine for an action, and return its outcome together with its purpose.
    Ask(Purpose, Action),
    /// End the face.
    Leave,
    /// Give the terminal back to the shell for a while.
    Suspend,
    /// Draw the whole screen again.
    Redraw,
}

/// The face.
pub(super) struct App {
    pub(super) state: State,
    pub(super) view: View,
    zone: TimeZone,
    effects: Vec<Effect>,
    changed: bool,
    /// The number of actions under way that change the user or the connection.
    joining: usize,
    /// The user whose login is repeated while the server cannot be reached.
    wanted: Option<UserName>,
    /// True once it is known how far each conversation was read.
    marks_known: bool,
    /// True if the last key was the first Ctrl-C of two.
    leaving: bool,
    /// The user whose drafts and sent lines are kept.
    typist: Option<UserName>,
}

impl App {
    /// A face that shows times in `zone`; `profiles` are the users whose keys are on this machine.
    pub(super) fn new(profiles: Vec<UserName>, zone: TimeZone) -> Self {
        Self {
            state: State::default(),
            view: View::new(profiles),
            zone,
            effects: Vec::new(),
            changed: true,
            joining: 0,
            wanted: None,
            marks_known: false,
            leaving: false,
            typist: None,
        }
    }

    /// Begins with this login.
    pub(super) fn start(&mut self, login: FirstLogin) {
        let name = match login {
            FirstLogin::None => return self.connect(false),
            FirstLogin::Asked(name) => name,
            FirstLogin::Only(name) => {
                let text = format!(
                    "you are {name}: no other user has keys here; start with --guest to log in later"
                );
                self.state.say(NoticeKind::Info, text);
                name
            }
        };
        self.wanted = Some(name.clone());
        self.log_in(name, None, false);
    }

    /// True if something changed since the last call.
    pub(super) fn changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Has the screen drawn again although nothing changed.
    pub(super) fn redraw(&mut self) {
        self.changed = true;
    }

    /// Takes the effects that are due.
    pub(super) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// True if [`App::tick`] has something to do.
    pub(super) fn wants_ticks(&self) -> bool {
        self.view.retry_at.is_some()
    }

    /// Notes the terminal's new size.
    pub(super) fn resize(&mut self, size: Size) {
        self.view.size = size;
        self.settle();
    }

    /// Takes an event from the terminal.
    pub(super) fn event(&mut self, event: Event) {
        match event {
            Event::Key(key) => self.key(key),
            Event::Paste(text) => self.paste(&text),
            Event::Resize(columns, rows) => self.resize(Size::new(columns, rows)),
            Event::FocusGained => self.view.focused = true,
            Event::FocusLost => {
                self.view.focused = false;
                // Messages from now on are new to the user, even if the window is visible.
                self.view.marker = self.view.conversation(&self.state).map(|conversation| conversation.last);
            }
            Event::Mouse(_) => return,
        }
        self.settle();
    }

    fn key(&mut self, key: KeyEvent) {
        let Some(press) = keys::read(key) else { return };
        self.view.hint = None;
        let leaving = std::mem::take(&mut self.leaving);
        match press {
            Press::Interrupt if leaving => self.effects.push(Effect::Leave),
            Press::Interrupt => {
                self.leaving = true;
                self.view.completion = None;
                self.view.hint = Some(if self.view.composer.is_empty() {
                    "press Ctrl-C again to leave"
                } else {
                    let draft = self.view.composer.take();
                    self.view.history.push(&draft, &self.view.selected);
                    "cleared: Up brings it back, Ctrl-C again leaves"
                });
            }
            Press::Leave => self.effects.push(Effect::Leave),
            Press::Suspend => self.effects.push(Effect::Suspend),
            Press::Redraw => self.effects.push(Effect::Redraw),
            press if self.view.help.is_some() => self.press_in_help(press),
            press => self.press(press),
        }
    }

    /// Takes an update from the engine.
    pub(super) fn update(&mut self, update: Update, now: Timestamp) {
        match &update {
            Update::Connection(
                Connection::Connecting { server }
                | Connection::Guest { server }
                | Connection::Online { server },
            ) => {
                self.view.server = Some(server.clone());
                if !matches!(update, Update::Connection(Connection::Connecting { .. })) {
                    self.view.retry_at = None;
                }
            }
            Update::Connection(Connection::Offline { retry, .. }) => {
                let pause = retry.and_then(|retry| i64::try_from(retry.as_millis()).ok());
                self.retry_after(pause.unwrap_or(GUEST_RETRY), now);
            }
            Update::LoggedIn { user, .. } => {
                if self.typist.as_ref().is_some_and(|typist| typist != user) {
                    self.view.forget();
                }
                self.typist = Some(user.clone());
            }
            Update::LoggedOut { .. } => {
                self.marks_known = false;
                self.state.notices.retain(|notice| notice.text != answers::AUTHENTICATED);
            }
            Update::Conversation { .. }
            | Update::Regrouped { .. }
            | Update::Newest { .. }
            | Update::Backlog(_)
            | Update::Judged(_)
            | Update::Message(_)
            | Update::Outbox { .. }
            | Update::NotSent(_)
            | Update::Progress(_)
            | Update::Notice(_) => {}
        }
        let logged_out = matches!(update, Update::LoggedOut { .. });
        let not_sent = match &update {
            Update::NotSent(not_sent) => Some((not_sent.to.clone(), not_sent.text.clone())),
            _ => None,
        };
        self.state.apply(update);
        if let Some((to, text)) = not_sent {
            self.not_sent(&to, &text);
        }
        if logged_out {
            // A user who was logged out goes on as a guest.
            self.connect(true);
        }
        self.settle();
    }

    /// Takes note that a second has passed.
    pub(super) fn tick(&mut self, now: Timestamp) {
        let due = self.view.retry_at.is_some_and(|at| at <= now);
        if due && self.state.user.is_none() && self.joining == 0 {
            match self.wanted.clone() {
                Some(name) => self.log_in(name, None, true),
                None => self.connect(true),
            }
        }
        self.settle();
    }

    /// Does what is due after any change.
    fn settle(&mut self) {
        self.changed = true;
        if self.state.user.is_none() || self.view.conversation(&self.state).is_none() {
            let lobby = Conversation::lobby();
            if self.view.selected != lobby {
                self.view.select(&lobby, &self.state);
            }
        }
        self.hold_what_is_looked_at();
        let seen = self.view.focused
            && self.view.help.is_none()
            && self.view.scroll == Scroll::Newest
            && self.marks_known;
        if seen && self.view.conversation(&self.state).is_some() {
            let conversation = self.view.selected.clone();
            if let Some(seq) = self.state.mark_read(&conversation) {
                self.ask(Purpose::MarkRead, Action::MarkRead { conversation, seq });
            }
        }
    }

    /// Keeps the messages loaded that the user has scrolled to, and loads the newest ones when the user comes back.
    fn hold_what_is_looked_at(&mut self) {
        let (selected, scroll) = (self.view.selected.clone(), self.view.scroll);
        for conversation in &mut self.state.conversations {
            conversation.held = conversation.name == selected && scroll != Scroll::Newest;
        }
        let known = self.state.conversations.iter_mut().find(|known| known.name == selected);
        if let Some(conversation) = known
            && conversation.detached
            && !conversation.held
            && !conversation.loading
        {
            conversation.loading = true;
            let action = Action::History {
                conversation: selected.clone(),
                before: None,
                generation: None,
                limit: moving::PAGE,
            };
            self.ask(Purpose::Newest { conversation: selected }, action);
        }
    }

    fn retry_after(&mut self, millis: i64, now: Timestamp) {
        self.view.retry_at = Some(Timestamp::from_millis(now.as_millis().saturating_add(millis)));
    }

    fn ask(&mut self, purpose: Purpose, action: Action) {
        self.effects.push(Effect::Ask(purpose, action));
    }

    fn connect(&mut self, quiet: bool) {
        self.joining += 1;
        self.ask(Purpose::Connect { quiet }, Action::Connect);
    }

    fn log_in(&mut self, name: UserName, line: Option<String>, quiet: bool) {
        self.joining += 1;
        self.marks_known = false;
        self.view.logging_in = Some(name.clone());
        self.ask(Purpose::Login { line, quiet }, Action::Login { name, patient: true });
    }
}
