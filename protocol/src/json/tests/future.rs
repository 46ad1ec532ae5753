//! Lines that only a newer version writes.

use super::*;

#[test]
fn unknown_members_words_and_kinds_of_a_newer_peer_are_tolerated() {
    let incoming = parse(r#"{"id":1,"cmd":"users","colour":"red"}"#);
    assert_eq!(incoming.request.unwrap().verb, Verb::Users);
    for (rest, words) in [("", "tired"), (r#","message":"it is \u001b[2Jlate""#, "it is \u{fffd}[2Jlate")] {
        let goodbye = parse_server_line(&format!(r#"{{"event":"goodbye","reason":"tired"{rest}}}"#)).unwrap();
        assert_eq!(goodbye, ServerLine::UnknownFarewell(words.into()));
    }
    let reply = parse_server_line(r#"{"id":1,"ok":"danced"}"#).unwrap();
    assert!(matches!(reply, ServerLine::Reply { reply: Err(Refusal::Unknown { .. }), .. }));
    let newer = parse_server_line(r#"{"event":"dance","with":"sam"}"#).unwrap();
    assert_eq!(newer, ServerLine::UnknownEvent("dance".into()));
}

/// Reads a newer server's lines as an older client. The word above each says what it becomes.
#[test]
fn lines_from_the_future_are_kept_as_unknown() {
    let cases = future_cases(include_str!("../../../../tests/vectors/future/server.jsonl"), 1);
    for (expected, lines) in &cases {
        let unknown = |message: &Message| message.body == Body::Unknown;
        let found = match &parse_server_line(lines[0]).unwrap() {
            ServerLine::UnknownEvent(_) => "event",
            ServerLine::UnknownFarewell(_) => "goodbye",
            ServerLine::Reply { reply: Err(Refusal::Unknown { .. }), .. } => "refusal",
            ServerLine::Event(Event::Message(message)) if unknown(message) => "content",
            ServerLine::Reply { reply: Ok(Reply::History { messages, .. }), .. }
                if messages.iter().any(unknown) =>
            {
                "content"
            }
            ServerLine::Reply { .. } | ServerLine::Event(_) => "known",
        };
        assert_eq!(found, *expected, "{}", lines[0]);
    }
    assert!(cases.len() >= 22, "only {}", cases.len());
}

/// Reads a newer client's commands as an older server. Each is followed by the server's reply, which the end-to-end
/// tests expect of the real one.
#[test]
fn commands_from_the_future_are_read_as_far_as_they_are_known() {
    let cases = future_cases(include_str!("../../../../tests/vectors/future/client.jsonl"), 2);
    for (expected, lines) in &cases {
        let incoming = parse(lines[0]);
        let found = match incoming.request.map(|request| request.command) {
            Err(Refusal::UnknownCommand(_)) => "unknown",
            Err(_) if incoming.id.is_none() => "unreadable",
            Ok(Ok(_)) => "known",
            Ok(Err(Refusal::Format)) => "format",
            Ok(Err(Refusal::MustBeSealed)) => "must_be_sealed",
            other => panic!("{}: {:?}", lines[0], other.map(Result::err)),
        };
        assert_eq!(found, *expected, "{}", lines[0]);
        // The reply follows from the command alone, unless it is known.
        if let (Ok(ServerLine::Reply { reply: Err(refusal), .. }), false) =
            (parse_server_line(lines[1]), found == "known")
        {
            let incoming = parse(lines[0]);
            let refused = incoming.request.and_then(|request| request.command).err();
            assert_eq!(refused, Some(refusal), "{}", lines[0]);
        }
    }
    assert!(cases.len() >= 20, "only {}", cases.len());
}

#[test]
fn conversations_of_unknown_kinds_are_skipped() {
    let line = r##"{"id":1,"ok":"conversations","conversations":[{"name":"&plans","last":3},{"name":"#lobby","last":7}]}"##;
    let lobby = ConversationHead { name: "#lobby".parse().unwrap(), last: 7, newest: None };
    let reply = Ok(Reply::Conversations(vec![lobby]));
    assert_eq!(parse_server_line(line).unwrap(), ServerLine::Reply { id: Some(RequestId::Number(1)), reply });
}

#[test]
fn an_unknown_refusal_keeps_its_code_and_is_shown_by_its_words() {
    for (words, shown) in [
        ("you are banned from #dev", "you are banned from #dev"),
        ("", "refused for a reason that this version does not know: banned"),
    ] {
        let line = format!(r#"{{"id":1,"error":{{"code":"banned","message":"{words}","seconds":"soon"}}}}"#);
        let Ok(ServerLine::Reply { reply: Err(refusal), .. }) = parse_server_line(&line) else { panic!() };
        assert_eq!((refusal.code(), refusal.to_string().as_str()), ("banned", shown));
    }
}
