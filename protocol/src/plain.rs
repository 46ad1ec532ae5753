//! The plain dialect: for people, scripts and `openssl s_client`. Its texts never change.

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::command::{Command, Dialect, Post, Request, Verb};
use crate::conversation::{ChannelName, Conversation};
use crate::display::{clean, needs_conversation};
use crate::event::Event;
use crate::limits::SEALED_BYTES;
use crate::message::{Body, Message, UNKNOWN_CONTENT};
use crate::name::UserName;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::sealed::SealedMessage;
use crate::text::SafeText;

/// The commands that begin with a slash, with their arguments.
pub const COMMANDS: &[(&str, Verb, &str)] = &[
    ("/register", Verb::Register, "NAME REQUEST"),
    ("/login", Verb::Login, "NAME SIGNATURE"),
    ("/users", Verb::Users, ""),
    ("/exit", Verb::Exit, ""),
    ("/help", Verb::Help, ""),
    ("/dialect", Verb::Dialect, "json"),
];

/// Parses a line. `Err` is an unknown command.
pub fn parse(line: &str) -> Result<Request, Refusal> {
    if let Some(text) = line.strip_prefix('/').filter(|rest| rest.starts_with('/')) {
        return Ok(Request { verb: Verb::Post, command: public(ChannelName::lobby(), text) });
    }
    if line.starts_with('/') {
        return slash(line);
    }
    if let Some(rest) = line.strip_prefix('@') {
        return Ok(Request { verb: Verb::Post, command: private(rest) });
    }
    let command = match channel(line) {
        None => public(ChannelName::lobby(), line),
        Some((name, text)) => name.parse().map_err(|_| Refusal::Format).and_then(|name| public(name, text)),
    };
    Ok(Request { verb: Verb::Post, command })
}

/// The name, perhaps a bad one, and the text of a line that is for a channel: `#NAME TEXT`. A heading, `# TEXT` or
/// `## TEXT`, has no name and is a text like any other.
pub fn channel(line: &str) -> Option<(&str, &str)> {
    let (name, text) = line.strip_prefix('#')?.split_once(' ').unwrap_or((line.get(1..)?, ""));
    (!name.trim_start_matches('#').is_empty()).then_some((name, text))
}

fn slash(line: &str) -> Result<Request, Refusal> {
    let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let Some((_, verb, _)) = COMMANDS.iter().find(|(name, ..)| *name == word) else {
        return Err(Refusal::unknown(word));
    };
    let arguments: Vec<&str> = rest.split_ascii_whitespace().collect();
    let command = match (verb, arguments.as_slice()) {
        (Verb::Register, [name, request]) => name
            .parse()
            .map(|name| Command::Register { name, request: (*request).to_owned() })
            .map_err(|_| Refusal::Format),
        (Verb::Login, [name, signature]) => login(name, signature),
        (Verb::Users, []) => Ok(Command::Users),
        (Verb::Exit, []) => Ok(Command::Exit),
        (Verb::Help, []) => Ok(Command::Help),
        (Verb::Dialect, ["json"]) => Ok(Command::Dialect(Dialect::Json)),
        (Verb::Dialect, ["plain"]) => Ok(Command::Dialect(Dialect::Plain)),
        _ => Err(Refusal::Format),
    };
    Ok(Request { verb: *verb, command })
}

/// The signature may use either alphabet of base64: `openssl base64` writes one and JOSE the other.
fn login(name: &str, signature: &str) -> Result<Command, Refusal> {
    let name = name.parse().map_err(|_| Refusal::Format)?;
    let signature = STANDARD
        .decode(signature)
        .or_else(|_| URL_SAFE_NO_PAD.decode(signature))
        .map_err(|_| Refusal::Format)?;
    Ok(Command::Login { name, signature })
}

fn public(to: ChannelName, text: &str) -> Result<Command, Refusal> {
    let body = Body::Text(SafeText::parse(text)?);
    Ok(Command::Post(Post { to: Conversation::Channel(to), id: None, body }))
}

fn private(rest: &str) -> Result<Command, Refusal> {
    let (name, sealed) = rest.split_once(' ').unwrap_or((rest, ""));
    let name: UserName = name.parse().map_err(|_| Refusal::Format)?;
    let sealed = sealed.trim();
    if sealed.is_empty() {
        return Err(Refusal::Format);
    }
    if sealed.len() > SEALED_BYTES {
        return Err(Refusal::MessageTooLong);
    }
    let sealed = SealedMessage::from_json(sealed).map_err(|_| Refusal::MustBeSealed)?;
    let id = Some(sealed.id);
    Ok(Command::Post(Post { to: Conversation::Direct(name), id, body: Body::Sealed(sealed) }))
}

/// Appends a reply as one line, without line feed; returns false if plain has no line for it.
pub fn write_reply(out: &mut Vec<u8>, reply: &Reply) -> bool {
    let text = match reply {
        Reply::Posted(message) => {
            write_message(out, message);
            return true;
        }
        Reply::Registered { device_certificate, account_certificate } => format!(
            "Registration Succeeded {} {}",
            URL_SAFE_NO_PAD.encode(device_certificate),
            URL_SAFE_NO_PAD.encode(account_certificate)
        ),
        Reply::LoggedIn { .. } => "Authentication Succeeded".to_owned(),
        Reply::Users(names) => names.iter().map(UserName::as_str).collect::<Vec<_>>().join(" "),
        Reply::Help(lines) => lines.join(", "),
        Reply::Dialect(Dialect::Json) => r#"{"dialect":"json"}"#.to_owned(),
        Reply::Dialect(Dialect::Plain) => r#"{"dialect":"plain"}"#.to_owned(),
        // Plain has no commands with these replies.
        Reply::Goodbye
        | Reply::Renewed { .. }
        | Reply::Account(_)
        | Reply::Conversations(_)
        | Reply::History { .. }
        | Reply::Revocations { .. }
        | Reply::Pong => return false,
    };
    out.extend_from_slice(text.as_bytes());
    true
}

/// Appends `error: ...`, without line feed.
pub fn write_refusal(out: &mut Vec<u8>, refusal: &Refusal) {
    write(out, format_args!("error: {refusal}"));
}

/// Appends an event as one line, without line feed; returns false if plain has no line for it.
pub fn write_event(out: &mut Vec<u8>, event: &Event) -> bool {
    match event {
        Event::Message(message) => write_message(out, message),
        Event::Goodbye(farewell) => write(out, format_args!("goodbye: {farewell}")),
        Event::Ping | Event::Revoked { .. } => return false,
    }
    true
}

/// Appends `2019-11-01 09:30:00 sam: this is a message`, with the conversation before a private message and before
/// a text that could pass for another kind of line without it.
pub fn write_message(out: &mut Vec<u8>, message: &Message) {
    let Message { to, from, time, body, .. } = message;
    write(out, format_args!("{time} {from}: "));
    let text = match body {
        Body::Sealed(sealed) => Cow::Borrowed(sealed.as_json()),
        Body::Text(text) => clean(text.as_str()),
        Body::Unknown => Cow::Borrowed(UNKNOWN_CONTENT),
    };
    let misleads = matches!(body, Body::Text(_)) && needs_conversation(&text);
    if matches!(to, Conversation::Direct(_)) || misleads {
        write(out, format_args!("{to} "));
    }
    out.extend_from_slice(text.as_bytes());
}

fn write(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(text);
}

/// The lines of `/help`.
pub fn help() -> Vec<String> {
    let mut lines: Vec<String> = COMMANDS
        .iter()
        .map(|(name, _, arguments)| format!("{name} {arguments}").trim_end().to_owned())
        .collect();
    lines.push("TEXT (//TEXT for one that begins with a slash)".to_owned());
    lines.push("#CHANNEL TEXT".to_owned());
    lines.push("@NAME SEALED".to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sealed::example;
    use crate::timestamp::Timestamp;

    fn command(line: &str) -> Result<Command, Refusal> {
        parse(line).and_then(|request| request.command)
    }

    fn line(write: impl FnOnce(&mut Vec<u8>) -> bool) -> String {
        let mut out = Vec::new();
        assert!(write(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_command_has_its_golden_line() {
        let sam: UserName = "sam".parse().unwrap();
        let request = "a.b.c".to_owned();
        assert!(command("/register sam a.b.c") == Ok(Command::Register { name: sam.clone(), request }));
        let signature = vec![1, 2, 3];
        assert!(command("/login sam AQID") == Ok(Command::Login { name: sam.clone(), signature }));
        assert!(command("/users") == Ok(Command::Users));
        assert!(command("/exit") == Ok(Command::Exit));
        assert!(command("/help") == Ok(Command::Help));
        assert!(command("/dialect json") == Ok(Command::Dialect(Dialect::Json)));
        let post = |to: &str, id, body| Ok(Command::Post(Post { to: to.parse().unwrap(), id, body }));
        let text = |text| Body::Text(SafeText::parse(text).unwrap());
        assert!(command("hello all") == post("#lobby", None, text("hello all")));
        assert!(command("//usr/bin") == post("#lobby", None, text("/usr/bin")));
        assert!(command("#lobby @sam hi") == post("#lobby", None, text("@sam hi")));
        assert!(command("#dev hi ") == post("#dev", None, text("hi ")));
        for heading in ["# hello", "## hello", "#", "# "] {
            assert!(command(heading) == post("#lobby", None, text(heading)));
        }
        let sealed = example();
        let line = format!("@sam {}", sealed.as_json());
        assert!(command(&line) == post("@sam", Some(sealed.id), Body::Sealed(sealed.clone())));
    }

    #[test]
    fn wrong_arguments_are_distinguished_from_unknown_commands() {
        for (line, refusal) in [
            ("/nonsense", Refusal::UnknownCommand("/nonsense".into())),
            ("/", Refusal::UnknownCommand("/".into())),
            ("/users now", Refusal::Format),
            ("/register sam", Refusal::Format),
            ("/register SAM x", Refusal::Format),
            ("/login sam !!", Refusal::Format),
            ("/login sam AQID x", Refusal::Format),
            ("/dialect", Refusal::Format),
            ("/dialect xml", Refusal::Format),
            ("", Refusal::Format),
            ("@", Refusal::Format),
            ("@sam", Refusal::Format),
            ("@Sam hello", Refusal::Format),
            ("#lobby", Refusal::Format),
            ("#lobby ", Refusal::Format),
            ("#Lobby hello", Refusal::Format),
            ("#lobby\thello", Refusal::Format),
            ("@sam hello", Refusal::MustBeSealed),
            ("@sam {}", Refusal::MustBeSealed),
        ] {
            assert_eq!(command(line).err(), Some(refusal), "{line}");
        }
        let long = "x".repeat(8_193);
        assert_eq!(command(&long).err(), Some(Refusal::MessageTooLong));
    }

    #[test]
    fn replies_and_events_have_their_golden_lines() {
        let message = |to: &str, body| Message {
            to: to.parse().unwrap(),
            from: "erik".parse().unwrap(),
            seq: 1,
            id: example().id,
            time: Timestamp::from_millis(1_572_600_600_000),
            body,
        };
        let text = message("#lobby", Body::Text(SafeText::parse("this is\na message").unwrap()));
        assert_eq!(
            line(|out| write_event(out, &Event::Message(text.clone()))),
            "2019-11-01 09:30:00 erik: this is ⏎ a message"
        );
        assert_eq!(
            line(|out| write_reply(out, &Reply::Posted(text))),
            "2019-11-01 09:30:00 erik: this is ⏎ a message"
        );
        let misleading = message("#lobby", Body::Text(SafeText::parse("@sam hi").unwrap()));
        assert_eq!(
            line(|out| write_event(out, &Event::Message(misleading))),
            "2019-11-01 09:30:00 erik: #lobby @sam hi"
        );
        let sealed = message("@sam", Body::Sealed(example()));
        let written = line(|out| write_event(out, &Event::Message(sealed)));
        assert!(written.starts_with("2019-11-01 09:30:00 erik: @sam {\"protected\":"));
        let users = Reply::Users(vec!["erik".parse().unwrap(), "sam".parse().unwrap()]);
        assert_eq!(line(|out| write_reply(out, &users)), "erik sam");
        let registered =
            Reply::Registered { device_certificate: vec![1, 2, 3], account_certificate: vec![4, 5, 6] };
        assert_eq!(line(|out| write_reply(out, &registered)), "Registration Succeeded AQID BAUG");
        let mut refused = Vec::new();
        write_refusal(&mut refused, &Refusal::UserExists);
        assert_eq!(refused, b"error: user already exists");
        assert!(!write_event(&mut refused, &Event::Ping));
        assert!(!help().is_empty());
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic(line in ".{0,200}") {
            let _ = parse(&line);
        }

        #[test]
        fn a_text_comes_back_as_it_was_written(text in "[^/@#\\pC][^\\pC]{0,100}") {
            let Ok(Command::Post(post)) = command(&text) else { panic!("not a post: {text}") };
            let Body::Text(read) = post.body else { panic!("not a text") };
            prop_assert_eq!(read.as_str(), text);
        }
    }
}
