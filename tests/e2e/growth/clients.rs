//! Our client before a newer server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use parlour_tests::{Client, Logins, Operator, World, edited, escaped};
use serde_json::{Value, json};

use super::{BANNED, ban, one_shot, plain, refusing, robot};

const DAY: i64 = 24 * 60 * 60;

#[test]
fn an_unknown_refusal_is_shown_and_final_in_every_face() -> Result<()> {
    let world = World::peopled()?;
    let (operator, refused) = refusing(&world, &["posted", "users"])?;
    let error = format!("error: {BANNED}");
    let finished = plain(&world, &operator, &["--user", "sam"], "hello\n@erik hello\n/users\n/help\n")?;
    ensure!(finished.code == 1, "{finished:#?}");
    let [first, errors @ .., help] = finished.out.as_slice() else { anyhow::bail!("{finished:#?}") };
    ensure!(first == "Authentication Succeeded" && help.contains("/help"), "{finished:#?}");
    ensure!(errors.len() == 3 && errors.iter().all(|line| *line == error), "{finished:#?}");
    ensure!(finished.hint().contains("newer"), "{finished:#?}");
    ensure!(refused.load(Ordering::SeqCst) == 3, "it was tried again");

    let mut sam = robot(&world, &operator)?;
    for action in
        [json!({"id": 1, "do": "say", "to": "#lobby", "text": "hi"}), json!({"id": 2, "do": "users"})]
    {
        let answer = sam.call(&action)?;
        ensure!(answer["error"]["code"] == "banned" && answer["error"]["message"] == BANNED, "{answer}");
        ensure!(answer["error"]["refused"] == true && answer["error"]["hint"].is_string(), "{answer}");
    }
    // One-shot commands go through the client that is running, and then without one.
    for running in [true, false] {
        let before = refused.load(Ordering::SeqCst);
        for arguments in [&["users"][..], &["send", "#lobby", "hi"]] {
            let finished = one_shot(&world, &operator, arguments)?;
            ensure!(finished.code == 1 && finished.error()? == error, "running {running}: {finished:#?}");
            ensure!(finished.out.is_empty() && finished.hint().contains("newer"), "{finished:#?}");
        }
        ensure!(refused.load(Ordering::SeqCst) == before + 2, "it was tried again");
        if running {
            ensure!(sam.leave()? == 1);
        }
    }
    Ok(())
}

#[test]
fn an_unknown_refusal_of_a_login_leaves_a_guest_and_is_not_tried_again() -> Result<()> {
    let world = World::peopled()?;
    let (operator, refused) = refusing(&world, &["logged_in"])?;
    let finished = plain(&world, &operator, &["--user", "sam"], "/users\n")?;
    let expected = [format!("error: {BANNED}"), "error: command not currently available".to_owned()];
    ensure!(finished.code == 1 && finished.out == expected, "{finished:#?}");
    let mut command = world.client_command_to("sam", &operator.address())?;
    let mut sam = Client::start("sam", command.args(["--json", "--user", "sam"]))?;
    let event = sam.process.out.event("logged_out")?;
    ensure!(event["error"]["code"] == "banned" && event["error"]["refused"] == true, "{event}");
    ensure!(sam.leave()? == 1);
    ensure!(refused.load(Ordering::SeqCst) == 2, "it was tried again");
    Ok(())
}

#[test]
fn an_unknown_refusal_of_a_name_keeps_the_keys_for_another_try() -> Result<()> {
    let world = World::new()?;
    let (operator, _) = refusing(&world, &["registered"])?;
    let finished = plain(&world, &operator, &[], "/register sam\n")?;
    ensure!(finished.code == 1 && finished.out == [format!("error: {BANNED}")], "{finished:#?}");
    // The server had given the name away: only the same request gets it again.
    let mut sam = world.registered("sam")?;
    ensure!(sam.leave()? == 0);
    Ok(())
}

#[test]
fn an_unknown_answer_is_no_success() -> Result<()> {
    let world = World::peopled()?;
    let edit = edited(|line| {
        if line["ok"] == "posted" || line["ok"] == "users" {
            *line = json!({"id": line["id"].take(), "ok": "danced", "with": "erik"});
        } else if line["ok"] == "account" {
            *line = json!({"id": line["id"].take(), "promised": {"until": 7}});
        }
    });
    let operator = Operator::before(&world, "sam", Logins::Anew, edit)?;
    let finished = plain(&world, &operator, &["--user", "sam"], "hello\n/users\n@erik hi\n/help\n")?;
    let errors: Vec<&String> = finished.out.iter().filter(|line| line.starts_with("error: ")).collect();
    ensure!(errors.len() == 3 && finished.code == 1, "{finished:#?}");
    ensure!(
        errors.iter().all(|line| line.contains("something that this version does not know")),
        "{finished:#?}"
    );
    ensure!(finished.out.last().is_some_and(|line| line.contains("/help")), "{finished:#?}");
    Ok(())
}

/// Gives every object in a line another member, but for what must have exactly its own.
fn grow(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                if name != "sealed" {
                    grow(member);
                }
            }
            members.insert("colour".to_owned(), json!({"of": [1, {"the": null}]}));
        }
        Value::Array(values) => values.iter_mut().for_each(grow),
        _ => {}
    }
}

/// Events that only a newer server has.
const EVENTS: &str = concat!(
    r#"{"event":"typing","who":"erik"}"#,
    "\n",
    r#"{"event":"message","to":"&plans","from":"erik","seq":1,"message_id":"018bcfe5-6800-7707-8707-070707070707","time":1572600600000,"text":"plans"}"#,
    "\n",
    r#"{"event":"message","to":"~future","from":"erik@b.example.org","seq":"one","text":{"rich":"plans"}}"#,
    "\n",
    r#"{"event":"revoked","user":"erik","device":"0123456789abcdef","time":1572600600000,"number":"nine","kind":"account","statement":{"ed448":"x"}}"#,
    "\n",
    r#"{"checkpoint":{"size":7}}"#,
    "\n",
);

#[test]
fn unknown_members_events_and_conversations_change_nothing() -> Result<()> {
    // The certificate is renewed on the way.
    let world = World::with().people().clock_offset(4 * DAY).start()?;
    world.run_ttp(&["revoke", "anna"])?;
    let mut erik = world.logged_in("erik")?;
    erik.ask("early", "{} erik: early")?;
    erik.ask("@sam early", "{} erik: @sam early")?;
    let logins = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&logins);
    let edit = move |line: &str| {
        let Ok(mut value) = serde_json::from_str::<Value>(line) else {
            return format!("{line}\n").into_bytes();
        };
        if value["ok"] == "logged_in" {
            count.fetch_add(1, Ordering::SeqCst);
        }
        if let Some(heads) = value["conversations"].as_array_mut() {
            heads.push(json!({"name": "&plans", "last": 1, "epoch": 4}));
            heads.push(json!({"name": "~future", "last": 1}));
        }
        grow(&mut value);
        format!("{}\n{EVENTS}", escaped(&value)).into_bytes()
    };
    let operator = Operator::before(&world, "sam", Logins::Anew, edit)?;
    let mut command = world.client_command_to("sam", &operator.address())?;
    let mut sam = Client::start("sam", command.args(["--plain", "--user", "sam"]))?;
    sam.expect("Authentication Succeeded")?;
    let mut backlog = [sam.process.out.next_line()?, sam.process.out.next_line()?];
    backlog.sort_by_key(String::len);
    ensure!(backlog[0].ends_with(" erik: early") && backlog[1].ends_with(" erik: @sam early"), "{backlog:?}");
    for number in 1..=3 {
        sam.ask(&format!("said {number}"), &format!("{{}} sam: said {number}"))?;
        sam.ask(&format!("@erik said {number}"), &format!("{{}} sam: @erik said {number}"))?;
        erik.expect(&format!("{{}} sam: said {number}"))?;
        erik.expect(&format!("{{}} sam: @erik said {number}"))?;
        erik.ask(&format!("@sam heard {number}"), &format!("{{}} erik: @sam heard {number}"))?;
        sam.expect(&format!("{{}} erik: @sam heard {number}"))?;
    }
    sam.ask("/users", "erik sam")?;
    ensure!(sam.leave()? == 0, "{}", sam.process.errors());
    ensure!(logins.load(Ordering::SeqCst) == 1, "the connection was lost: {}", sam.process.errors());
    ensure!(world.server_log().contains("renewed a device certificate"), "nothing was renewed");
    Ok(())
}

/// Takes the known content out of the messages of newer clients.
fn make_newer(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let content = match members.get("text").and_then(Value::as_str) {
                Some("a poll") => json!({"poll": ["yes", "no"]}),
                Some("a rich text") => json!({"text": {"rich": "text"}}),
                Some("a long text") => json!({"text": "x".repeat(20_000)}),
                Some("two kinds") => json!({"text": "two kinds", "sealed": {"mls": "AAAA"}}),
                Some("sealed anew") => json!({"sealed": {"mls": "AAAA"}}),
                _ => return members.values_mut().for_each(make_newer),
            };
            members.remove("text");
            members.extend(content.as_object().cloned().unwrap_or_default());
        }
        Value::Array(values) => values.iter_mut().for_each(make_newer),
        _ => {}
    }
}

#[test]
fn unknown_content_keeps_its_place_live_and_fetched_and_after_a_restart() -> Result<()> {
    const SAID: [&str; 7] =
        ["first", "a poll", "a rich text", "a long text", "two kinds", "sealed anew", "last"];
    let world = World::peopled()?;
    let mut erik = world.json_line("erik")?;
    let mut say = |from: u64| -> Result<()> {
        for (number, text) in (from..).zip(SAID) {
            let id = format!("0197741c-9a80-7000-8000-{number:012}");
            let post = json!({"id": number, "cmd": "post", "to": "#lobby", "message_id": id, "text": text});
            ensure!(erik.call(&post)?["ok"] == "posted");
        }
        Ok(())
    };
    say(100)?;
    let operator = Operator::before(&world, "sam", Logins::Anew, edited(make_newer))?;
    let mut command = world.client_command_to("sam", &operator.address())?;
    let mut sam = Client::start("sam", command.args(["--plain", "--user", "sam"]))?;
    sam.expect("Authentication Succeeded")?;
    let expected: Vec<String> = SAID
        .iter()
        .map(|text| match *text {
            "first" | "last" => format!("{{}} erik: {text}"),
            _ => "{} erik [something that this version does not know]:".to_owned(),
        })
        .collect();
    for line in &expected {
        sam.expect(line)?;
    }
    say(200)?;
    for line in &expected {
        sam.expect(line)?;
    }
    sam.ask("mine", "{} sam: mine")?;
    ensure!(sam.leave()? == 0);
    // The kept messages.
    let mut sam = robot(&world, &operator)?;
    let page = sam.call(&json!({"id": 1, "do": "history", "conversation": "#lobby", "limit": 20}))?;
    let messages = page["messages"].as_array().cloned().unwrap_or_default();
    let seqs: Vec<u64> = messages.iter().filter_map(|message| message["seq"].as_u64()).collect();
    ensure!(seqs == (1..=15).collect::<Vec<_>>(), "{page}");
    let unknown = messages.iter().filter(|message| message["text"].is_null());
    ensure!(unknown.clone().count() == 10, "{page}");
    for message in unknown {
        let verdict = json!({"is": "bad", "reason": "something that this version does not know"});
        ensure!(message["verdict"] == verdict, "{message}");
    }
    ensure!(sam.leave()? == 0);
    Ok(())
}

#[test]
fn one_conversation_that_is_refused_for_an_unknown_reason_does_not_keep_the_user_from_others() -> Result<()> {
    let world = World::peopled()?;
    let mut erik = world.logged_in("erik")?;
    erik.ask("in the lobby", "{} erik: in the lobby")?;
    erik.ask("@sam in private", "{} erik: @sam in private")?;
    let done = AtomicBool::new(false);
    let edit = edited(move |line| {
        let direct = line["messages"][0]["sealed"].is_object();
        if line["ok"] == "history" && direct && !done.swap(true, Ordering::SeqCst) {
            ban(line);
        }
    });
    let operator = Operator::before(&world, "sam", Logins::Anew, edit)?;
    let finished = plain(&world, &operator, &["--user", "sam"], "")?;
    let [first, lobby] = finished.out.as_slice() else { anyhow::bail!("{finished:#?}") };
    ensure!(first == "Authentication Succeeded" && lobby.ends_with(" erik: in the lobby"), "{finished:#?}");
    ensure!(finished.errors.contains(&format!("@erik was not fetched: {BANNED}")), "{finished:#?}");
    Ok(())
}
