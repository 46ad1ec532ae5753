mod future;

use proptest::prelude::*;

use super::*;
use crate::command::{Command, Dialect, HistoryRange, Post, Verb};
use crate::event::Farewell;
use crate::message::{Body, Message};
use crate::message_id::MessageId;
use crate::reply::{AccountInfo, ConversationHead, RevokedDevice};
use crate::sealed::example;
use crate::text::SafeText;
use crate::timestamp::Timestamp;

fn texts() -> impl Strategy<Value = SafeText> {
    "[^\\pC]{1,80}".prop_map(|text| SafeText::parse(&text).unwrap())
}

fn message(to: &str, body: Body) -> Message {
    Message {
        to: to.parse().unwrap(),
        from: "erik".parse().unwrap(),
        seq: 7,
        id: example().id,
        time: Timestamp::from_millis(1_572_600_600_000),
        body,
    }
}

fn text(text: &str) -> Body {
    Body::Text(SafeText::parse(text).unwrap())
}

fn all_commands() -> Vec<Command> {
    let name = || "sam".parse().unwrap();
    let history = |range| Command::History { conversation: "@sam".parse().unwrap(), range, limit: 50 };
    let sealed = example();
    vec![
        Command::Register { name: name(), request: "a.b.c".into() },
        Command::Renew { request: "a.b.c".into() },
        Command::Login { name: name(), signature: vec![1, 2, 3] },
        Command::Users,
        Command::Exit,
        Command::Help,
        Command::Dialect(Dialect::Plain),
        Command::Post(Post {
            to: "#lobby".parse().unwrap(),
            id: Some(example().id),
            body: text("hi \"you\""),
        }),
        Command::Post(Post { to: "@sam".parse().unwrap(), id: Some(sealed.id), body: Body::Sealed(sealed) }),
        Command::Account { name: name() },
        Command::Conversations,
        Command::Revocations { after: 0 },
        history(HistoryRange::Newest),
        history(HistoryRange::Before(9)),
        history(HistoryRange::After(0)),
        Command::Pong,
    ]
}

fn all_replies() -> Vec<Reply> {
    vec![
        Reply::Registered { device_certificate: vec![1], account_certificate: vec![2, 3] },
        Reply::Renewed { device_certificate: vec![4] },
        Reply::LoggedIn {
            user: "sam".parse().unwrap(),
            device: "0123456789abcdef".parse().unwrap(),
            time: Timestamp::from_millis(5),
        },
        Reply::Users(vec!["erik".parse().unwrap(), "sam".parse().unwrap()]),
        Reply::Goodbye,
        Reply::Help(vec!["users".into()]),
        Reply::Dialect(Dialect::Json),
        Reply::Posted(message("#lobby", text("a\nb"))),
        Reply::Account(AccountInfo {
            user: "sam".parse().unwrap(),
            certificate: vec![9; 10],
            revoked: vec![RevokedDevice {
                device: "0123456789abcdef".parse().unwrap(),
                time: Timestamp::from_millis(6),
                statement: Some("a.b.c".to_owned()),
            }],
        }),
        Reply::Conversations(vec![ConversationHead {
            name: "#lobby".parse().unwrap(),
            last: 3,
            newest: Some(MessageId::from_bytes([7; 16])),
        }]),
        Reply::History { messages: vec![message("@sam", Body::Sealed(example()))], last: 7 },
        Reply::Revocations { statements: vec!["a.b.c".to_owned()], more: true },
        Reply::Revocations { statements: Vec::new(), more: false },
        Reply::Pong,
    ]
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_post_is_read_in_one_go_as_it_is_in_two() {
    let sealed = example();
    let (id, json) = (sealed.id, sealed.as_json());
    let short = format!(r##""cmd":"post","to":"#lobby","message_id":"{id}""##);
    for line in [
        format!(r#"{{"id":1,{short},"text":"hi"}}"#),
        format!(r#"{{"id":"a","x":[1],{short},"text":"hi \u0041"}}"#),
        format!(r#"{{"id":1,"cmd":"p\u006fst","to":"@sam","message_id":"{id}","sealed":{json}}}"#),
        format!(r#"{{"id":1,"cmd":"post","to":"@erik","message_id":"{id}","text":"hi"}}"#),
        format!(r#"{{"id":1,{short},"text":"hi","sealed":{json}}}"#),
        format!(r#"{{"id":1,{short},"text":"hi","text":"hi"}}"#),
        format!(r#"{{"id":1,{short}}}"#),
        format!(r#"{{"id":-1,{short},"text":"hi"}}"#),
        format!(r#"{{"id":null,{short},"text":"hi"}}"#),
        format!(r#"{{"id":"{}",{short},"text":"hi"}}"#, "x".repeat(65)),
        format!(r#"{{"id":1,{},"text":"hi"}}"#, short.replace("post", "users")),
    ] {
        let (one, two) = (parse(&line), decode::parse_in_two(&line));
        assert_eq!(one.id, two.id, "{line}");
        match (one.request, two.request) {
            (Ok(one), Ok(two)) => assert!((one.verb, one.command) == (two.verb, two.command), "{line}"),
            (one, two) => assert!(one.is_err() && two.is_err(), "{line}"),
        }
    }
}

#[test]
fn every_command_is_read_as_it_was_written() {
    for (number, command) in (0..).zip(all_commands()) {
        let id = RequestId::Number(number);
        let line = encode_command(&id, &command);
        let incoming = parse(&line);
        assert_eq!(incoming.id, Some(id));
        assert!(incoming.request.unwrap().command == Ok(command), "{line}");
    }
}

#[test]
fn every_reply_is_read_as_it_was_written() {
    for reply in all_replies() {
        let id = RequestId::Text("x".into());
        let line = written(|out| write_reply(out, Some(&id), &reply));
        let read = parse_server_line(&line).unwrap();
        assert_eq!(read, ServerLine::Reply { id: Some(id), reply: Ok(reply) }, "{line}");
    }
}

#[test]
fn every_refusal_is_read_as_it_was_written() {
    for refusal in [
        Refusal::UnknownCommand("dance".into()),
        Refusal::NotNow,
        Refusal::Format,
        Refusal::LineTooLong,
        Refusal::MessageTooLong,
        Refusal::NotUtf8,
        Refusal::ControlCharacter,
        Refusal::UserExists,
        Refusal::RequestRefused,
        Refusal::InvalidCredentials,
        Refusal::AlreadyLoggedIn,
        Refusal::UserNotFound,
        Refusal::ConversationNotFound,
        Refusal::MustBeSealed,
        Refusal::WrongKeys,
        Refusal::IdInUse,
        Refusal::AccountFull,
        Refusal::TooMany { seconds: 9 },
        Refusal::AuthorityUnavailable,
        Refusal::NotStored,
        Refusal::Internal { incident: "7f".into() },
    ] {
        let line = written(|out| write_refusal(out, None, &refusal));
        assert_eq!(parse_server_line(&line).unwrap(), ServerLine::Reply { id: None, reply: Err(refusal) });
    }
}

#[test]
fn every_event_is_read_as_it_was_written() {
    let mut events = vec![
        Event::Message(message("#lobby", text("hello"))),
        Event::Message(message("@sam", Body::Sealed(example()))),
        Event::Ping,
        Event::Revoked {
            user: "sam".parse().unwrap(),
            device: "0123456789abcdef".parse().unwrap(),
            time: Timestamp::from_millis(6),
            number: None,
            statement: None,
        },
        Event::Revoked {
            user: "sam".parse().unwrap(),
            device: "0123456789abcdef".parse().unwrap(),
            time: Timestamp::from_millis(6),
            number: Some(7),
            statement: Some("a.b.c".to_owned()),
        },
    ];
    events.extend(Farewell::ALL.map(Event::Goodbye));
    for event in events {
        let line = written(|out| write_event(out, &event));
        assert_eq!(parse_server_line(&line).unwrap(), ServerLine::Event(event), "{line}");
    }
}

#[test]
fn the_lines_are_what_the_specification_shows() {
    let id = RequestId::Number(1);
    assert_eq!(encode_command(&id, &Command::Users), r#"{"id":1,"cmd":"users"}"#);
    assert_eq!(
        written(|out| write_reply(out, Some(&id), &Reply::Users(vec!["sam".parse().unwrap()]))),
        r#"{"id":1,"ok":"users","users":["sam"]}"#
    );
    assert_eq!(
        written(|out| write_refusal(out, Some(&id), &Refusal::UserNotFound)),
        r#"{"id":1,"error":{"code":"user_not_found","message":"user not found"}}"#
    );
    assert_eq!(
        written(|out| write_event(out, &Event::Message(message("#lobby", text("hi"))))),
        "{\"event\":\"message\",\"to\":\"#lobby\",\"from\":\"erik\",\"seq\":7,\
         \"message_id\":\"018bcfe5-6800-7707-8707-070707070707\",\"time\":1572600600000,\"text\":\"hi\"}"
    );
}

#[test]
fn lines_that_are_not_commands_are_refused_with_the_right_code() {
    let refusal = |line: &str| {
        let incoming = parse(line);
        (incoming.id, incoming.request.and_then(|request| request.command).err())
    };
    let one = Some(RequestId::Number(1));
    for (line, id, expected) in [
        ("nonsense", None, Refusal::Format),
        ("[]", None, Refusal::Format),
        (r#"[1,"users"]"#, None, Refusal::Format),
        ("{}", None, Refusal::Format),
        (r#"{"cmd":"users"}"#, None, Refusal::Format),
        (r#"{"id":1}"#, one.clone(), Refusal::Format),
        (r#"{"id":1,"cmd":"dance"}"#, one.clone(), Refusal::UnknownCommand("dance".into())),
        (r#"{"id":1,"cmd":"login","name":"SAM","signature":"AQID"}"#, one.clone(), Refusal::Format),
        (r#"{"id":1,"cmd":"history","conversation":"@sam","limit":101}"#, one.clone(), Refusal::Format),
        (r#"{"id":1,"cmd":"revocations"}"#, one.clone(), Refusal::Format),
        (r#"{"id":1,"cmd":"revocations","after":9007199254740992}"#, one.clone(), Refusal::Format),
        (
            r#"{"id":1,"cmd":"history","conversation":"@sam","before":1,"after":1}"#,
            one.clone(),
            Refusal::Format,
        ),
        (
            r#"{"id":1,"cmd":"post","to":"@sam","message_id":"018bcfe5-6800-7707-8707-070707070707","text":"x"}"#,
            one.clone(),
            Refusal::MustBeSealed,
        ),
        (
            r##"{"id":1,"cmd":"post","to":"#lobby","message_id":"018bcfe5-6800-7707-8707-070707070707","text":"\u0007"}"##,
            one,
            Refusal::ControlCharacter,
        ),
    ] {
        assert_eq!(refusal(line), (id, Some(expected)), "{line}");
    }
}

#[test]
fn an_unknown_command_is_quoted_by_its_first_64_characters_besides_the_slash() {
    for slash in ["", "/"] {
        let Refusal::UnknownCommand(word) = Refusal::unknown(&format!("{slash}{}", "x".repeat(80))) else {
            panic!()
        };
        assert_eq!(word, format!("{slash}{}", "x".repeat(64)));
    }
}

proptest! {
    #[test]
    fn no_line_makes_a_parser_panic(line in ".{0,200}") {
        let _ = parse(&line);
        let _ = parse_server_line(&line);
    }

    #[test]
    fn any_text_survives_the_wire(text in texts()) {
        let event = Event::Message(message("#lobby", Body::Text(text)));
        let line = written(|out| write_event(out, &event));
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(parse_server_line(&line).unwrap(), ServerLine::Event(event));
    }
}

#[test]
fn the_words_of_a_server_come_clean() {
    for line in [
        r#"{"id":1,"error":{"code":"new\u001b[m","message":"\u202e\u009b"}}"#,
        r#"{"id":1,"error":{"code":"internal","message":"","incident":"\u001b[m\u202e"}}"#,
        r#"{"id":1,"error":{"code":"unknown_command","message":"","word":"\u001b[m\u202e"}}"#,
        r#"{"id":1,"ok":"dialect","dialect":"\u001b[m\u202e"}"#,
    ] {
        let said = match parse_server_line(line) {
            Ok(ServerLine::Reply { reply: Err(refusal), .. }) => refusal.to_string(),
            Err(error) => error.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(said.contains('\u{fffd}') && crate::clean(&said) == said, "{line}: {said:?}");
    }
}

#[test]
fn a_servers_own_words_are_cut_off_when_they_are_long() {
    let long = "x".repeat(100_000);
    for line in [
        format!(r#"{{"id":1,"error":{{"code":"of-tomorrow","message":"{long}"}}}}"#),
        format!(r#"{{"id":1,"error":{{"code":"{long}"}}}}"#),
        format!(r#"{{"id":1,"error":{{"code":"internal","incident":"{long}"}}}}"#),
        format!(r#"{{"id":1,"error":{{"code":"unknown_command","word":"{long}"}}}}"#),
        format!(r#"{{"id":1,"ok":"{long}"}}"#),
        format!(r#"{{"event":"{long}"}}"#),
        format!(r#"{{"event":"goodbye","reason":"of-tomorrow","message":"{long}"}}"#),
        format!(r#"{{"id":1,"ok":"users","users":["{long}"]}}"#),
    ] {
        let shown = match parse_server_line(&line) {
            Ok(ServerLine::Reply { reply: Err(refusal), .. }) => refusal.to_string(),
            Ok(ServerLine::UnknownEvent(words) | ServerLine::UnknownFarewell(words)) => words,
            Err(error) => error.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(shown.chars().count() < 1_000, "{} characters", shown.chars().count());
    }
}
