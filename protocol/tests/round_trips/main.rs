//! Everything that can be written is read back unchanged, in both dialects and between server and TTP: every
//! variant, with any values.
#![cfg(test)]

mod values;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parlour_protocol::json::{self, RequestId, ServerLine};
use parlour_protocol::limits::LINE_BYTES;
use parlour_protocol::ttp::{Der, Issued, Revocation, TtpAnswer, TtpRefusal, TtpRequest};
use parlour_protocol::{
    Body, Command, Conversation, Dialect, Event, LineSplitter, Post, Refusal, SealedMessage, UserName, plain,
};
use proptest::option;
use proptest::prelude::*;
use values::{
    bytes, commands, devices, events, messages, names, refusals, replies, request_ids, requests, sealed,
    times,
};

/// The written text, which must be one line that every splitter accepts.
fn line(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut line = Vec::new();
    write(&mut line);
    let text = String::from_utf8(line.clone()).unwrap();
    line.push(b'\n');
    let mut splitter = LineSplitter::new(4 * LINE_BYTES);
    splitter.feed(&line);
    assert_eq!(splitter.next_line(), Some(Ok(text.as_str())));
    assert!(splitter.is_empty());
    text
}

/// A command as somebody types it; `None` when plain cannot express it.
fn typed(command: &Command) -> Option<String> {
    Some(match command {
        Command::Register { name, request } => format!("/register {name} {request}"),
        Command::Login { name, signature } if !signature.is_empty() => {
            format!("/login {name} {}", STANDARD.encode(signature))
        }
        Command::Users => "/users".to_owned(),
        Command::Exit => "/exit".to_owned(),
        Command::Help => "/help".to_owned(),
        Command::Dialect(Dialect::Json) => "/dialect json".to_owned(),
        Command::Dialect(Dialect::Plain) => "/dialect plain".to_owned(),
        Command::Post(Post { to, body: Body::Sealed(sealed), .. }) => format!("{to} {}", sealed.as_json()),
        Command::Post(Post { body: Body::Text(text), .. }) if text.as_str().contains('\n') => return None,
        Command::Post(Post { body: Body::Text(text), .. }) => match text.as_str().chars().next()? {
            '/' => format!("/{}", text.as_str()),
            '@' => return None,
            _ => text.as_str().to_owned(),
        },
        Command::Post(Post { body: Body::Unknown, .. })
        | Command::Login { .. }
        | Command::Renew { .. }
        | Command::Account { .. }
        | Command::Conversations
        | Command::History { .. }
        | Command::Revocations { .. }
        | Command::Pong => return None,
    })
}

proptest! {
    #[test]
    fn any_command_is_read_as_it_was_written(command in commands(), id in request_ids()) {
        let incoming = json::parse(&line(|out| out.extend(json::encode_command(&id, &command).bytes())));
        prop_assert_eq!(incoming.id, Some(id));
        let request = incoming.request.unwrap();
        prop_assert_eq!(request.verb, command.verb());
        prop_assert_eq!(request.command, Ok(command));
    }

    #[test]
    fn an_id_or_a_word_with_control_characters_does_not_come_back(
        bad in "[ -~]{0,8}[\\p{Cc}][ -~]{0,8}", good in any::<u64>(),
    ) {
        let (bad, good) = (serde_json::json!(bad), RequestId::Number(good));
        let incoming = json::parse(&serde_json::json!({"id": bad, "cmd": "users"}).to_string());
        prop_assert_eq!(incoming.id, None);
        prop_assert_eq!(incoming.request.unwrap().command, Err(Refusal::Format));
        let incoming = json::parse(&serde_json::json!({"id": good, "cmd": bad}).to_string());
        let refusal = incoming.request.unwrap_err();
        line(|out| json::write_refusal(out, incoming.id.as_ref(), &refusal));
        line(|out| plain::write_refusal(out, &refusal));
    }

    #[test]
    fn any_command_that_plain_can_say_is_read_as_it_was_typed(command in commands()) {
        let Some(typed) = typed(&command) else { return Ok(()) };
        let request = plain::parse(&line(|out| out.extend(typed.bytes()))).unwrap();
        prop_assert_eq!(request.verb, command.verb());
        // Plain knows only the lobby, and no ids except those in an envelope.
        let expected = match command {
            Command::Post(Post { body: body @ Body::Text(_), .. }) => {
                Command::Post(Post { to: Conversation::lobby(), id: None, body })
            }
            other => other,
        };
        prop_assert_eq!(request.command, Ok(expected));
    }

    #[test]
    fn any_reply_is_read_as_it_was_written(reply in replies(), id in option::of(request_ids())) {
        let line = line(|out| json::write_reply(out, id.as_ref(), &reply));
        prop_assert_eq!(json::parse_server_line(&line), Ok(ServerLine::Reply { id, reply: Ok(reply) }));
    }

    #[test]
    fn any_refusal_is_read_as_it_was_written(refusal in refusals(), id in option::of(request_ids())) {
        let written = line(|out| json::write_refusal(out, id.as_ref(), &refusal));
        let said = format!("error: {refusal}");
        prop_assert_eq!(line(|out| plain::write_refusal(out, &refusal)), said);
        let read = json::parse_server_line(&written);
        prop_assert_eq!(read, Ok(ServerLine::Reply { id, reply: Err(refusal) }));
    }

    #[test]
    fn any_event_is_read_as_it_was_written(event in events()) {
        let line = line(|out| json::write_event(out, &event));
        prop_assert_eq!(json::parse_server_line(&line), Ok(ServerLine::Event(event)));
    }

    #[test]
    fn everything_that_plain_says_is_one_line(reply in replies(), event in events()) {
        line(|out| { plain::write_reply(out, &reply); });
        line(|out| { plain::write_event(out, &event); });
    }

    #[test]
    fn a_message_takes_no_more_of_a_line_than_its_body_says(message in messages()) {
        let around = 300;
        let most = message.body.line_bytes() + around;
        prop_assert!(most <= LINE_BYTES);
        let spoken = line(|out| plain::write_message(out, &message));
        prop_assert!(spoken.len() <= most, "plain: {} of {most} bytes", spoken.len());
        let written = line(|out| json::write_event(out, &Event::Message(message)));
        prop_assert!(written.len() <= most, "json: {} of {most} bytes", written.len());
    }

    #[test]
    fn any_request_to_the_ttp_is_read_as_it_was_written(request in requests(), after in any::<u64>()) {
        let enrol = TtpRequest::Enrol { request: request.clone() };
        for request in [enrol, TtpRequest::Renew { request }, TtpRequest::Watch { after }] {
            let line = line(|out| serde_json::to_writer(out, &request).unwrap());
            prop_assert_eq!(TtpRequest::from_json(&line), Ok(request));
        }
    }

    #[test]
    fn any_answer_of_the_ttp_is_read_as_it_was_written(
        name in names(), device in devices(), time in times(), number in any::<u64>(),
        certificate in bytes(), account in option::of(bytes()),
    ) {
        let issued = Issued {
            name: name.clone(),
            device_certificate: Der(certificate),
            account_certificate: account.map(Der),
        };
        let mut answers = vec![
            TtpAnswer::Issued(issued),
            TtpAnswer::Watching {},
            TtpAnswer::Revoked(Revocation {
                number,
                name: name.clone(),
                device: device.clone(),
                time,
                statement: None,
            }),
            TtpAnswer::Revoked(Revocation {
                number,
                name,
                device,
                time,
                statement: Some("a.b.c".to_owned()),
            }),
        ];
        answers.extend([
            TtpRefusal::Format, TtpRefusal::BadRequest, TtpRefusal::NameTaken,
            TtpRefusal::UnknownDevice, TtpRefusal::Revoked, TtpRefusal::Internal,
        ].map(TtpAnswer::Error));
        for answer in answers {
            let line = line(|out| serde_json::to_writer(out, &answer).unwrap());
            prop_assert_eq!(serde_json::from_str::<TtpAnswer>(&line).unwrap(), answer);
        }
    }

    #[test]
    fn a_name_is_taken_exactly_when_it_follows_the_grammar(text in "[#@]?[a-b0A_.é-]{0,34}") {
        let letter = |c: char| matches!(c, 'a'..='z' | '0'..='9');
        let is_name = |text: &str| {
            (1..=32).contains(&text.len())
                && text.starts_with(letter)
                && text.chars().all(|c| letter(c) || matches!(c, '_' | '-'))
        };
        let user = text.parse::<UserName>().map(|name| name.to_string());
        prop_assert_eq!(user.ok(), is_name(&text).then(|| text.clone()));
        let conversation = text.parse::<Conversation>().map(|name| name.to_string());
        let named = text.strip_prefix(['#', '@']).is_some_and(is_name);
        prop_assert_eq!(conversation.ok(), named.then(|| text.clone()));
    }

    #[test]
    fn a_sealed_message_in_any_layout_is_the_same(sealed in sealed()) {
        let parts = SealedMessage::from_parts(&sealed.rest_json(), sealed.key1().json, sealed.key2().json);
        prop_assert_eq!(parts, Ok(sealed.clone()));
        let value: serde_json::Value = serde_json::from_str(sealed.as_json()).unwrap();
        prop_assert_eq!(SealedMessage::from_json(&format!("{value:#}")), Ok(sealed));
    }
}
