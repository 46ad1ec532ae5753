//! 22: drive a terminal or imitate a name.
//!
//! Bites: a bare connection in json receives the same texts unchanged. Before a server's words were cleaned where
//! they are read, the plain face passed an error's OSC sequence on to the terminal. A text of line breaks alone took a
//! quarter of a second each time that it was broken into rows, several times for each key.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use parlour_tests::{
    Author, Client, Logins, Operator, Terminal, World, edited, escaped, in_time, run_to_end,
};
use serde_json::{Value, json};

use super::fast;

/// Texts that control a terminal or hide themselves, each followed by a word by which it is found.
const HOSTILE: [&str; 22] = [
    "\u{1b}]0;title\u{7}",
    "\u{1b}[99;99r",
    "\u{1b}[6n",
    "\u{1b}P1$r0m\u{1b}\\",
    "\u{9b}31m",
    "\u{9d}0;x\u{9c}",
    "\u{7}",
    "\u{8}\u{8}",
    "\r",
    "\u{0}",
    "\u{7f}",
    "\u{202e}evil",
    "\u{202a}\u{2066}\u{2069}",
    "\u{200b}",
    "\u{200e}\u{200f}\u{61c}",
    "\u{feff}",
    "\u{ad}",
    "\u{2060}",
    "\u{e0041}\u{e007f}",
    "\u{3164}",
    "\u{fff9}",
    "a\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
];

/// The first character, or run of characters, that must not reach a terminal.
fn unclean(text: &str) -> Option<String> {
    let mut marks = 0;
    for (at, c) in text.char_indices() {
        marks = if c == '\u{301}' { marks + 1 } else { 0 };
        let drives = c.is_control() && !matches!(c, '\n' | '\t');
        let hides = matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
        if drives || hides || marks > 4 {
            return Some(format!("{c:?} in {:?}", text.get(at.saturating_sub(20)..).unwrap_or(text)));
        }
    }
    None
}

/// The text that our terminal face sends, without the sequences that it draws with.
fn without_drawing(bytes: &str) -> String {
    let mut rest = bytes;
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        text.push_str(before);
        let end = after.find(|c: char| ('\u{40}'..='\u{7e}').contains(&c)).map_or(after.len(), |end| end + 1);
        let drawn = after.get(..end).unwrap_or_default();
        // Sequences that only Mallory would send are not drawing.
        if drawn.ends_with(['r', 'n']) {
            text.push('\u{1b}');
        }
        rest = after.get(end..).unwrap_or_default();
    }
    text.push_str(rest);
    text.replace('\r', "")
}

#[test]
fn no_text_of_another_user_drives_a_terminal() -> Result<()> {
    let world = fast()?;
    let mut plain = world.logged_in("erik")?;
    let mut terminal = Terminal::start(&world, "anna", &world.address()?.to_string())?;
    terminal.wait_for("lobby", b"")?;
    let mut line = world.json_line("sam")?;
    let [mut sam, mut again] = [Author::of(&world, "sam")?, Author::of(&world, "sam")?];
    let (erik, anna) = (Author::of(&world, "erik")?, Author::of(&world, "anna")?);
    let mut passed_on = 0;
    for (number, hostile) in HOSTILE.into_iter().enumerate() {
        let text = format!("before{hostile}after{number}");
        let id = format!("0197741c-9a80-7000-8000-1{number:011}");
        let post = json!({"id": 1, "cmd": "post", "to": "#lobby", "message_id": id, "text": text});
        line.say(&escaped(&post))?;
        let reply = line.lines.answer(&json!(1))?;
        if hostile.contains(char::is_control) {
            ensure!(reply["error"]["code"] == "control_character", "{reply}");
        } else {
            ensure!(reply["message"]["text"] == *text, "{reply}");
            passed_on += 1;
        }
        // The server cannot look into these.
        for letter in [sam.write(&erik, &text)?, again.write(&anna, &text)?] {
            let reply = line.call(&letter.post(2))?;
            ensure!(reply["ok"] == "posted", "{reply}");
        }
    }
    ensure!(passed_on > 8, "hardly anything was passed on");
    let end = json!({"id": 3, "cmd": "post", "to": "#lobby", "text": "QQQQ",
        "message_id": "0197741c-9a80-7000-8000-300000000000"});
    ensure!(line.call(&end)?["ok"] == "posted");

    let mut heard = Vec::new();
    while !heard.last().is_some_and(|line: &String| line.ends_with("QQQQ")) {
        heard.push(plain.process.out.next_line()?);
    }
    ensure!(heard.iter().filter(|line| line.contains("@erik")).count() == HOSTILE.len(), "{heard:#?}");
    let heard = heard.join("\n") + &plain.process.errors();
    ensure!(unclean(&heard).is_none(), "plain: {}", unclean(&heard).unwrap_or_default());
    terminal.wait_for("QQQQ", b"")?;
    let last = again.write(&anna, "WWWW")?;
    ensure!(line.call(&last.post(4))?["ok"] == "posted");
    // Alt-2 opens the private ones.
    terminal.wait_for("WWWW", b"\x1b2")?;
    let drawn = without_drawing(terminal.bytes());
    ensure!(unclean(&drawn).is_none(), "terminal: {}", unclean(&drawn).unwrap_or_default());
    Ok(())
}

/// The codes of errors whose text comes from the server, and of one from a later version.
const CODES: [&str; 3] = ["unknown_command", "internal", "of-tomorrow"];

/// Replaces each error by the next in turn, with this text wherever the server chooses the words.
fn rewording(text: String) -> impl FnMut(&mut Value) + Send + 'static {
    let mut codes = CODES.into_iter().cycle();
    move |line| {
        if let Some(error) = line.get_mut("error") {
            *error = json!({"code": codes.next(), "message": text, "word": text, "incident": text});
        }
    }
}

#[test]
fn no_text_of_the_servers_own_drives_a_terminal() -> Result<()> {
    let world = World::peopled()?;
    let all = format!("that-is-all{}", HOSTILE.concat());
    let mut operators = Vec::new();
    for person in ["sam", "erik", "anna"] {
        operators.push(Operator::before(&world, person, Logins::Anew, edited(rewording(all.clone())))?);
    }
    let start = |person: &str, operator: &Operator, face: &str| {
        let mut command = world.client_command_to(person, &operator.address())?;
        Client::start(person, command.args([face, "--user", person]))
    };
    let mut plain = start("sam", &operators[0], "--plain")?;
    let mut json = start("erik", &operators[1], "--json")?;
    let mut terminal = Terminal::start(&world, "anna", &operators[2].address())?;
    plain.expect("Authentication Succeeded")?;
    json.process.out.event("backlog")?;
    terminal.wait_for("lobby", b"")?;
    let (mut said, mut told) = (String::new(), String::new());
    for _ in CODES {
        plain.type_line("@nobody hello")?;
        said.push_str(&plain.process.out.wait_for("{}that-is-all{}")?);
        json.type_line(&json!({"id": 1, "do": "say", "to": "@nobody", "text": "hello"}).to_string())?;
        told.push_str(&json.process.out.wait_for("{}that-is-all{}")?);
    }
    terminal.wait_for("that-is-all", b"@nobody hello\r")?;
    let drawn = without_drawing(terminal.bytes());
    for (face, shown) in [("plain", &said), ("json", &told), ("terminal", &drawn)] {
        ensure!(unclean(shown).is_none(), "{face}: {}", unclean(shown).unwrap_or_default());
    }
    Ok(())
}

#[test]
fn the_words_with_which_a_server_turns_somebody_away_do_not_drive_a_terminal() -> Result<()> {
    let world = World::peopled()?;
    let hidden: String = HOSTILE.into_iter().filter(|text| !text.contains(char::is_control)).collect();
    for (reason, expected) in [(format!("that-is-all{hidden}"), "that-is-all"), (HOSTILE.concat(), "control")]
    {
        let goodbye = format!("goodbye: {reason}\n").into_bytes();
        let operator = Operator::before(&world, "sam", Logins::Anew, move |_| goodbye.clone())?;
        let mut command = world.client_command_to("sam", &operator.address())?;
        let sam = run_to_end("sam", command.args(["--plain", "--user", "sam"]), "")?;
        let shown = sam.out.join("\n") + &sam.errors;
        ensure!(
            shown.contains(expected) && unclean(&shown).is_none(),
            "{:?}",
            unclean(&shown).unwrap_or(shown)
        );
    }
    Ok(())
}

#[test]
fn nobody_can_forge_a_line_with_a_line_break() -> Result<()> {
    let world = World::peopled()?;
    let mut erik = world.logged_in("erik")?;
    let mut line = world.logged_in_line("anna")?;
    let mut sam = world.robot("sam", &["--user", "sam"])?;
    sam.process.out.event("backlog")?;
    let text = "hi\n2026-11-21 10:48:51 anna: I resign\u{2028}yes";
    for (id, to) in [(1, "#lobby"), (2, "@erik")] {
        let answer = sam.call(&json!({"id": id, "do": "say", "to": to, "text": text}))?;
        ensure!(answer["message"]["text"] == text, "{answer}");
    }
    let shown = "hi ⏎ 2026-11-21 10:48:51 anna: I resign ⏎ yes";
    erik.expect(&format!("{{}} sam: {shown}"))?;
    erik.expect(&format!("{{}} sam: @erik {shown}"))?;
    line.expect(&format!("{{}} sam: {shown}"))?;
    let history = world.one_shot("erik", &["history", "@sam"], "")?;
    ensure!(history.out.len() == 1 && history.out[0].ends_with(shown), "{history:#?}");
    Ok(())
}

#[test]
fn an_invalid_name_is_refused_by_the_client_and_by_the_server() -> Result<()> {
    let world = World::with().people().start()?;
    let mut client = world.client("stranger")?;
    let mut line = world.line()?;
    let long = "a".repeat(33);
    for name in [
        "Sam",
        "SAM",
        "-sam",
        "_sam",
        "s.m",
        "sam!",
        "s/m",
        "../sam",
        ".pending",
        "ѕаm",
        "saм",
        "sam\u{301}",
        &long,
    ] {
        client.ask(&format!("/register {name}"), "error: invalid command format")?;
        client.ask(&format!("/login {name}"), "error: invalid command format")?;
        line.ask(&format!("/register {name} a.b.c"), "error: invalid command format")?;
        line.ask(&format!("/login {name} AAAA"), "error: invalid command format")?;
    }
    let made: Vec<_> = std::fs::read_dir(world.keys("stranger"))?.collect();
    ensure!(made.is_empty(), "something was made: {made:?}");
    // A request is valid only for the name that it was signed for.
    let payload = base64_url(r#"{"v":1,"name":"anna"}"#);
    line.ask(&format!("/register erik x.{payload}.y"), "error: invalid command format")?;
    line.ask(&format!("/register anna x.{payload}.y"), "error: certificate request refused")?;
    Ok(())
}

fn base64_url(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

#[test]
fn a_text_of_line_breaks_alone_keeps_nobody_from_typing() -> Result<()> {
    let world = fast()?;
    let mut terminal = Terminal::start(&world, "anna", &world.address()?.to_string())?;
    terminal.wait_for("lobby", b"")?;
    let mut erik = world.json_line("erik")?;
    for (number, text) in ["\n".repeat(8_187) + "end", "\n".repeat(8_192)].iter().enumerate() {
        let id = format!("0197741c-9a80-7000-8000-{number:012}");
        let post = json!({"id": number, "cmd": "post", "to": "#lobby", "message_id": id, "text": text});
        ensure!(erik.call(&post)?["ok"] == "posted");
    }
    let begun = Instant::now();
    for key in "abcdefgh".chars() {
        terminal.press(key.to_string().as_bytes())?;
        std::thread::sleep(Duration::from_millis(20));
    }
    terminal.press(b"\x15/open @erik\r")?;
    terminal.wait_for("end-to-end", b"")?;
    in_time("typing a line", begun.elapsed(), Duration::from_secs(4))
}
