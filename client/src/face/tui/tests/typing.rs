//! Where a text goes, pasting, and completion.

use super::*;

#[test]
fn a_text_goes_to_the_conversation_that_is_shown() {
    let mut app = online(vec![message("@erik", "erik", 1, 0, "hi")]);
    assert_eq!(actions(&send(&mut app, "hello all")), [say("#lobby", "hello all")]);
    key(&mut app, KeyCode::Char('n'), KeyModifiers::CONTROL);
    assert_eq!(actions(&send(&mut app, "hello you")), [say("@erik", "hello you")]);
    assert_eq!(actions(&send(&mut app, "//etc")), [say("@erik", "/etc")]);
}

#[test]
fn a_text_after_a_name_is_sent_to_that_user_whose_conversation_opens() {
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
fn a_paste_far_longer_than_a_message_is_refused() {
    let mut app = online(Vec::new());
    app.event(Event::Paste("x".repeat(100_000)));
    assert!(app.view.composer.is_empty() && app.view.hint.is_some());
}

#[test]
fn tab_cycles_through_the_candidates() {
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
