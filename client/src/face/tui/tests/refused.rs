//! A refused line comes back to be corrected.

use super::*;

#[test]
fn a_refused_line_comes_back_to_be_corrected() {
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
fn a_text_typed_after_a_refused_line_replaces_it() {
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
fn a_channel_that_does_not_exist_is_not_opened() {
    let mut app = online(Vec::new());
    assert_eq!(actions(&send(&mut app, "#lobby @sam hi")), [say("#lobby", "@sam hi")]);
    let effects = send(&mut app, "#dev hello");
    assert_eq!(actions(&effects), [say("#dev", "hello")]);
    app.answer(purpose(&effects), Err(Refusal::ConversationNotFound.into()), NOW);
    assert_eq!((&app.view.selected, app.view.composer.text()), (&lobby(), "#dev hello"));
    assert_eq!(app.state.conversations.len(), 1);
}

#[test]
fn a_message_that_the_server_could_not_store_does_not_come_back_to_the_input() {
    let mut app = online(Vec::new());
    let effects = send(&mut app, "hello all");
    app.answer(purpose(&effects), Err(SayError::PutOff.into()), NOW);
    assert_eq!(notices(&app)[0], "error: the server cannot store it now");
    assert!(app.view.composer.is_empty());
}

#[test]
fn a_conversation_with_an_unknown_name_is_closed_again() {
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
    // A text begun for a user who does not exist goes to nobody else.
    press(&mut app, KeyCode::Up);
    assert_eq!(app.view.composer.text(), "@nobody secret");
}

#[test]
fn a_message_that_was_not_sent_comes_back_in_its_conversation() {
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
fn a_line_that_comes_back_does_not_overwrite_a_newer_draft() {
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

fn not_sent(to: &str, text: &str, reason: Refusal) -> Update {
    let (to, text) = (to.parse().unwrap(), text.to_owned());
    Update::NotSent(Box::new(NotSent { to, text, reason: reason.into() }))
}

#[test]
fn the_text_of_a_message_that_was_refused_when_it_was_sent_again_comes_back() {
    let mut app = online(Vec::new());
    let not_sent = |text: &str| not_sent("#lobby", text, Refusal::AccountFull);
    app.update(not_sent("first"), NOW);
    assert_eq!(app.view.composer.text(), "first");
    assert!(
        notices(&app)
            .contains(&"error: a message to #lobby was not sent: no room for more messages of yours")
    );
    // The line that is being typed stays.
    press(&mut app, KeyCode::End);
    type_text(&mut app, " and more");
    app.update(not_sent("second"), NOW);
    assert_eq!(app.view.composer.text(), "first and more");
    press(&mut app, KeyCode::Up);
    assert_eq!(app.view.composer.text(), "second");
}

#[test]
fn a_text_that_was_not_sent_to_another_conversation_comes_back_there() {
    let mut app = online(vec![message("@erik", "erik", 1, 0, "hi")]);
    app.update(not_sent("@erik", "secret", Refusal::AccountFull), NOW);
    assert_eq!(app.view.composer.text(), "");
    assert_eq!(notices(&app).last(), Some(&"its text is kept: Up brings it back in @erik"));
    press(&mut app, KeyCode::Up);
    assert_eq!(app.view.composer.text(), "");
    key(&mut app, KeyCode::Down, KeyModifiers::ALT);
    assert_eq!((&app.view.selected, app.view.composer.text()), (&direct("erik"), "secret"));
    app.view.composer.take();
    press(&mut app, KeyCode::Up);
    assert_eq!(app.view.composer.text(), "secret");
}

#[test]
fn a_text_that_was_not_sent_to_somebody_unknown_comes_back_with_the_name_in_front() {
    let mut app = online(Vec::new());
    type_text(&mut app, "begun");
    app.update(not_sent("@ghost", "secret two", Refusal::UserNotFound), NOW);
    assert_eq!(app.view.composer.text(), "begun");
    assert_eq!(notices(&app).last(), Some(&"its text is kept: Up brings it back, with @ghost in front"));
    press(&mut app, KeyCode::Up);
    assert_eq!(app.view.composer.text(), "@ghost secret two");
    press(&mut app, KeyCode::Enter);
    assert_eq!(actions(&app.effects()), [say("@ghost", "secret two")]);
}

#[test]
fn a_text_that_came_back_is_said_again_to_the_same_conversation_whatever_it_begins_with() {
    for text in ["/etc is full", "//", "@erik is here", "#lobby is public", " x"] {
        for to in ["@zoe", "#lobby"] {
            let mut app = online(vec![message("@zoe", "zoe", 1, 0, "hi")]);
            app.view.select(&to.parse().unwrap(), &app.state);
            app.update(not_sent(to, text, Refusal::AccountFull), NOW);
            app.effects();
            press(&mut app, KeyCode::Enter);
            assert_eq!(actions(&app.effects()), [say(to, text)], "{text}");
        }
    }
}

#[test]
fn a_draft_for_somebody_unknown_never_becomes_a_text_for_all() {
    for (draft, offered) in [
        ("secret", "@nobody secret"),
        ("//etc", "@nobody /etc"),
        ("@erik hi", "@erik hi"),
        ("/users", "/users"),
    ] {
        let mut app = online(Vec::new());
        let effects = send(&mut app, "@nobody hello");
        type_text(&mut app, draft);
        app.answer(purpose(&effects), Err(Refusal::UserNotFound.into()), NOW);
        assert_eq!((&app.view.selected, app.view.composer.text()), (&lobby(), "@nobody hello"));
        app.view.composer.take();
        press(&mut app, KeyCode::Up);
        assert_eq!(app.view.composer.text(), "@nobody hello");
        press(&mut app, KeyCode::Up);
        assert_eq!(app.view.composer.text(), offered);
    }
}
