//! The client without a person: one-shot commands, pipes, and programs that speak json with it.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, ensure};
use parlour_tests::{Finished, World, free_address, run_to_end};
use serde_json::{Value, json};

/// The output of a one-shot command that must succeed.
fn done(finished: Finished) -> Result<Vec<String>> {
    ensure!(finished.code == 0 && finished.errors.is_empty(), "{finished:#?}");
    Ok(finished.out)
}

/// The error of a one-shot command that must fail.
fn not_done(finished: &Finished, code: i32) -> Result<&str> {
    ensure!(finished.code == code && finished.out.is_empty(), "{finished:#?}");
    finished.error()
}

/// The text of the newest message that the server stores, if it is public.
fn newest(world: &World) -> Result<Option<String>> {
    let database = rusqlite::Connection::open(world.database())?;
    Ok(database.query_row("SELECT text FROM messages ORDER BY rowid DESC LIMIT 1", [], |row| row.get(0))?)
}

fn ends_with(line: &str, end: &str) -> Result<()> {
    ensure!(line.ends_with(end), "{line:?} does not end with {end:?}");
    Ok(())
}

#[test]
fn one_shot_commands_log_in_for_the_moment() -> Result<()> {
    let world = World::peopled()?;
    let sent = done(world.one_shot("sam", &["send", "#lobby", "hello all"], "")?)?;
    ensure!(sent.len() == 1, "{sent:?}");
    ends_with(&sent[0], " sam: hello all")?;
    ensure!(newest(&world)?.as_deref() == Some("hello all"));
    let sent = done(world.one_shot("erik", &["send", "@sam"], "first\nsecond\n")?)?;
    ends_with(&sent[0], " erik: @sam first ⏎ second")?;
    let sent = done(world.one_shot("erik", &["send", "@sam", "third"], "")?)?;
    ends_with(&sent[0], " erik: @sam third")?;

    assert_eq!(done(world.one_shot("sam", &["users"], "")?)?, ["sam"]);
    let history = done(world.one_shot("sam", &["history", "@erik"], "")?)?;
    ensure!(history.len() == 2, "{history:?}");
    ends_with(&history[0], " erik: @sam first ⏎ second")?;
    let history = done(world.one_shot("sam", &["history", "@erik", "--limit", "1"], "")?)?;
    ensure!(history.len() == 1, "{history:?}");
    ends_with(&history[0], " erik: @sam third")?;
    let history = done(world.one_shot("erik", &["history", "@sam", "--limit", "50", "--json"], "")?)?;
    let messages: Vec<Value> =
        history.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
    assert_eq!(messages.iter().map(|m| &m["text"]).collect::<Vec<_>>(), ["first\nsecond", "third"]);
    assert_eq!((&messages[0]["from"], &messages[0]["seq"]), (&json!("erik"), &json!(1)));
    assert_eq!(done(world.one_shot("sam", &["history", "@anna"], "")?)?, [] as [&str; 0]);
    Ok(())
}

#[test]
fn one_shot_commands_go_through_the_client_that_is_running() -> Result<()> {
    let world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let socket = std::fs::metadata(world.profile("sam").join("parlour.sock"))?;
    ensure!(socket.permissions().mode() & 0o777 == 0o600, "{socket:?}");

    let sent = done(world.one_shot("sam", &["send", "#lobby", "hello all"], "")?)?;
    ends_with(&sent[0], " sam: hello all")?;
    ensure!(newest(&world)?.as_deref() == Some("hello all"));
    sam.expect("{} sam: hello all")?;
    let sent = done(world.one_shot("sam", &["send", "@erik"], "psst\n")?)?;
    ends_with(&sent[0], " sam: @erik psst")?;
    sam.expect("{} sam: @erik psst")?;
    assert_eq!(done(world.one_shot("sam", &["users"], "")?)?, ["sam"]);
    let history = done(world.one_shot("sam", &["history", "@erik", "--json"], "")?)?;
    ensure!(serde_json::from_str::<Value>(&history[0])?["text"] == "psst", "{history:?}");

    // A refusal there has the same words, and affects nothing else.
    let refused = world.one_shot("sam", &["send", "@nobody", "hi"], "")?;
    assert_eq!(not_done(&refused, 1)?, "error: user not found");
    let refused = world.one_shot("sam", &["history", "#other"], "")?;
    assert_eq!(not_done(&refused, 1)?, "error: conversation not found");
    ensure!(world.server_log().matches("logged in user=sam").count() == 1, "it logged in by itself");
    sam.ask("still here", "{} sam: still here")?;
    ensure!(sam.leave()? == 0);
    ensure!(!world.profile("sam").join("parlour.sock").exists(), "the socket was left behind");
    Ok(())
}

#[test]
fn a_one_shot_command_is_done_or_says_why_it_is_not() -> Result<()> {
    let world = World::peopled()?;
    let long = "x".repeat(8_193);
    // Three bytes each: cutting in the middle of one must not matter.
    let wide = "€".repeat(4_000);
    for (arguments, input, code, error) in [
        (["send", "@nobody", "hi"].as_slice(), "", 1, "error: user not found"),
        (&["send", "#other", "hi"], "", 1, "error: conversation not found"),
        (&["send", "#lobby", ""], "", 1, "error: invalid command format"),
        (&["send", "#lobby"], "", 1, "error: invalid command format"),
        (&["send", "#lobby"], "\n", 1, "error: invalid command format"),
        (&["send", "#lobby", &long], "", 1, "error: message too long"),
        (&["send", "@erik"], &long, 1, "error: message too long"),
        (&["send", "@erik"], &wide, 1, "error: message too long"),
        (&["send", "#lobby", "ring \u{7}"], "", 1, "error: control characters are not allowed"),
        (&["send", "nowhere", "hi"], "", 2, "error: 'nowhere' is no conversation; write #CHANNEL or @NAME"),
        (&["send", "@SAM", "hi"], "", 2, "error: '@SAM' is no conversation; write #CHANNEL or @NAME"),
        (&["history", "@nobody"], "", 1, "error: user not found"),
        (&["history", "#other"], "", 1, "error: conversation not found"),
        (&["users", "--user", "nobody"], "", 2, "error: invalid credentials"),
    ] {
        let refused = world.one_shot("sam", arguments, input)?;
        let said = not_done(&refused, code).with_context(|| format!("{arguments:.40?}"))?;
        ensure!(said == error, "{arguments:.40?}: {said}");
    }
    let stored: i64 = rusqlite::Connection::open(world.database())?.query_row(
        "SELECT count(*) FROM messages",
        [],
        |r| r.get(0),
    )?;
    ensure!(stored == 0, "{stored} messages were stored all the same");
    // The line feed after the longest message does not count.
    let longest = format!("{}\n", "x".repeat(8_192));
    done(world.one_shot("sam", &["send", "#lobby"], &longest)?)?;
    ensure!(newest(&world)?.is_some_and(|text| text.len() == 8_192));

    let nobody = free_address()?.to_string();
    let mut command = world.client_command_to("sam", &nobody)?;
    let refused = run_to_end("sam", command.args(["send", "#lobby", "hi"]), "")?;
    assert_eq!(not_done(&refused, 2)?, format!("error: cannot reach {nobody}: connection refused"));
    Ok(())
}

#[test]
fn a_one_shot_command_takes_the_only_user_or_asks_which() -> Result<()> {
    let world = World::with().people().prepare()?;
    let both = world.path("both");
    std::fs::create_dir(&both)?;
    std::fs::create_dir(world.path("none"))?;
    for name in ["sam", "erik"] {
        std::fs::rename(world.profile(name), both.join(name))?;
    }
    let run = |keys: &str| {
        let mut command = world.command("parlour")?;
        command.args([&world.address()?.to_string(), "--keys", keys, "users"]);
        run_to_end("client", &mut command, "")
    };
    assert_eq!(not_done(&run("none")?, 2)?, "error: there are no keys in none; register a name first");
    assert_eq!(
        not_done(&run("both")?, 2)?,
        "error: there are keys of several users in both; say which: --user NAME"
    );
    Ok(())
}

#[test]
fn a_profile_has_one_client_and_a_second_is_told() -> Result<()> {
    let world = World::peopled()?;
    let mut first = world.logged_in("sam")?;
    let mut second = world.client("sam")?;
    second.ask("/login sam", "error: user is already logged in")?;
    second.process.wait_for_error("hint: another client on this machine is logged in with these keys")?;
    second.ask("/users", "error: command not currently available")?;
    ensure!(second.leave()? == 1);
    let mut robot = world.robot("sam", &[])?;
    let answer = robot.call(&json!({"id": 1, "do": "login", "name": "sam"}))?;
    assert_eq!(answer["error"]["code"], "already_logged_in");
    first.ask("/users", "sam")?;
    ensure!(first.leave()? == 0);
    let answer = robot.call(&json!({"id": 2, "do": "login", "name": "sam"}))?;
    assert_eq!(answer["ok"], "logged_in");
    Ok(())
}

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
fn the_json_face_does_everything_and_names_every_error() -> Result<()> {
    let world = World::peopled()?;
    let mut zoe = world.robot("zoe", &[])?;
    let mut call = |action: Value| zoe.call(&action);
    let before = call(json!({"id": "a", "do": "users"}))?;
    assert_eq!(before["error"]["code"], "not_now");
    ensure!(before["error"]["hint"].is_string() && before["error"]["message"].is_string(), "{before}");
    let answer = call(json!({"id": [1, {"x": null}], "do": "register", "name": "zoe"}))?;
    assert_eq!(answer, json!({"id": [1, {"x": null}], "ok": "registered", "name": "zoe"}));
    // That has logged in too; who asks for it all the same is answered.
    assert_eq!(call(json!({"id": 0, "do": "users"}))?["users"], json!(["zoe"]));
    let answer = call(json!({"id": 2, "do": "login", "name": "zoe"}))?;
    assert_eq!((&answer["ok"], &answer["backlog"]), (&json!("logged_in"), &json!([])));
    let answer = call(json!({"id": 3, "do": "say", "to": "@sam", "text": "one\ntwo"}))?;
    assert_eq!((&answer["ok"], &answer["message"]["text"]), (&json!("said"), &json!("one\ntwo")));
    assert_eq!(answer["message"]["verdict"], json!({"is": "good"}));
    call(json!({"id": 4, "do": "say", "to": "#lobby", "text": "hello"}))?;
    assert_eq!(call(json!({"id": 5, "do": "users"}))?["users"], json!(["zoe"]));
    let answer = call(json!({"id": 6, "do": "history", "conversation": "@sam"}))?;
    assert_eq!((&answer["messages"][0]["text"], &answer["complete"]), (&json!("one\ntwo"), &json!(true)));

    for (action, hint) in [
        (json!({"id": 7, "do": "say", "to": "@nobody", "text": "x"}), "no user nobody"),
        (json!({"id": 8, "do": "say", "to": "#other", "text": "x"}), "no channel #other"),
        (
            json!({"id": 9, "do": "say", "to": "@SAM", "text": "x"}),
            "names are lower case: did you mean @sam?",
        ),
    ] {
        let answer = call(action)?;
        ensure!(answer["error"]["hint"].as_str().is_some_and(|said| said.starts_with(hint)), "{answer}");
    }
    for (action, code) in [
        (json!({"id": 10, "do": "say", "to": "@nobody", "text": "x"}), "user_not_found"),
        (json!({"id": 11, "do": "say", "to": "#other", "text": "x"}), "conversation_not_found"),
        (json!({"id": 12, "do": "register", "name": "sam"}), "not_now"),
        (json!({"id": 13, "do": "login", "name": "sam"}), "not_now"),
        (json!({"id": 14, "do": "history", "conversation": "@nobody"}), "user_not_found"),
    ] {
        let answer = call(action)?;
        ensure!(answer["error"]["code"] == code && answer.get("ok").is_none(), "{code}: {answer}");
    }
    // A request that is not understood is still answered under its id, if it has one.
    for (id, line) in [
        (Value::Null, "no json"),
        (Value::Null, "{}"),
        (Value::Null, r#"["id"]"#),
        (json!(1), r#"{"id":1,"do":"dance"}"#),
        (json!("b"), r#"{"id":"b"}"#),
        (json!(4), r#"{"id":4,"do":"say","to":"sam","text":"x"}"#),
        (json!([5]), r##"{"do":"say","to":"#lobby","id":[5]}"##),
        (json!(6), r##"{"id":6,"do":"history","conversation":"#lobby","limit":"all"}"##),
    ] {
        zoe.type_line(line)?;
        let answer = zoe.process.out.json()?;
        ensure!(answer["id"] == id && answer["error"]["code"] == "usage", "{line}: {answer}");
    }
    assert_eq!(zoe.call(&json!({"id": 99, "do": "quit"}))?["ok"], "done");
    ensure!(zoe.process.wait()?.code() == Some(1), "things were refused");

    // It logs in the user named on the command line, and reports that by an event.
    let mut sam = world.robot("sam", &["--user", "sam"])?;
    assert_eq!(sam.process.out.event("logged_in")?["user"], "sam");
    let backlog = sam.process.out.event("backlog")?;
    let texts: Vec<&Value> =
        backlog["messages"].as_array().into_iter().flatten().map(|m| &m["text"]).collect();
    assert_eq!(texts, ["one\ntwo", "hello"]);
    ensure!(sam.leave()? == 0);
    Ok(())
}

#[test]
fn the_json_face_finishes_what_it_was_given_before_its_input_ended() -> Result<()> {
    let world = World::peopled()?;
    let mut command = world.client_command("sam")?;
    let input = [
        json!({"id": 1, "do": "login", "name": "sam"}),
        json!({"id": 2, "do": "say", "to": "#lobby", "text": "one"}),
        json!({"id": 3, "do": "say", "to": "@erik", "text": "two"}),
        json!({"id": 4, "do": "say", "to": "#lobby", "text": "three"}),
    ];
    // Without a line feed after the last line.
    let input = input.map(|action| action.to_string()).join("\r\n");
    let finished = run_to_end("sam", command.arg("--json"), &input)?;
    ensure!(finished.code == 0, "{finished:#?}");
    let lines: Vec<Value> =
        finished.out.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
    for id in 1..=4 {
        let answers: Vec<&Value> = lines.iter().filter(|line| line["id"] == id).collect();
        ensure!(answers.len() == 1 && answers[0].get("error").is_none(), "{id}: {answers:?}");
    }
    ensure!(newest(&world)?.as_deref() == Some("three"));
    Ok(())
}

#[test]
fn every_request_of_a_fast_program_is_answered() -> Result<()> {
    let world =
        World::with().people().limit("commands_per_second=1000").limit("command_burst=1000").start()?;
    let mut command = world.client_command("sam")?;
    let say = |id: usize| {
        json!({"id": id, "do": "say", "to": "#lobby", "text": format!("number {id}")}).to_string()
    };
    let input: Vec<String> = (0..1_500).map(say).collect();
    let finished = run_to_end("sam", command.args(["--json", "--user", "sam"]), &input.join("\n"))?;
    ensure!(finished.code == 0, "{:?} {}", finished.code, finished.errors);
    let mut answered = 0;
    for line in &finished.out {
        let line: Value = serde_json::from_str(line)?;
        if line["id"].is_u64() {
            ensure!(line["ok"] == "said" && line["message"]["seq"] == answered + 1, "{line}");
            answered += 1;
        }
    }
    ensure!(answered == 1_500, "{answered} were answered");
    Ok(())
}

#[test]
fn what_is_wrong_with_a_line_stands_in_its_hint() -> Result<()> {
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
fn a_client_at_another_server_does_not_answer_for_the_one_that_was_named() -> Result<()> {
    let world = World::peopled()?;
    let _sam = world.logged_in("sam")?;
    assert_eq!(done(world.one_shot("sam", &["users"], "")?)?, ["sam"]);
    let nobody = free_address()?.to_string();
    let mut command = world.client_command_to("sam", &nobody)?;
    let refused = run_to_end("sam", command.arg("users"), "")?;
    let error = format!("error: the client that is running with these keys is at {}", world.address()?);
    assert_eq!(not_done(&refused, 2)?, error);
    ensure!(refused.hint().contains("name that server, or none"), "{refused:#?}");
    // An invitation to a server of another authority is for other keys.
    let mut command = world.command("parlour")?;
    command.arg(format!("parlour://{}/#{}", world.address()?, "0".repeat(64)));
    let refused = run_to_end("sam", command.arg("--keys").arg(world.keys("sam")).arg("users"), "")?;
    ensure!(not_done(&refused, 2)?.contains("come from another certificate authority"), "{refused:#?}");
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

#[test]
fn options_come_from_the_environment_and_from_a_file_too() -> Result<()> {
    let world = World::peopled()?;
    std::fs::write(
        world.path("parlour.toml"),
        format!(
            "server = \"{}\"\nkeys = \"people/sam\"\nca = \"keys/ttp/ca.crt\"\nuser = \"sam\"\n",
            world.address()?
        ),
    )?;
    let mut command = world.command("parlour")?;
    let finished = run_to_end("sam", command.args(["--config", "parlour.toml", "--plain"]), "/users")?;
    assert_eq!(finished.out, ["Authentication Succeeded", "sam"]);
    // The environment takes precedence over the file, and the command line over both.
    let mut command = world.command("parlour")?;
    command
        .env("PARLOUR_CONFIG", "parlour.toml")
        .env("PARLOUR_KEYS", "people/erik")
        .env("PARLOUR_USER", "anna");
    let finished = run_to_end("erik", command.args(["--plain", "--user", "erik"]), "/users")?;
    assert_eq!(finished.out, ["Authentication Succeeded", "erik"]);
    Ok(())
}
