//! Programs that speak json with the client.

use anyhow::{Result, ensure};
use parlour_tests::{World, run_to_end};
use serde_json::{Value, json};

use super::newest;

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
