//! Everything that can be written is read back unchanged, in both dialects and between server and TTP: every
//! variant, with any values.
#![cfg(test)]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parlour_protocol::json::{self, RequestId, ServerLine};
use parlour_protocol::limits::{HISTORY_PAGE, LINE_BYTES, TEXT_BYTES};
use parlour_protocol::ttp::{Der, Issued, Revocation, TtpAnswer, TtpRefusal, TtpRequest};
use parlour_protocol::{
    AccountInfo, Body, Command, Conversation, ConversationHead, DeviceId, Dialect, Event, Farewell,
    HistoryRange, LineSplitter, Message, MessageId, Post, Refusal, Reply, RevokedDevice, SafeText,
    SealedMessage, Timestamp, UserName, plain,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// The largest number that every JSON reader holds exactly.
const MOST: u64 = 1 << 53;

fn names() -> impl Strategy<Value = UserName> {
    "[a-z0-9][a-z0-9_-]{0,31}".prop_map(|name| name.parse().unwrap())
}

fn devices() -> impl Strategy<Value = DeviceId> {
    "[0-9a-f]{16}".prop_map(|id| id.parse().unwrap())
}

fn ids() -> impl Strategy<Value = MessageId> {
    any::<[u8; 16]>().prop_map(MessageId::from_bytes)
}

fn times() -> impl Strategy<Value = Timestamp> {
    let most = i64::try_from(MOST).unwrap();
    prop_oneof![Just(0), Just(1_750_000_000_000), -most..=most].prop_map(Timestamp::from_millis)
}

/// Texts of any characters except controls, and with the two controls that are allowed.
fn texts() -> impl Strategy<Value = SafeText> {
    prop_oneof![
        "[^\\p{Cc}]{1,200}",
        "[\\t\\n\"\\\\/@#\u{2028}\u{ad}\u{202e}a\u{301}]{1,60}",
        Just("\n".repeat(TEXT_BYTES)),
        Just("\u{ad}".repeat(TEXT_BYTES / 2)),
        Just("\u{2028}".repeat(TEXT_BYTES / 3)),
    ]
    .prop_map(|text| SafeText::parse(&text).unwrap())
}

fn sealed() -> impl Strategy<Value = SealedMessage> {
    let keys = vec(any::<u8>(), 384);
    (ids(), any::<[[u8; 32]; 3]>(), [keys.clone(), keys], vec(any::<u8>(), 0..300), any::<[u8; 16]>())
        .prop_map(|(id, [cmt, one, two], [key1, key2], text, tag)| {
            let text64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let header = format!(
                r#"{{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWS","id":"{id}","cmt":"{}"}}"#,
                text64(&cmt)
            );
            let recipient = |kid: [u8; 32], key: &[u8]| {
                format!(r#"{{"header":{{"kid":"{}"}},"encrypted_key":"{}"}}"#, text64(&kid), text64(key))
            };
            let json = format!(
                r#"{{"protected":"{}","recipients":[{},{}],"iv":"{}","ciphertext":"{}","tag":"{}"}}"#,
                text64(header.as_bytes()),
                recipient(one, &key1),
                recipient(two, &key2),
                text64(&[3; 12]),
                text64(&text),
                text64(&tag)
            );
            SealedMessage::from_json(&json).unwrap()
        })
}

/// A conversation, and content that fits it.
fn said() -> impl Strategy<Value = (Conversation, Body)> {
    prop_oneof![
        (names(), texts()).prop_map(|(name, text)| (format!("#{name}").parse().unwrap(), Body::Text(text))),
        (names(), sealed()).prop_map(|(name, sealed)| (Conversation::Direct(name), Body::Sealed(sealed))),
    ]
}

fn conversations() -> impl Strategy<Value = Conversation> {
    "[#@][a-z0-9][a-z0-9_-]{0,31}".prop_map(|name| name.parse().unwrap())
}

fn messages() -> impl Strategy<Value = Message> {
    (said(), names(), 1..=MOST, ids(), times()).prop_map(|((to, body), from, seq, id, time)| {
        let id = if let Body::Sealed(sealed) = &body { sealed.id } else { id };
        Message { to, from, seq, id, time, body }
    })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..200)
}

/// Requests, which are compact JWS.
fn requests() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_.-]{1,200}"
}

fn commands() -> impl Strategy<Value = Command> {
    let range = prop_oneof![
        Just(HistoryRange::Newest),
        any::<u64>().prop_map(HistoryRange::Before),
        any::<u64>().prop_map(HistoryRange::After)
    ];
    let post = (said(), ids()).prop_map(|((to, body), id)| {
        let id = if let Body::Sealed(sealed) = &body { sealed.id } else { id };
        Command::Post(Post { to, id: Some(id), body })
    });
    prop_oneof![
        (names(), requests()).prop_map(|(name, request)| Command::Register { name, request }),
        requests().prop_map(|request| Command::Renew { request }),
        (names(), bytes()).prop_map(|(name, signature)| Command::Login { name, signature }),
        Just(Command::Users),
        Just(Command::Exit),
        Just(Command::Help),
        dialects().prop_map(Command::Dialect),
        post,
        names().prop_map(|name| Command::Account { name }),
        Just(Command::Conversations),
        (conversations(), range, 1..=HISTORY_PAGE)
            .prop_map(|(conversation, range, limit)| Command::History { conversation, range, limit }),
        (0..1_u64 << 53).prop_map(|after| Command::Revocations { after }),
        Just(Command::Pong),
    ]
}

fn dialects() -> impl Strategy<Value = Dialect> {
    prop_oneof![Just(Dialect::Plain), Just(Dialect::Json)]
}

fn replies() -> impl Strategy<Value = Reply> {
    let revoked = (devices(), times(), proptest::option::of("[a-z.]{1,9}"))
        .prop_map(|(device, time, statement)| RevokedDevice { device, time, statement });
    let account = (names(), bytes(), vec(revoked, 0..4))
        .prop_map(|(user, certificate, revoked)| Reply::Account(AccountInfo { user, certificate, revoked }));
    let head = (conversations(), any::<u64>()).prop_map(|(name, last)| ConversationHead { name, last });
    prop_oneof![
        (bytes(), bytes()).prop_map(|(device_certificate, account_certificate)| Reply::Registered {
            device_certificate,
            account_certificate
        }),
        bytes().prop_map(|device_certificate| Reply::Renewed { device_certificate }),
        (names(), devices(), times()).prop_map(|(user, device, time)| Reply::LoggedIn { user, device, time }),
        vec(names(), 0..20).prop_map(Reply::Users),
        Just(Reply::Goodbye),
        vec("[^\\p{Cc}]{0,40}", 0..20).prop_map(Reply::Help),
        dialects().prop_map(Reply::Dialect),
        messages().prop_map(Reply::Posted),
        account,
        vec(head, 0..20).prop_map(Reply::Conversations),
        (vec(messages(), 0..8), any::<u64>()).prop_map(|(messages, last)| Reply::History { messages, last }),
        (vec("[a-z.]{1,9}", 0..8), any::<bool>())
            .prop_map(|(statements, more)| Reply::Revocations { statements, more }),
        Just(Reply::Pong),
    ]
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        messages().prop_map(Event::Message),
        Just(Event::Ping),
        (
            names(),
            devices(),
            times(),
            proptest::option::of(any::<u64>()),
            proptest::option::of("[a-z.]{1,9}"),
        )
            .prop_map(|(user, device, time, number, statement)| {
                Event::Revoked { user, device, time, number, statement }
            }),
        proptest::sample::select(Farewell::ALL.to_vec()).prop_map(Event::Goodbye),
    ]
}

fn refusals() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        any::<String>().prop_map(|word| Refusal::unknown(&word)),
        any::<u64>().prop_map(|seconds| Refusal::TooMany { seconds }),
        "[0-9a-f]{8}".prop_map(|incident| Refusal::Internal { incident }),
        proptest::sample::select(vec![
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
            Refusal::AuthorityUnavailable,
        ]),
    ]
}

fn request_ids() -> impl Strategy<Value = RequestId> {
    prop_oneof![
        any::<u64>().prop_map(RequestId::Number),
        "[ -~]{0,64}".prop_map(RequestId::Text),
        "[^\\p{Cc}]{0,16}".prop_map(RequestId::Text),
    ]
}

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
    fn whatever_plain_says_is_one_line(reply in replies(), event in events()) {
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
