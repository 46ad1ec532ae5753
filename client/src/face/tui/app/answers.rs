//! The answers to actions.

use parlour_protocol::{Conversation, Refusal, Timestamp, UserName};

use super::{App, GUEST_RETRY};
use crate::asking::action::{Action, Answer};
use crate::asking::update::{Connection, Update};
use crate::face::tui::state::NoticeKind;
use crate::face::why;
use crate::face::words;
use crate::failure::{Failure, Kind};

/// Said after a login, until the user is logged out.
pub(super) const AUTHENTICATED: &str = "Authentication Succeeded";

/// The purpose of an action; `line` is the typed line, which comes back to the input if the action fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A guest's connection; `quiet` for a repeated attempt.
    Connect {
        quiet: bool,
    },
    Register {
        name: UserName,
        line: String,
    },
    Login {
        line: Option<String>,
        quiet: bool,
    },
    /// A message that was typed in the conversation `at`.
    Say {
        to: Conversation,
        at: Conversation,
        line: String,
    },
    Users,
    /// Names for completion.
    Names,
    Older {
        conversation: Conversation,
    },
    /// The newest page, after the user looked at older ones.
    Newest {
        conversation: Conversation,
    },
    /// A new conversation, which may turn out not to exist.
    Open {
        conversation: Conversation,
    },
    Trust {
        line: String,
    },
    MarkRead,
    Why,
}

impl App {
    /// Takes the outcome of an action.
    pub(in crate::face::tui) fn answer(
        &mut self,
        purpose: Purpose,
        outcome: Result<Answer, Failure>,
        now: Timestamp,
    ) {
        match purpose {
            Purpose::Connect { quiet } => self.connected(quiet, outcome, now),
            Purpose::Register { name, line } => self.registered(name, &line, outcome),
            Purpose::Login { line, quiet } => self.logged_in(line.as_deref(), quiet, outcome, now),
            Purpose::Say { to, at, line } => self.said(&to, &at, &line, outcome),
            Purpose::Users => match outcome {
                Ok(Answer::Users { users }) => {
                    let names: Vec<&str> = users.iter().map(UserName::as_str).collect();
                    self.state.say(NoticeKind::Info, format!("online: {}", names.join(" ")));
                    self.state.online = users;
                }
                Ok(_) => {}
                Err(failure) => self.state.fail(&failure),
            },
            Purpose::Names => {
                if let Ok(Answer::Users { users }) = outcome {
                    self.state.online = users;
                }
            }
            Purpose::Older { conversation } => self.older(&conversation, outcome),
            Purpose::Newest { conversation } => self.newest(&conversation, outcome),
            Purpose::Open { conversation } => self.opened(&conversation, outcome),
            // The success was reported by a notice.
            Purpose::Trust { line } => {
                if let Err(failure) = outcome {
                    self.refused(&failure, &line);
                }
            }
            Purpose::Why => match outcome {
                Ok(Answer::Why { conversation, ended, refused }) => {
                    for line in why::lines(&conversation, &ended, refused, &self.zone) {
                        self.state.say(NoticeKind::Info, line);
                    }
                }
                Ok(_) => {}
                Err(failure) => self.state.fail(&failure),
            },
            // The next mark includes it.
            Purpose::MarkRead => {}
        }
        self.settle();
    }

    fn connected(&mut self, quiet: bool, outcome: Result<Answer, Failure>, now: Timestamp) {
        self.joining = self.joining.saturating_sub(1);
        match outcome {
            Ok(_) => self.forget_failures(),
            // Logged in meanwhile.
            Err(failure) if *failure.kind() == Kind::LoggedIn => {}
            Err(failure) => self.not_connected(&failure, quiet, now),
        }
    }

    /// Shows the reason once, and plans another attempt if that can help.
    fn not_connected(&mut self, failure: &Failure, quiet: bool, now: Timestamp) {
        if !matches!(self.state.connection, Some(Connection::Offline { .. } | Connection::Guest { .. })) {
            self.state.connection = Some(Connection::Offline { reason: failure.clone(), retry: None });
        }
        let is_offline = matches!(self.state.connection, Some(Connection::Offline { .. }));
        if !failure.passes() && self.wanted.is_none() {
            self.view.retry_at = None;
        } else if self.view.retry_at.is_none() && (is_offline || self.wanted.is_some()) {
            self.retry_after(GUEST_RETRY, now);
        }
        if !quiet || !failure.is_absence() {
            // The same error is shown once.
            let known = failure.to_string();
            self.state.notices.retain(|notice| !notice.text.ends_with(&known));
            self.state.fail(failure);
        }
    }

    /// Removes errors about a connection that is now there. Why a user was logged out stays.
    fn forget_failures(&mut self) {
        self.state.notices.retain(|notice| !notice.is_absence);
    }

    fn registered(&mut self, name: UserName, line: &str, outcome: Result<Answer, Failure>) {
        self.joining = self.joining.saturating_sub(1);
        match outcome {
            Ok(_) => {
                self.state.say(NoticeKind::Info, "Registration Succeeded".to_owned());
                if !self.view.profiles.contains(&name) {
                    self.view.profiles.push(name.clone());
                    self.view.profiles.sort();
                }
                self.log_in(name, None, false);
            }
            Err(failure) => self.refused(&failure, line),
        }
    }

    fn logged_in(
        &mut self,
        line: Option<&str>,
        quiet: bool,
        outcome: Result<Answer, Failure>,
        now: Timestamp,
    ) {
        self.joining = self.joining.saturating_sub(1);
        self.view.logging_in = None;
        self.state.progress = None;
        match outcome {
            Ok(_) => {
                if self.wanted.take().is_some() {
                    self.forget_failures();
                }
                self.marks_known = true;
                // A patient login also succeeds while the server cannot be reached.
                let is_offline = matches!(self.state.connection, Some(Connection::Offline { .. }));
                let said = if is_offline {
                    "not connected yet: what is kept on this machine is shown"
                } else {
                    AUTHENTICATED
                };
                self.state.say(NoticeKind::Info, said.to_owned());
                self.view.mark(&self.state);
                self.ask(Purpose::Names, Action::Users);
            }
            Err(failure) => {
                if !failure.is_absence() {
                    self.wanted = None;
                }
                if self.state.user.is_some() {
                    // The login had begun; nothing of it may stay.
                    self.state.apply(Update::LoggedOut { reason: failure });
                    self.connect(true);
                } else {
                    self.not_connected(&failure, quiet, now);
                }
                if let Some(line) = line {
                    self.give_back(line);
                }
            }
        }
    }

    fn said(&mut self, to: &Conversation, at: &Conversation, line: &str, outcome: Result<Answer, Failure>) {
        // The message itself comes as an update.
        let Err(failure) = outcome else { return };
        self.state.fail(&failure);
        if *failure.kind() == Kind::PutOff {
            // The message waits and is shown as waiting: typing it again would send it twice.
            return;
        }
        let nobody =
            matches!(failure.kind(), Kind::Refused(Refusal::UserNotFound | Refusal::ConversationNotFound));
        if nobody && to != at && self.close_if_empty(to, at) {
            self.view.history.push_addressed(line);
            self.view.give_back(at, line);
        } else {
            self.view.give_back(to, line);
        }
    }

    /// Gives the text of a message back that will not be sent.
    pub(super) fn not_sent(&mut self, to: &Conversation, text: &str) {
        let said = if self.view.selected == *to || self.state.conversations.iter().any(|c| c.name == *to) {
            let line = words::line_for(to, text);
            self.view.history.push(&line, to);
            self.view.give_back(to, &line);
            format!("its text is kept: Up brings it back in {to}")
        } else {
            let line = format!("{to} {text}");
            self.view.history.push_addressed(&line);
            self.give_back(&line);
            format!("its text is kept: Up brings it back, with {to} in front")
        };
        self.state.say(NoticeKind::Info, said);
    }

    fn older(&mut self, conversation: &Conversation, outcome: Result<Answer, Failure>) {
        if !self.state.conversations.iter().any(|known| known.name == *conversation) {
            return; // Logged out meanwhile.
        }
        match outcome {
            Ok(Answer::History { messages, complete, .. }) => {
                self.state.add_older(conversation, messages, complete);
            }
            Ok(_) => {}
            Err(failure) => {
                self.state.conversation(conversation).loading = false;
                self.state.fail(&failure);
            }
        }
    }

    fn newest(&mut self, conversation: &Conversation, outcome: Result<Answer, Failure>) {
        match outcome {
            Ok(Answer::History { messages, complete, .. })
                if self.state.conversations.iter().any(|known| known.name == *conversation) =>
            {
                self.state.set_newest(conversation, messages, complete);
            }
            outcome => self.older(conversation, outcome),
        }
    }

    fn opened(&mut self, conversation: &Conversation, outcome: Result<Answer, Failure>) {
        let nobody = outcome.as_ref().is_err_and(|failure| {
            matches!(failure.kind(), Kind::Refused(Refusal::UserNotFound | Refusal::ConversationNotFound))
        });
        self.older(conversation, outcome);
        if !nobody {
            return;
        }
        let previous = self.view.previous.clone();
        self.close_if_empty(conversation, &previous);
    }

    /// Closes a conversation without messages, and goes to `back` if it is the one on the screen.
    fn close_if_empty(&mut self, name: &Conversation, back: &Conversation) -> bool {
        let is_empty = self.state.conversations.iter().any(|c| c.name == *name && c.last == 0)
            && self.state.waiting.iter().all(|waiting| waiting.to != *name);
        if is_empty {
            self.state.close(name);
            if self.view.selected == *name {
                let begun = self.view.composer.take();
                self.view.select(back, &self.state);
                if !begun.is_empty() {
                    // Up brings the draft back, which is for nobody else.
                    self.view.history.push_addressed(&words::addressed(name, &begun));
                }
            }
        }
        is_empty
    }

    pub(super) fn refused(&mut self, failure: &Failure, line: &str) {
        self.state.fail(failure);
        self.give_back(line);
    }

    fn give_back(&mut self, line: &str) {
        let here = self.view.selected.clone();
        self.view.give_back(&here, line);
    }
}
