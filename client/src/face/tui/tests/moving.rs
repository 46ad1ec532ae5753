//! Going from one conversation to another, scrolling, and what counts as read.

use super::*;

#[test]
fn messages_count_as_read_only_when_the_user_can_have_seen_them() {
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
fn nothing_is_marked_as_read_before_the_old_marks_are_known() {
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
fn new_messages_do_not_move_the_rows_that_are_being_read() {
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
fn alt_a_goes_through_all_unread_conversations() {
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
