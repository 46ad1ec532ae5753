//! The terminal face without its terminal: what the user does, what the engine says and what comes of
//! actions goes in; [`Effect`]s come out, and what is to be drawn changes.

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

/// Milliseconds between a guest's tries to connect.
const GUEST_RETRY: i64 = 4_000;

/// Something to be done outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// Have an action done, and hand in what comes of it with its purpose.
    Ask(Purpose, Action),
    /// End.
    Leave,
    /// Give the terminal back to the shell for a while.
    Suspend,
    /// Draw everything anew.
    Redraw,
}

/// The face.
pub(super) struct App {
    pub(super) state: State,
    pub(super) view: View,
    zone: TimeZone,
    effects: Vec<Effect>,
    changed: bool,
    /// Actions under way that change who we are or how we are connected.
    joining: usize,
    /// Whom we try to be again and again while the server cannot be reached.
    wanted: Option<UserName>,
    /// Whether it is known how far each conversation was read.
    marks_known: bool,
    /// Whether the last key was the first of two that leave.
    leaving: bool,
    /// The user whose drafts and typed lines are kept.
    typist: Option<UserName>,
}

impl App {
    /// A face that shows times in `zone` and knows of keys for these users.
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

    /// Begins: as this user, or as a guest.
    pub(super) fn start(&mut self, login: FirstLogin) {
        let name = match login {
            FirstLogin::None => return self.connect(false),
            FirstLogin::Asked(name) => name,
            FirstLogin::Only(name) => {
                let text =
                    format!("you are {name}, whose keys are the only ones here; --guest starts without");
                self.state.say(NoticeKind::Info, text);
                name
            }
        };
        self.wanted = Some(name.clone());
        self.log_in(name, None, false);
    }

    /// Whether there is something to draw; asked once for each drawing.
    pub(super) fn changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// What is to be done now.
    pub(super) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Whether [`App::tick`] has something to do.
    pub(super) fn wants_ticks(&self) -> bool {
        self.view.retry_at.is_some()
    }

    /// The terminal is so large now.
    pub(super) fn resize(&mut self, size: Size) {
        self.view.size = size;
        self.settle();
    }

    /// The user did something.
    pub(super) fn event(&mut self, event: Event) {
        match event {
            Event::Key(key) => self.key(key),
            Event::Paste(text) => self.paste(&text),
            Event::Resize(columns, rows) => self.resize(Size::new(columns, rows)),
            Event::FocusGained => self.view.focused = true,
            Event::FocusLost => {
                self.view.focused = false;
                // What comes from now on is new to the user, whether or not it can be seen.
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
                    self.view.history.push(&draft);
                    "thrown away, and Up brings it back; press Ctrl-C again to leave"
                });
            }
            Press::Leave => self.effects.push(Effect::Leave),
            Press::Suspend => self.effects.push(Effect::Suspend),
            Press::Redraw => self.effects.push(Effect::Redraw),
            press if self.view.help.is_some() => self.press_in_help(press),
            press => self.press(press),
        }
    }

    /// The engine said something.
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
            Update::LoggedOut { .. } => self.marks_known = false,
            Update::Conversation { .. }
            | Update::Regrouped { .. }
            | Update::Newest { .. }
            | Update::Backlog(_)
            | Update::Judged(_)
            | Update::Message(_)
            | Update::Outbox { .. }
            | Update::Progress(_)
            | Update::Notice(_) => {}
        }
        let logged_out = matches!(update, Update::LoggedOut { .. });
        self.state.apply(update);
        if logged_out {
            // Somebody should take us back as a guest.
            self.connect(true);
        }
        self.settle();
    }

    /// A second went by.
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

    /// What follows from any change.
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

    /// What the user has scrolled to stays loaded; from there it is a way back to the newest messages.
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
