//! One-shot commands.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, ensure};
use parlour_tests::{Finished, World, free_address, run_to_end, wait_until};
use serde_json::{Value, json};

use super::{ends_with, newest};

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

#[test]
fn a_one_shot_command_logs_in_by_itself() -> Result<()> {
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
fn the_history_on_this_machine_is_printed_when_the_server_is_away_or_refuses() -> Result<()> {
    let mut world = World::peopled()?;
    done(world.one_shot("erik", &["send", "@sam", "kept here"], "")?)?;
    let with_server = done(world.one_shot("sam", &["history", "@erik"], "")?)?;
    world.stop_server()?;
    let away = world.one_shot("sam", &["history", "@erik"], "")?;
    ensure!(away.code == 0 && away.out == with_server, "{away:#?}");
    ensure!(away.errors.starts_with("warning: the server is away (cannot reach "), "{away:#?}");
    let away = world.one_shot("sam", &["history", "@erik", "--json"], "")?;
    ensure!(
        away.code == 0 && serde_json::from_str::<Value>(&away.out[0])?["text"] == "kept here",
        "{away:#?}"
    );
    // Nothing is kept of this one, and no other command has anything to print.
    ensure!(not_done(&world.one_shot("sam", &["history", "@anna"], "")?, 2)?.contains("cannot reach"));
    ensure!(not_done(&world.one_shot("sam", &["users"], "")?, 2)?.contains("cannot reach"));
    world.run_ttp(&["revoke", "sam"])?;
    world.start_server()?;
    wait_until("the revocation", || Ok(world.server_log().contains("a device was revoked")))?;
    let refused = world.one_shot("sam", &["history", "@erik"], "")?;
    ensure!(refused.code == 1 && refused.out == with_server, "{refused:#?}");
    ensure!(refused.error()?.starts_with("error: the server refused the login ("), "{refused:#?}");
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
