//! Lines on standard input, for the plain face.

use anyhow::{Result, ensure};
use parlour_tests::{World, run_to_end};
use serde_json::{Value, json};

use super::{ends_with, newest};

#[test]
fn a_script_is_carried_out_to_its_end_and_the_status_tells_whether_all_was_done() -> Result<()> {
    let world = World::peopled()?;
    let run = |input: &str| {
        let mut command = world.client_command("sam")?;
        run_to_end("sam", command.arg("--plain"), input)
    };
    // The last line has no line feed, some have a carriage return, and one is blank.
    let all = run("/login sam\r\none\r\n\n@erik two\n/users\nthree")?;
    ensure!(all.code == 0, "{all:#?}");
    let [login, one, two, users, three] = all.out.as_slice() else { anyhow::bail!("{all:#?}") };
    assert_eq!((login.as_str(), users.as_str()), ("Authentication Succeeded", "sam"));
    ends_with(one, " sam: one")?;
    ends_with(two, " sam: @erik two")?;
    ends_with(three, " sam: three")?;
    ensure!(newest(&world)?.as_deref() == Some("three"));

    // A refused line does not prevent the others, and still counts in the exit status.
    let some = run("/login sam\n/nonsense\n@nobody hi\nfour\n/exit\nfive\n")?;
    ensure!(some.code == 1, "{some:#?}");
    let tail: Vec<&str> = some.out.iter().rev().take(3).rev().map(String::as_str).collect();
    assert_eq!(tail[..2], ["error: unknown command /nonsense", "error: user not found"]);
    ends_with(tail[2], " sam: four")?;
    ensure!(newest(&world)?.as_deref() == Some("four"), "what comes after /exit was said");

    // Empty input ends at once.
    let nothing = run("")?;
    ensure!(nothing.code == 0 && nothing.out.is_empty(), "{nothing:#?}");
    Ok(())
}

#[test]
fn a_line_that_is_too_long_costs_nothing_but_itself() -> Result<()> {
    let world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    sam.ask(&"x".repeat(65_537), "error: line too long")?;
    sam.ask(&"x".repeat(1_000_000), "error: line too long")?;
    // A line of the maximal length, which is too long for a message.
    sam.ask(&"x".repeat(65_536), "error: message too long")?;
    sam.ask(&format!("@erik {}", "x".repeat(8_193)), "error: message too long")?;
    sam.type_bytes(b"not \xff UTF-8\n")?;
    sam.expect("error: line is not UTF-8")?;
    let longest = "x".repeat(8_192);
    sam.ask(&longest, &format!("{{}} sam: {longest}"))?;
    sam.ask(&format!("@erik {longest}"), &format!("{{}} sam: @erik {longest}"))?;
    ensure!(sam.leave()? == 1);
    Ok(())
}

#[test]
fn the_hint_says_what_is_wrong_with_a_line() -> Result<()> {
    let world = World::peopled()?;
    let mut sam = world.client("sam")?;
    let lines = |logged_in: bool| -> &[(&str, &str, &str)] {
        if logged_in {
            &[
                ("@ghost9 hi", "user not found", "no user ghost9"),
                ("@SAM hi", "invalid command format", "names are lower case: did you mean @sam?"),
                ("#dev hi", "conversation not found", "no channel #dev, or none that you may see"),
                ("@erik", "invalid command format", "nothing was said: write @erik TEXT"),
                ("/trust ghost9", "user not found", "no user ghost9"),
                ("/query erik", "unknown command /query", "@NAME TEXT says it to NAME alone"),
                ("/me waves", "unknown command /me", "there is no /me"),
            ]
        } else {
            &[
                ("/register Sam", "invalid command format", "names are lower case: did you mean sam?"),
                ("/register s.m", "invalid command format", "a name is 1 to 32 of a-z, 0-9, - and _"),
                ("/regsiter sam", "unknown command /regsiter", "did you mean /register?"),
            ]
        }
    };
    for logged_in in [false, true] {
        if logged_in {
            sam.ask("/login sam", "Authentication Succeeded")?;
        }
        for (line, error, hint) in lines(logged_in) {
            sam.ask(line, &format!("error: {error}"))?;
            sam.process.wait_for_error(&format!("hint: {hint}"))?;
        }
    }
    sam.type_line(&"x".repeat(9_000))?;
    sam.expect("error: message too long")?;
    sam.process.wait_for_error("hint: it has 9000 bytes, and a message has at most 8192")?;
    sam.ask("/msg erik psst", "{} sam: @erik psst")?;
    sam.type_line("/quit")?;
    ensure!(sam.process.wait()?.code() == Some(1), "things were refused");

    for (text, input) in [(Some(""), ""), (None, ""), (None, "\n")] {
        let arguments: Vec<&str> = ["send", "#lobby"].into_iter().chain(text).collect();
        let finished = world.one_shot("sam", &arguments, input)?;
        ensure!(finished.hint() == "hint: there is nothing to say: the text is empty", "{finished:#?}");
    }
    Ok(())
}

#[test]
fn the_plain_face_changes_to_json_in_the_middle_of_its_input() -> Result<()> {
    let world = World::peopled()?;
    let mut command = world.client_command("sam")?;
    let input = [
        "/login sam",
        "in plain",
        "/dialect json",
        r##"{"id":1,"do":"say","to":"#lobby","text":"in json"}"##,
        r#"{"id":2,"do":"users"}"#,
    ];
    // All lines at once: those after the change were read before it.
    let finished = run_to_end("sam", command.arg("--plain"), &input.join("\n"))?;
    let [login, said, dialect, rest @ ..] = finished.out.as_slice() else { anyhow::bail!("{finished:#?}") };
    assert_eq!((login.as_str(), dialect.as_str()), ("Authentication Succeeded", r#"{"dialect":"json"}"#));
    ends_with(said, " sam: in plain")?;
    let rest: Vec<Value> = rest.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
    for (id, ok) in [(1, "said"), (2, "users")] {
        ensure!(rest.iter().any(|line| line["id"] == id && line["ok"] == ok), "{id}: {finished:#?}");
    }
    ensure!(finished.code == 0, "{finished:#?}");

    // Line by line.
    let mut sam = world.logged_in("sam")?;
    sam.process.out.wait_for("{} sam: in json")?;
    sam.ask("/dialect json", r#"{"dialect":"json"}"#)?;
    assert_eq!(sam.call(&json!({"id": 1, "do": "users"}))?["users"], json!(["sam"]));
    ensure!(sam.leave()? == 0);
    Ok(())
}
