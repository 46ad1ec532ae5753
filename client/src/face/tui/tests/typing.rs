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

/// The texts that Up offers, newest first.
fn offered(app: &mut App) -> Vec<String> {
    app.view.composer.take();
    let mut lines: Vec<String> = Vec::new();
    loop {
        press(app, KeyCode::Up);
        let line = app.view.composer.text().to_owned();
        if line.is_empty() || lines.last() == Some(&line) {
            break;
        }
        lines.push(line);
    }
    app.view.composer.take();
    lines
}

#[test]
fn up_offers_the_texts_of_this_conversation_alone_and_all_commands() {
    let mut app = online(vec![message("@erik", "erik", 1, 0, "hi")]);
    send(&mut app, "for all");
    send(&mut app, "@erik first for erik");
    send(&mut app, "only for erik");
    send(&mut app, "//etc of erik");
    send(&mut app, "/open #lobby");
    press(&mut app, KeyCode::Up);
    press(&mut app, KeyCode::Up);
    press(&mut app, KeyCode::Enter);
    let to_lobby = actions(&app.effects()).into_iter().filter(|action| matches!(action, Action::Say { .. }));
    assert_eq!(to_lobby.collect::<Vec<_>>(), [say("#lobby", "for all")]);
    assert_eq!(offered(&mut app), ["for all", "/open #lobby", "for all"]);
    send(&mut app, "/open @erik");
    assert_eq!(
        offered(&mut app),
        ["/open @erik", "/open #lobby", "//etc of erik", "only for erik", "@erik first for erik"]
    );
}

#[test]
fn a_draft_stays_in_its_conversation_while_another_line_is_shown() {
    let mut app = online(vec![message("@erik", "erik", 1, 0, "hi")]);
    send(&mut app, "/open @erik");
    send(&mut app, "sent to erik");
    type_text(&mut app, "begun for erik");
    press(&mut app, KeyCode::Up);
    key(&mut app, KeyCode::Up, KeyModifiers::ALT);
    assert_eq!((&app.view.selected, app.view.composer.text()), (&lobby(), ""));
    press(&mut app, KeyCode::Down);
    assert_eq!(app.view.composer.text(), "");
    assert_eq!(offered(&mut app), ["/open @erik"]);
    key(&mut app, KeyCode::Down, KeyModifiers::ALT);
    assert_eq!(offered(&mut app), ["begun for erik", "sent to erik", "/open @erik"]);
}

#[test]
fn a_cleared_private_line_comes_back_in_its_conversation_alone() {
    let mut app = online(vec![message("@erik", "erik", 1, 0, "hi")]);
    send(&mut app, "/open @erik");
    type_text(&mut app, "cleared for erik");
    key(&mut app, KeyCode::Char('c'), KeyModifiers::CONTROL);
    send(&mut app, "/open #lobby");
    assert_eq!(offered(&mut app), ["/open #lobby", "/open @erik"]);
}
