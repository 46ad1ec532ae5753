//! Lines from a client in both dialects, and the server's replies to them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parlour_protocol::json::{RequestId, ServerLine, encode_command, parse_server_line};
use parlour_protocol::limits::{HISTORY_PAGE, LINE_BYTES, SEALED_BYTES, TEXT_BYTES};
use parlour_protocol::{
    Body, Command, Conversation, Dialect, Event, HistoryRange, Message, MessageId, Post, Refusal, Timestamp,
    clean,
};
use parlour_protocol::{json as dialect, plain as plain_dialect};

use super::{for_each_line, is_one_line};

/// The most bytes around a message's body, on a line of either dialect.
const AROUND_BODY: usize = 300;

/// Lines of the plain dialect; also any text, cleaned for a terminal.
pub fn plain(bytes: &[u8]) {
    check_cleaned(&String::from_utf8_lossy(bytes));
    for_each_line(bytes, |line| {
        let command = plain_dialect::parse(line).and_then(|request| {
            assert!(request.command.as_ref().map_or(true, |command| command.verb() == request.verb));
            request.command
        });
        match command {
            Ok(command) => {
                check_bounds(&command);
                let again = plain_line(&command).map(|line| plain_dialect::parse(&line));
                assert!(again.is_some_and(|again| again.is_ok_and(|again| again.command == Ok(command))));
            }
            Err(refusal) => check_refusal(None, &refusal),
        }
    });
}

/// Lines of the json dialect.
pub fn json(bytes: &[u8]) {
    for_each_line(bytes, |line| {
        let incoming = dialect::parse(line);
        let id = incoming.id;
        if let Some(RequestId::Text(text)) = &id {
            assert!(text.len() <= RequestId::TEXT_BYTES);
        }
        match (incoming.request.and_then(|request| request.command), id) {
            (Ok(command), Some(id)) => {
                check_bounds(&command);
                let written = encode_command(&id, &command);
                assert!(is_one_line(written.as_bytes()));
                let again = dialect::parse(&written);
                assert_eq!(again.id, Some(id));
                assert!(again.request.is_ok_and(|request| request.command == Ok(command)));
            }
            (Ok(command), None) => unreachable!("{command:?} cannot be answered: it has no id"),
            (Err(refusal), id) => check_refusal(id, &refusal),
        }
    });
}

/// Checks that nothing in a command is too long, and that its message reaches the others unchanged.
fn check_bounds(command: &Command) {
    match command {
        Command::Post(post) => check_post(post),
        Command::History { limit, .. } => assert!((1..=HISTORY_PAGE).contains(limit)),
        Command::Register { .. }
        | Command::Renew { .. }
        | Command::Login { .. }
        | Command::Users
        | Command::Exit
        | Command::Help
        | Command::Dialect(_)
        | Command::Account { .. }
        | Command::Conversations
        | Command::Revocations { .. }
        | Command::Pong => {}
    }
}

fn check_post(post: &Post) {
    match (&post.to, &post.body) {
        (Conversation::Channel(_), Body::Text(text)) => {
            assert!((1..=TEXT_BYTES).contains(&text.as_str().len()));
        }
        (Conversation::Direct(_), Body::Sealed(sealed)) => {
            assert!(sealed.as_json().len() <= SEALED_BYTES);
            assert_eq!(post.id, Some(sealed.id));
        }
        (to, body) => unreachable!("{body:?} does not belong to {to}"),
    }
    let told = Message {
        to: post.to.clone(),
        from: "a-name-that-is-as-long-as-it-can".parse().unwrap_or_else(|_| unreachable!()),
        seq: 1 << 53,
        id: post.id.unwrap_or(MessageId::from_bytes([7; 16])),
        time: Timestamp::from_millis(1 << 53),
        body: post.body.clone(),
    };
    let room = told.body.line_bytes() + AROUND_BODY;
    assert!(room <= LINE_BYTES, "{room} bytes do not fit a line");
    for in_json in [true, false] {
        let mut line = Vec::new();
        if in_json {
            dialect::write_event(&mut line, &Event::Message(told.clone()));
        } else {
            plain_dialect::write_message(&mut line, &told);
        }
        assert!(is_one_line(&line) && line.len() <= room, "{} bytes, room for {room}", line.len());
        if in_json {
            let heard = str::from_utf8(&line).map(parse_server_line);
            assert_eq!(heard, Ok(Ok(ServerLine::Event(Event::Message(told.clone())))));
        }
    }
}

/// A refusal is one line in both dialects, and programs read the same refusal from it.
fn check_refusal(id: Option<RequestId>, refusal: &Refusal) {
    let mut line = Vec::new();
    plain_dialect::write_refusal(&mut line, refusal);
    assert!(is_one_line(&line) && line.len() <= 512, "{} bytes", line.len());
    let mut line = Vec::new();
    dialect::write_refusal(&mut line, id.as_ref(), refusal);
    assert!(line.len() <= 1_024, "{} bytes", line.len());
    assert_eq!(
        str::from_utf8(&line).map(parse_server_line),
        Ok(Ok(ServerLine::Reply { id, reply: Err(refusal.clone()) }))
    );
}

/// A command as its line of the plain dialect; `None` when plain cannot express it.
fn plain_line(command: &Command) -> Option<String> {
    Some(match command {
        Command::Register { name, request } => format!("/register {name} {request}"),
        Command::Login { name, signature } => {
            // Both alphabets are accepted.
            let (one, other) = (STANDARD.encode(signature), URL_SAFE_NO_PAD.encode(signature));
            let [one, other] =
                [one, other].map(|text| plain_dialect::parse(&format!("/login {name} {text}")));
            assert!(one.and_then(|one| one.command) == other.and_then(|other| other.command));
            format!("/login {name} {}", STANDARD.encode(signature))
        }
        Command::Users => "/users".to_owned(),
        Command::Exit => "/exit".to_owned(),
        Command::Help => "/help".to_owned(),
        Command::Dialect(Dialect::Json) => "/dialect json".to_owned(),
        Command::Dialect(Dialect::Plain) => "/dialect plain".to_owned(),
        Command::Post(Post { to, body, .. }) => match body {
            Body::Text(text) if *to != Conversation::lobby() => format!("{to} {}", text.as_str()),
            Body::Text(text) if text.as_str().starts_with('/') => format!("/{}", text.as_str()),
            Body::Text(text) if text.as_str().starts_with(['@', '#']) => format!("#lobby {}", text.as_str()),
            Body::Text(text) => text.as_str().to_owned(),
            Body::Sealed(sealed) => format!("{to} {}", sealed.as_json()),
            Body::Unknown => unreachable!("nobody posts it"),
        },
        Command::History {
            range: HistoryRange::Newest | HistoryRange::Before(_) | HistoryRange::After(_),
            ..
        }
        | Command::Renew { .. }
        | Command::Account { .. }
        | Command::Conversations
        | Command::Revocations { .. }
        | Command::Pong => return None,
    })
}

/// Cleaned text is one line that cannot control a terminal and is not much longer; cleaning it again changes
/// nothing.
pub(super) fn check_cleaned(text: &str) {
    let shown = clean(text);
    assert!(is_one_line(shown.as_bytes()));
    assert!(!shown.contains(['\u{2028}', '\u{2029}', '\u{202e}', '\u{200f}', '\u{feff}']));
    assert!(shown.len() <= text.len() * 5);
    assert_eq!(clean(&shown), shown);
}
