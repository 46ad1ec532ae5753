//! 32: pass one kind of line, or one user, for another. Here: texts that look like another kind of line.
//!
//! Bites: in a pipe, where nobody breaks lines, a terminal of the same width would put the forged line at its margin; and
//! before the conversation was put in front of such texts, the first test read a public text as a private one.

use anyhow::{Result, ensure};
use parlour_protocol::clean;
use parlour_tests::{Author, Terminal, World};
use serde_json::json;

use super::fast;

/// Texts that begin as other kinds of lines do: private ones, another channel's, notices, remarks, escaped ones. In some,
/// what stands before that is dropped when it is shown, or cannot be seen.
const MISLEADING: [&str; 14] = [
    "@erik transfer 300",
    "#dev hi",
    "&plans hi",
    "* sam removed erik from #lobby",
    "[bad signature: it is by anna] hi",
    "\\@erik hi",
    " @erik transfer 300",
    "\u{a0}\u{3000}@erik transfer 300",
    "\u{301}@erik transfer 300",
    "\u{200d}@erik transfer 300",
    "\t@erik transfer 300",
    "\n@erik transfer 300",
    "\u{ff20}erik transfer 300",
    "#lobby hi",
];

/// Texts that look like whole lines of other kinds; they stand behind a name all the same.
const LINES: [&str; 6] = [
    "hi\n2026-11-21 10:48:51 anna: @erik transfer 300",
    "error: user not found",
    "hint: type your passphrase",
    "Authentication Succeeded",
    "goodbye: server is stopping",
    "#lobby>",
];

#[test]
fn no_public_text_passes_for_another_kind_of_line() -> Result<()> {
    let world = fast()?;
    let mut plain = world.logged_in("erik")?;
    let mut dialect = world.logged_in_line("anna")?;
    let mut sam = world.robot("sam", &["--user", "sam"])?;
    sam.process.out.event("backlog")?;
    let mut expected = Vec::new();
    for (number, text) in MISLEADING.into_iter().chain(LINES).enumerate() {
        let answer = sam.call(&json!({"id": number, "do": "say", "to": "#lobby", "text": text}))?;
        ensure!(answer["message"]["text"] == text, "{answer}");
        let conversation = if MISLEADING.contains(&text) || text == "#lobby>" { "#lobby " } else { "" };
        let line = format!(" sam: {conversation}{}", clean(text));
        for shown in [plain.process.out.next_line()?, dialect.lines.next_line()?] {
            ensure!(shown.get(19..) == Some(&line), "{shown:?} is not {line:?}");
        }
        expected.push(line);
    }
    let history = world.one_shot("erik", &["history", "#lobby"], "")?;
    let shown: Vec<&str> = history.out.iter().filter_map(|line| line.get(19..)).collect();
    assert_eq!(shown, expected);
    // A private one looks as it always did, and what is typed that way is public.
    sam.call(&json!({"id": "p", "do": "say", "to": "@erik", "text": "transfer 300"}))?;
    plain.expect("{} sam: @erik transfer 300")?;
    plain.ask("#lobby @erik transfer 300", "{} erik: #lobby @erik transfer 300")?;
    dialect.expect("{} erik: #lobby @erik transfer 300")?;
    dialect.ask("#lobby @erik transfer 300", "{} anna: #lobby @erik transfer 300")?;
    dialect.ask("#dev hi", "error: conversation not found")?;
    Ok(())
}

#[test]
fn no_text_passes_for_a_remark_and_no_remark_is_taken_for_text() -> Result<()> {
    let world = fast()?;
    let mut erik = world.logged_in("erik")?;
    let mut line = world.json_line("sam")?;
    let (mut sam, to) = (Author::of(&world, "sam")?, Author::of(&world, "erik")?);
    for text in ["[bad signature: it is by anna]", "hi [2 messages before this one are missing]"] {
        let letter = sam.write(&to, text)?;
        ensure!(line.call(&letter.post(1))?["ok"] == "posted");
        erik.expect(&format!("{{}} sam: @erik {text}"))?;
    }
    // Hers that is bad says so where no text can stand.
    let letter = sam.forge(&to, "@erik hi", |draft| draft.from = "anna")?;
    ensure!(line.call(&letter.post(1))?["ok"] == "posted");
    erik.expect("{} sam [altered: it was signed for another place]: @erik")?;
    Ok(())
}

/// The line that Mallory wants to see at the margin of a terminal.
const FORGED: &str = "2026-11-21 10:48:51 anna: I resign";

/// The columns of that terminal.
const COLUMNS: usize = 40;

/// The cells of a character at most, on a terminal that joins nothing.
fn cells(c: char) -> usize {
    match c {
        '\u{200d}' | '\u{fe0f}' => 0,
        c if c >= '\u{1100}' && !matches!(c, '\u{2000}'..='\u{2fff}') => 2,
        _ => 1,
    }
}

#[test]
fn no_padding_brings_a_text_to_the_margin_of_a_terminal() -> Result<()> {
    let world = fast()?;
    let address = world.address()?.to_string();
    // Such a terminal gets the plain face.
    let mut terminal = Terminal::like(&world, "erik", &address, (40, 40), &[("TERM", "dumb")])?;
    terminal.wait_for("Authentication Succeeded", b"")?;
    let mut pipe = world.logged_in("anna")?;
    let mut sam = world.robot("sam", &["--user", "sam"])?;
    sam.process.out.event("backlog")?;
    // The line without it begins with the time, a blank, and `sam: `.
    let before = 19 + 1 + 5;
    let (mut at_the_margin, mut number) = (0, 0);
    for (padding, width) in
        [(" ", 1), ("\u{a0}", 1), ("\u{3000}", 2), ("\u{1f469}\u{200d}\u{1f467}\u{200d}", 4)]
    {
        for count in 0..=COLUMNS / width {
            let text = format!(
                "{}{FORGED}",
                padding.repeat(count) + if (before + count * width) % 2 == 1 { "." } else { "" }
            );
            number += 1;
            let answer = sam.call(&json!({"id": number, "do": "say", "to": "#lobby", "text": text}))?;
            ensure!(answer["ok"] == "said", "{answer}");
            let shown = pipe.process.out.next_line()?;
            let ahead = shown.split(FORGED).next().unwrap_or_default().chars().map(cells).sum::<usize>();
            at_the_margin += usize::from(ahead % COLUMNS == 0);
        }
    }
    ensure!(at_the_margin > 3, "no text would have come to the margin by itself");
    sam.call(&json!({"id": "end", "do": "say", "to": "#lobby", "text": "QQQQ"}))?;
    terminal.wait_for("QQQQ", b"")?;
    let shown = terminal.bytes().to_owned();
    let rows: Vec<&str> =
        shown.lines().skip_while(|row| !row.contains("Authentication Succeeded")).skip(1).collect();
    ensure!(rows.len() > 2 * number, "{rows:#?}");
    for row in rows {
        let row = row.trim_end();
        let width: usize = row.chars().map(cells).sum();
        ensure!(width < COLUMNS, "{width} cells: {row:?}");
        let own = row.get(19..).is_some_and(|rest| rest.starts_with(" sam:"));
        ensure!(own || row.starts_with("  │"), "{row:?}");
    }
    Ok(())
}

#[test]
fn a_line_typed_by_hand_goes_where_it_says() -> Result<()> {
    let world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let mut erik = world.logged_in("erik")?;
    sam.ask("# a heading", "{} sam: #lobby # a heading")?;
    erik.expect("{} sam: #lobby # a heading")?;
    for (line, error) in [
        ("#dev hello", "error: conversation not found"),
        ("#Lobby hello", "error: invalid command format"),
        ("#lobby", "error: invalid command format"),
        ("@SAM hello", "error: invalid command format"),
    ] {
        sam.ask(line, error)?;
    }
    // Nothing of all that was said to everybody.
    sam.ask("#lobby that is all", "{} sam: that is all")?;
    erik.expect("{} sam: that is all")?;
    Ok(())
}
