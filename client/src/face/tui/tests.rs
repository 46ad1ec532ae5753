//! The face without its terminal: what the user does, what is asked for, what is said.

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

#[test]
fn registering_logs_in_and_says_both() {
    let mut app = guest();
    let effects = send(&mut app, "/register zoe");
    assert_eq!(actions(&effects), [Action::Register { name: name("zoe") }]);
    app.answer(purpose(&effects), Ok(Answer::Registered { name: name("zoe") }), NOW);
    let effects = app.effects();
    assert_eq!(actions(&effects), [Action::Login { name: name("zoe"), patient: true }]);
    let answer = Answer::LoggedIn { name: name("zoe"), backlog: Vec::new() };
    app.answer(purpose(&effects), Ok(answer), NOW);
    assert_eq!(notices(&app), ["Registration Succeeded", "Authentication Succeeded"]);
}

#[test]
fn a_line_that_is_refused_stays_to_be_mended() {
    let mut app = guest();
    for (line, error) in [
        ("/nonsense", "error: unknown command /nonsense"),
        ("hello", "error: command not currently available"),
        ("/register Sam", "error: invalid command format"),
    ] {
        assert_eq!(send(&mut app, line), []);
        assert_eq!(notices(&app)[0], error);
        assert_eq!(app.view.composer.text(), line);
    }
    let effects = send(&mut app, "/register sam");
    app.answer(purpose(&effects), Err(Refusal::UserExists.into()), NOW);
    assert_eq!(app.view.composer.text(), "/register sam");
}

#[test]
fn what_is_typed_after_a_refused_line_does_not_stand_behind_it() {
    let mut app = guest();
    send(&mut app, "hello?");
    let effects = send(&mut app, "/register sam");
    assert_eq!(actions(&effects), [Action::Register { name: name("sam") }]);
    app.answer(purpose(&effects), Err(Refusal::UserExists.into()), NOW);
    let effects = send(&mut app, "/register zoe");
    assert_eq!(actions(&effects), [Action::Register { name: name("zoe") }]);
    // To be mended, it stays; and it can be had again.
    app.answer(purpose(&effects), Err(Refusal::UserExists.into()), NOW);
    press(&mut app, KeyCode::End);
    assert_eq!(actions(&send(&mut app, "2")), [Action::Register { name: name("zoe2") }]);
    send(&mut app, "/regsiter anna");
    type_text(&mut app, "x");
    app.view.composer.take();
    press(&mut app, KeyCode::Up);
    assert_eq!(app.view.composer.text(), "/regsiter anna");
}

#[test]
fn the_only_user_is_logged_in_and_told_so() {
    let mut app = App::new(vec![name("sam")], TimeZone::UTC);
    app.start(FirstLogin::Only(name("sam")));
    assert_eq!(actions(&app.effects()), [Action::Login { name: name("sam"), patient: true }]);
    assert!(notices(&app)[0].starts_with("you are sam"), "{:?}", notices(&app));
}

#[test]
fn a_channel_that_there_is_not_is_not_gone_to() {
    let mut app = online(Vec::new());
    assert_eq!(actions(&send(&mut app, "#lobby @sam hi")), [say("#lobby", "@sam hi")]);
    let effects = send(&mut app, "#dev hello");
    assert_eq!(actions(&effects), [say("#dev", "hello")]);
    app.answer(purpose(&effects), Err(Refusal::ConversationNotFound.into()), NOW);
    assert_eq!((&app.view.selected, app.view.composer.text()), (&lobby(), "#dev hello"));
    assert_eq!(app.state.conversations.len(), 1);
}

#[test]
fn a_message_that_the_server_could_not_store_is_not_there_to_be_sent_twice() {
    let mut app = online(Vec::new());
    let effects = send(&mut app, "hello all");
    app.answer(purpose(&effects), Err(SayError::PutOff.into()), NOW);
    assert_eq!(notices(&app)[0], "error: the server cannot store it now");
    assert!(app.view.composer.is_empty());
}

#[test]
fn a_text_goes_to_the_conversation_that_is_shown() {
    let mut app = online(vec![message("@erik", "erik", 1, 0, "hi")]);
    assert_eq!(actions(&send(&mut app, "hello all")), [say("#lobby", "hello all")]);
    key(&mut app, KeyCode::Char('n'), KeyModifiers::CONTROL);
    assert_eq!(actions(&send(&mut app, "hello you")), [say("@erik", "hello you")]);
    assert_eq!(actions(&send(&mut app, "//etc")), [say("@erik", "/etc")]);
}

#[test]
fn a_name_before_the_text_sends_there_and_goes_there() {
    let mut app = online(Vec::new());
    assert_eq!(actions(&send(&mut app, "@erik hello")), [say("@erik", "hello")]);
    assert_eq!(app.view.selected, direct("erik"));
    let effects = send(&mut app, "@anna");
    let conversation = direct("anna");
    assert_eq!(
        actions(&effects),
        [Action::History { conversation, before: None, generation: None, limit: 100 }]
    );
    assert_eq!(app.view.selected, direct("anna"));
}

#[test]
fn a_name_that_nobody_has_opens_nothing_for_long() {
    let mut app = online(Vec::new());
    let effects = send(&mut app, "@nobody hello");
    app.answer(purpose(&effects), Err(Refusal::UserNotFound.into()), NOW);
    assert_eq!((&app.view.selected, app.view.composer.text()), (&lobby(), "@nobody hello"));
    assert_eq!(app.state.conversations.len(), 1);
    let effects = send(&mut app, "/open @nobody");
    type_text(&mut app, "secret");
    app.answer(purpose(&effects), Err(Refusal::UserNotFound.into()), NOW);
    assert_eq!((&app.view.selected, app.view.composer.text()), (&lobby(), ""));
    assert_eq!(notices(&app), ["error: user not found"]);
    press(&mut app, KeyCode::Up);
    assert_eq!(app.view.composer.text(), "secret");
}

#[test]
fn a_message_that_was_not_sent_comes_back_where_it_was_to_go() {
    let mut app = online(vec![message("@erik", "erik", 1, 0, "hi")]);
    app.view.select(&direct("erik"), &app.state);
    let effects = send(&mut app, "for erik");
    key(&mut app, KeyCode::Up, KeyModifiers::ALT);
    app.answer(
        purpose(&effects),
        Err(ContactError::KeyChanged { name: name("erik"), kid: "kid".into() }.into()),
        NOW,
    );
    assert_eq!((&app.view.selected, app.view.composer.text()), (&lobby(), ""));
    key(&mut app, KeyCode::Down, KeyModifiers::ALT);
    assert_eq!(app.view.composer.text(), "for erik");
}

#[test]
fn what_is_written_meanwhile_is_not_overwritten() {
    let mut app = online(Vec::new());
    let effects = send(&mut app, "one");
    type_text(&mut app, "two");
    app.answer(purpose(&effects), Err(Refusal::MessageTooLong.into()), NOW);
    assert_eq!(app.view.composer.text(), "two");
    press(&mut app, KeyCode::Up);
    assert_eq!(app.view.composer.text(), "one");
    press(&mut app, KeyCode::Down);
    assert_eq!(app.view.composer.text(), "two");
}

#[test]
fn a_pasted_line_break_does_not_send() {
    let mut app = online(Vec::new());
    app.effects();
    app.event(Event::Paste("one\r\ntwo\rthree\u{1b}[31m\n".into()));
    assert_eq!(app.effects(), []);
    assert_eq!(app.view.composer.text(), "one\ntwo\nthree[31m\n");
    press(&mut app, KeyCode::Enter);
    assert_eq!(actions(&app.effects()), [say("#lobby", "one\ntwo\nthree[31m\n")]);
}

#[test]
fn a_paste_that_no_message_can_hold_is_not_taken() {
    let mut app = online(Vec::new());
    app.event(Event::Paste("x".repeat(100_000)));
    assert!(app.view.composer.is_empty() && app.view.hint.is_some());
}

#[test]
fn messages_count_as_read_only_when_they_can_have_been_seen() {
    let mut app = online(vec![message("#lobby", "erik", 1, 0, "hi")]);
    let read = |seq| Action::MarkRead { conversation: lobby(), seq };
    app.update(Update::Message(Box::new(message("#lobby", "erik", 2, 1, "there"))), NOW);
    assert_eq!(actions(&app.effects()), [read(2)]);
    app.event(Event::FocusLost);
    app.update(Update::Message(Box::new(message("#lobby", "erik", 3, 1, "sam?"))), NOW);
    assert_eq!(app.effects(), []);
    assert_eq!(app.view.marker, Some(2));
    app.event(Event::FocusGained);
    assert_eq!(actions(&app.effects()), [read(3)]);
    press(&mut app, KeyCode::F(1));
    app.update(Update::Message(Box::new(message("#lobby", "erik", 4, 1, "!"))), NOW);
    assert_eq!(app.effects(), []);
    press(&mut app, KeyCode::Esc);
    assert_eq!(actions(&app.effects()), [read(4)]);
}

#[test]
fn nothing_counts_as_read_before_it_is_known_what_was() {
    let mut app = App::new(Vec::new(), TimeZone::UTC);
    app.start(FirstLogin::Asked(name("sam")));
    app.update(Update::LoggedIn { user: name("sam"), device: "0123456789abcdef".parse().unwrap() }, NOW);
    app.update(Update::Backlog((1..=3).map(|seq| message("#lobby", "erik", seq, 0, "x")).collect()), NOW);
    app.effects();
    app.update(Update::Conversation { name: lobby(), last: 3, read: 1 }, NOW);
    assert_eq!(app.effects(), []);
    log_in_succeeds(&mut app);
    assert_eq!(app.view.marker, Some(1));
    let read = Action::MarkRead { conversation: lobby(), seq: 3 };
    assert!(actions(&app.effects()).contains(&read));
}

#[test]
fn scrolling_to_the_top_asks_for_older_messages_once() {
    let mut app = online((50..=99).map(|seq| message("#lobby", "erik", seq, 0, "x")).collect());
    for _ in 0..5 {
        press(&mut app, KeyCode::PageUp);
    }
    let effects = app.effects();
    assert_eq!(
        actions(&effects),
        [Action::History { conversation: lobby(), before: Some(50), generation: Some(0), limit: 100 }]
    );
    let before = app.view.scroll;
    let messages = (1..50).map(|seq| message("#lobby", "erik", seq, 0, "x")).collect();
    app.answer(purpose(&effects), Ok(Answer::History { messages, complete: true, ended: Vec::new() }), NOW);
    assert_eq!(app.view.scroll, before);
    assert_eq!(app.state.conversations[0].messages.len(), 99);
    for _ in 0..9 {
        press(&mut app, KeyCode::PageUp);
    }
    assert_eq!(app.effects(), []);
}

#[test]
fn what_comes_in_does_not_move_what_is_read() {
    let mut app = online((1..=99).map(|seq| message("#lobby", "erik", seq, 0, "x")).collect());
    press(&mut app, KeyCode::PageUp);
    let scroll = app.view.scroll;
    assert_ne!(scroll, Scroll::Newest);
    app.update(Update::Message(Box::new(message("#lobby", "erik", 100, 1, "new"))), NOW);
    assert_eq!(app.view.scroll, scroll);
    press(&mut app, KeyCode::Esc);
    assert_eq!(app.view.scroll, Scroll::Newest);
    press(&mut app, KeyCode::PageUp);
    press(&mut app, KeyCode::PageDown);
    assert_eq!(app.view.scroll, Scroll::Newest);
}

#[test]
fn unread_conversations_are_found_all_around() {
    let mut app = online(Vec::new());
    for other in ["anna", "erik", "zoe"] {
        app.update(Update::Message(Box::new(message(&format!("@{other}"), other, 1, 0, "hi"))), NOW);
    }
    let mut seen = Vec::new();
    for _ in 0..4 {
        key(&mut app, KeyCode::Char('a'), KeyModifiers::ALT);
        seen.push(app.view.selected.to_string());
    }
    assert_eq!(seen, ["@anna", "@erik", "@zoe", "@zoe"]);
    key(&mut app, KeyCode::Char('2'), KeyModifiers::ALT);
    assert_eq!(app.view.selected, direct("anna"));
    key(&mut app, KeyCode::Char('p'), KeyModifiers::CONTROL);
    key(&mut app, KeyCode::Char('p'), KeyModifiers::CONTROL);
    assert_eq!(app.view.selected, direct("zoe"));
}

#[test]
fn a_number_stays_with_its_conversation() {
    let mut app = online(Vec::new());
    let hear = |app: &mut App, other: &str| {
        app.update(Update::Message(Box::new(message(&format!("@{other}"), other, 1, 0, "hi"))), NOW);
    };
    hear(&mut app, "zoe");
    key(&mut app, KeyCode::Char('2'), KeyModifiers::ALT);
    assert_eq!(app.view.selected, direct("zoe"));
    // It comes before the other in the list.
    hear(&mut app, "anna");
    key(&mut app, KeyCode::Char('1'), KeyModifiers::ALT);
    key(&mut app, KeyCode::Char('2'), KeyModifiers::ALT);
    assert_eq!(app.view.selected, direct("zoe"));
    key(&mut app, KeyCode::Char('3'), KeyModifiers::ALT);
    assert_eq!(app.view.selected, direct("anna"));
    key(&mut app, KeyCode::Char('4'), KeyModifiers::ALT);
    assert_eq!(app.view.selected, direct("anna"));
}

#[test]
fn tab_goes_through_what_fits() {
    let mut app = online(Vec::new());
    app.answer(
        Purpose::Names,
        Ok(Answer::Users { users: vec![name("elsa"), name("erik"), name("sam")] }),
        NOW,
    );
    type_text(&mut app, "@e");
    press(&mut app, KeyCode::Tab);
    assert_eq!(app.view.composer.text(), "@elsa ");
    press(&mut app, KeyCode::Tab);
    assert_eq!(app.view.composer.text(), "@erik ");
    press(&mut app, KeyCode::BackTab);
    type_text(&mut app, "hi");
    assert_eq!(app.view.composer.text(), "@elsa hi");
}

#[test]
fn there_are_four_ways_to_leave_and_one_keystroke_is_not_enough() {
    let control = KeyModifiers::CONTROL;
    let mut app = online(Vec::new());
    key(&mut app, KeyCode::Char('c'), control);
    assert_eq!(app.effects(), []);
    press(&mut app, KeyCode::Char('x'));
    key(&mut app, KeyCode::Char('d'), control);
    assert_eq!(app.effects(), []);
    // A draft goes first.
    key(&mut app, KeyCode::Char('c'), control);
    assert_eq!((app.effects(), app.view.composer.text()), (vec![], ""));
    press(&mut app, KeyCode::Up);
    assert_eq!(app.view.composer.text(), "x");
    app.view.composer.take();
    for way in [
        vec![(KeyCode::Char('c'), control), (KeyCode::Char('c'), control)],
        vec![(KeyCode::Char('d'), control)],
        vec![(KeyCode::Char('q'), control)],
    ] {
        for (code, modifiers) in way {
            key(&mut app, code, modifiers);
        }
        assert_eq!(app.effects(), [Effect::Leave]);
    }
    assert_eq!(send(&mut app, "/exit"), [Effect::Leave]);
}

#[test]
fn a_guest_tries_to_connect_again_and_says_why_only_once() {
    let mut app = App::new(Vec::new(), TimeZone::UTC);
    app.start(FirstLogin::None);
    let effects = app.effects();
    let offline = || Update::Connection(Connection::Offline { reason: unreachable(), retry: None });
    app.update(offline(), NOW);
    app.answer(purpose(&effects), Err(unreachable()), NOW);
    let said = notices(&app).len();
    assert_eq!(said, 2, "{:?}", notices(&app));
    assert!(app.wants_ticks());
    app.tick(NOW);
    assert_eq!(app.effects(), []);
    let later = Timestamp::from_millis(NOW.as_millis() + 5_000);
    app.tick(later);
    app.tick(later);
    let effects = app.effects();
    assert_eq!(actions(&effects), [Action::Connect]);
    app.update(offline(), later);
    app.answer(purpose(&effects), Err(unreachable()), later);
    assert_eq!(notices(&app).len(), said);
    app.tick(Timestamp::from_millis(NOW.as_millis() + 60_000));
    let effects = app.effects();
    app.update(Update::Connection(Connection::Guest { server: server() }), later);
    app.answer(purpose(&effects), Ok(Answer::Done), later);
    assert!(!app.wants_ticks());
    assert_eq!(notices(&app), [""; 0]);
}

#[test]
fn a_login_without_a_server_is_no_success_yet() {
    let mut app = App::new(Vec::new(), TimeZone::UTC);
    app.start(FirstLogin::Asked(name("sam")));
    app.update(Update::LoggedIn { user: name("sam"), device: "0123456789abcdef".parse().unwrap() }, NOW);
    app.update(Update::Connection(Connection::Offline { reason: unreachable(), retry: None }), NOW);
    log_in_succeeds(&mut app);
    let said = notices(&app);
    assert_eq!(said.last(), Some(&"not connected yet: what is kept on this machine is shown"));
    assert!(!said.contains(&"Authentication Succeeded"), "{said:?}");
    app.update(Update::Connection(Connection::Online { server: server() }), NOW);
    assert_eq!(notices(&app), [""; 0]);
}

#[test]
fn a_login_that_was_asked_for_at_the_start_is_tried_until_the_server_answers() {
    let mut app = App::new(Vec::new(), TimeZone::UTC);
    app.start(FirstLogin::Asked(name("sam")));
    let effects = app.effects();
    app.update(Update::Connection(Connection::Offline { reason: unreachable(), retry: None }), NOW);
    app.answer(purpose(&effects), Err(unreachable()), NOW);
    let later = Timestamp::from_millis(NOW.as_millis() + 5_000);
    app.tick(later);
    let effects = app.effects();
    assert_eq!(actions(&effects), [Action::Login { name: name("sam"), patient: true }]);
    // Refused for good: from here on a guest.
    app.update(Update::Connection(Connection::Guest { server: server() }), later);
    app.answer(purpose(&effects), Err(Refusal::InvalidCredentials.into()), later);
    assert!(!app.wants_ticks());
    assert_eq!(notices(&app).last(), Some(&"error: invalid credentials"));
}

#[test]
fn whoever_logs_in_next_finds_nothing_of_what_was_typed() {
    let mut app = online(Vec::new());
    send(&mut app, "said by sam");
    type_text(&mut app, "begun by sam");
    app.update(Update::LoggedOut { reason: LinkError::Dismissed(Farewell::Revoked).into() }, NOW);
    assert_eq!(actions(&app.effects()), [Action::Connect]);
    app.update(Update::LoggedIn { user: name("zoe"), device: "0123456789abcdef".parse().unwrap() }, NOW);
    assert!(app.view.composer.is_empty());
    press(&mut app, KeyCode::Up);
    assert!(app.view.composer.is_empty());
}

#[test]
fn the_text_of_a_message_that_was_refused_when_it_was_sent_again_comes_back() {
    let mut app = online(Vec::new());
    let not_sent = |text: &str| {
        let reason = Refusal::AccountFull.into();
        Update::NotSent(Box::new(NotSent { to: "#lobby".parse().unwrap(), text: text.to_owned(), reason }))
    };
    app.update(not_sent("first"), NOW);
    assert_eq!(app.view.composer.text(), "first");
    assert!(
        notices(&app)
            .contains(&"error: a message to #lobby was not sent: no room for more messages of yours")
    );
    // What is being typed stays.
    press(&mut app, KeyCode::End);
    type_text(&mut app, " and more");
    app.update(not_sent("second"), NOW);
    assert_eq!(app.view.composer.text(), "first and more");
    press(&mut app, KeyCode::Up);
    assert_eq!(app.view.composer.text(), "second");
}
