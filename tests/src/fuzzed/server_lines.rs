//! Lines from a server, as a client reads them.

use parlour_protocol::json::{ServerLine, parse_server_line, write_event, write_refusal, write_reply};
use parlour_protocol::limits::TEXT_BYTES;
use parlour_protocol::{Body, Event, Message, Reply, clean, plain};

use super::{for_each_line, is_one_line};

/// Lines of the json dialect from a server. A line that is understood, written again and read again, is the same;
/// a message is one line in plain too; the server's own texts are cleaned.
pub fn server_line(bytes: &[u8]) {
    for_each_line(bytes, |line| match parse_server_line(line) {
        Ok(ServerLine::UnknownEvent(_)) => {}
        Ok(heard) => check(&heard),
        Err(error) => check_words(&error.to_string()),
    });
}

fn check(heard: &ServerLine) {
    let mut written = Vec::new();
    match heard {
        ServerLine::Reply { id, reply: Ok(reply) } => {
            messages(reply).iter().for_each(check_message);
            plain::write_reply(&mut Vec::new(), reply);
            write_reply(&mut written, id.as_ref(), reply);
        }
        ServerLine::Reply { id, reply: Err(refusal) } => {
            check_words(&refusal.to_string());
            write_refusal(&mut written, id.as_ref(), refusal);
        }
        ServerLine::Event(event) => {
            if let Event::Message(message) = event {
                check_message(message);
            }
            write_event(&mut written, event);
        }
        ServerLine::UnknownFarewell(words) => return check_words(words),
        ServerLine::UnknownEvent(_) => return,
    }
    assert!(is_one_line(&written));
    assert_eq!(str::from_utf8(&written).map(parse_server_line).as_ref(), Ok(&Ok(heard.clone())));
}

fn messages(reply: &Reply) -> &[Message] {
    match reply {
        Reply::Posted(message) => std::slice::from_ref(message),
        Reply::History { messages, .. } => messages,
        Reply::Registered { .. }
        | Reply::Renewed { .. }
        | Reply::LoggedIn { .. }
        | Reply::Users(_)
        | Reply::Goodbye
        | Reply::Help(_)
        | Reply::Dialect(_)
        | Reply::Account(_)
        | Reply::Conversations(_)
        | Reply::Revocations { .. }
        | Reply::Pong => &[],
    }
}

fn check_message(message: &Message) {
    assert!((1..=1 << 53).contains(&message.seq));
    if let Body::Text(text) = &message.body {
        assert!((1..=TEXT_BYTES).contains(&text.as_str().len()));
    }
    let mut line = Vec::new();
    plain::write_message(&mut line, message);
    assert!(is_one_line(&line));
}

/// Checks text that is shown unchanged.
fn check_words(words: &str) {
    assert_eq!(clean(words), words);
}
