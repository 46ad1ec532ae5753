//! Connecting, registering, logging in, and leaving.

use super::*;

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
fn the_only_user_is_logged_in_at_the_start_and_told_so() {
    let mut app = App::new(vec![name("sam")], TimeZone::UTC);
    app.start(FirstLogin::Only(name("sam")));
    assert_eq!(actions(&app.effects()), [Action::Login { name: name("sam"), patient: true }]);
    assert!(notices(&app)[0].starts_with("you are sam"), "{:?}", notices(&app));
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
fn a_login_without_a_server_is_not_reported_as_a_success() {
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
fn a_login_requested_at_the_start_is_tried_until_the_server_answers() {
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
    let said = notices(&app);
    let (error, hint) = (said[said.len() - 2], said[said.len() - 1]);
    assert_eq!(error, "error: invalid credentials");
    assert!(hint.contains("revoked") && hint.contains("ask its operator"), "{hint}");
}

#[test]
fn a_user_whose_device_was_revoked_is_told_so_until_the_next_line() {
    let mut app = online(Vec::new());
    app.state.notices.clear();
    log_in_succeeds(&mut app);
    app.effects();
    app.update(Update::LoggedOut { reason: LinkError::Dismissed(Farewell::Revoked).into() }, NOW);
    let effects = app.effects();
    app.update(Update::Connection(Connection::Guest { server: server() }), NOW);
    app.answer(purpose(&effects), Ok(Answer::Done), NOW);
    let said = notices(&app);
    assert_eq!(said[0], "error: the server closed the connection: this device was revoked");
    assert!(said[1].contains("another name"), "{said:?}");
    assert_eq!(said.len(), 2, "{said:?}");
    send(&mut app, "/register zoe");
    assert_eq!(notices(&app), [""; 0]);
}

#[test]
fn the_next_user_finds_nothing_of_what_the_last_one_typed() {
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
