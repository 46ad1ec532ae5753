//! Tests of the face without its terminal. Here are the users, messages and keys that they share with the tests of whole
//! screens; the tests themselves are in the files below, by the part of the face that they try.

mod connecting;
mod moving;
mod refused;
mod typing;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use jiff::tz::TimeZone;
use parlour_protocol::{Conversation, Farewell, MessageId, Refusal, Seq, Timestamp, UserName};

use super::FirstLogin;
use super::app::{App, Effect, Purpose};
use super::view::Scroll;
use crate::asking::action::{Action, Answer};
use crate::asking::update::{Connection, NotSent, Update};
use crate::engine::{ContactError, SayError};
use crate::failure::Failure;
use crate::link::LinkError;
use crate::reading::shown::{Shown, Verdict};

/// 2019-11-01 09:30:00 UTC.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_572_600_600_000);

/// A message, so many minutes after [`NOW`].
pub(super) fn message(conversation: &str, from: &str, seq: Seq, minutes: i64, text: &str) -> Shown {
    let conversation: Conversation = conversation.parse().unwrap();
    let verdict = match conversation {
        Conversation::Channel(_) => Verdict::Public,
        Conversation::Direct(_) => Verdict::Good,
    };
    Shown {
        to: conversation.clone(),
        conversation,
        seq,
        id: MessageId::from_bytes([1; 16]),
        from: from.parse().unwrap(),
        time: Timestamp::from_millis(NOW.as_millis() + minutes * 60_000),
        signed: None,
        text: Some(text.to_owned()),
        verdict,
        backwards: false,
        generation: 0,
        set_aside: false,
        refused: false,
        signer: None,
    }
}

pub(super) fn name(name: &str) -> UserName {
    name.parse().unwrap()
}

pub(super) fn unreachable() -> Failure {
    LinkError::Unreachable { server: server(), reason: "connection refused".into() }.into()
}

fn server() -> parlour_protocol::ServerAddress {
    "localhost:7275".parse().unwrap()
}

pub(super) fn guest() -> App {
    let mut app = App::new(vec![name("anna"), name("sam")], TimeZone::UTC);
    app.start(FirstLogin::None);
    app.update(Update::Connection(Connection::Guest { server: server() }), NOW);
    app.answer(Purpose::Connect { quiet: false }, Ok(Answer::Done), NOW);
    app.effects();
    app
}

/// Logged in as sam, with these messages.
pub(super) fn online(messages: Vec<Shown>) -> App {
    let mut app = App::new(Vec::new(), TimeZone::UTC);
    app.start(FirstLogin::Asked(name("sam")));
    let device = "0123456789abcdef".parse().unwrap();
    app.update(Update::Connection(Connection::Online { server: server() }), NOW);
    app.update(Update::LoggedIn { user: name("sam"), device }, NOW);
    app.update(Update::Backlog(messages), NOW);
    log_in_succeeds(&mut app);
    app.state.notices.clear();
    app.effects();
    app
}

fn log_in_succeeds(app: &mut App) {
    let answer = Answer::LoggedIn { name: name("sam"), backlog: Vec::new() };
    app.answer(Purpose::Login { line: None, quiet: false }, Ok(answer), NOW);
}

pub(super) fn key(app: &mut App, code: KeyCode, modifiers: KeyModifiers) {
    app.event(Event::Key(KeyEvent::new(code, modifiers)));
}

pub(super) fn press(app: &mut App, code: KeyCode) {
    key(app, code, KeyModifiers::NONE);
}

pub(super) fn type_text(app: &mut App, text: &str) {
    text.chars().for_each(|c| press(app, KeyCode::Char(c)));
}

/// Types a line, sends it, and returns what is asked for then.
pub(super) fn send(app: &mut App, line: &str) -> Vec<Effect> {
    app.effects();
    type_text(app, line);
    press(app, KeyCode::Enter);
    app.effects()
}

fn actions(effects: &[Effect]) -> Vec<Action> {
    let action = |effect: &Effect| match effect {
        Effect::Ask(_, action) => Some(action.clone()),
        Effect::Leave | Effect::Suspend | Effect::Redraw => None,
    };
    effects.iter().filter_map(action).collect()
}

fn purpose(effects: &[Effect]) -> Purpose {
    let purpose = effects.iter().rev().find_map(|effect| match effect {
        Effect::Ask(purpose, _) => Some(purpose.clone()),
        Effect::Leave | Effect::Suspend | Effect::Redraw => None,
    });
    purpose.unwrap()
}

fn notices(app: &App) -> Vec<&str> {
    app.state.notices.iter().map(|notice| notice.text.as_str()).collect()
}

fn say(to: &str, text: &str) -> Action {
    let text = parlour_protocol::SafeText::parse(text).unwrap();
    Action::Say { to: to.parse().unwrap(), text }
}

fn lobby() -> Conversation {
    Conversation::lobby()
}

fn direct(name: &str) -> Conversation {
    Conversation::Direct(name.parse().unwrap())
}
