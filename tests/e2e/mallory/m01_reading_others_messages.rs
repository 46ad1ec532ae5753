//! 1: read a direct message of other people.
//!
//! Bites: the recipient makes the same requests and gets every message.

use anyhow::{Result, ensure};
use parlour_tests::{Author, Line};
use serde_json::{Value, json};

use super::fast;

const MESSAGES: u64 = 5;

/// Everything that arrives for a command, including the events before its reply, as text.
fn all_that_comes(line: &mut Line, mut command: Value) -> Result<String> {
    command["id"] = json!("asked");
    line.say(&command.to_string())?;
    let mut heard = String::new();
    loop {
        let value = line.lines.json()?;
        heard.push_str(&value.to_string());
        if value["id"] == "asked" {
            return Ok(heard);
        }
    }
}

/// Every range around so few messages, and some invalid ones.
fn ranges() -> Vec<Value> {
    let mut ranges = vec![json!({}), json!({"limit": 1}), json!({"before": 1, "after": 1})];
    for seq in (0..=MESSAGES + 1).chain([1 << 53, u64::MAX]) {
        ranges.push(json!({"before": seq}));
        ranges.push(json!({"after": seq, "limit": 100}));
    }
    ranges.push(json!({"after": -1, "limit": 0}));
    ranges
}

fn history(conversation: &str, range: &Value) -> Value {
    let mut command = range.clone();
    command["cmd"] = json!("history");
    command["conversation"] = json!(conversation);
    command
}

#[test]
fn no_name_range_or_id_gives_anybody_the_messages_of_others() -> Result<()> {
    let world = fast()?;
    let mut mallory = world.json_line("anna")?;
    let (mut sam, erik) = (Author::of(&world, "sam")?, Author::of(&world, "erik")?);
    let mut line = world.json_line("sam")?;
    let mut letters = Vec::new();
    for number in 0..MESSAGES {
        let letter = sam.write(&erik, "for erik alone")?;
        ensure!(line.call(&letter.post(number))?["ok"] == "posted");
        letters.push(letter);
    }
    let found = |text: &str| {
        letters
            .iter()
            .filter(|letter| text.contains(letter.sealed["ciphertext"].as_str().unwrap_or("?")))
            .count()
    };

    // An empty conversation of her own looks the same as one of other people.
    for range in ranges() {
        let nothing = all_that_comes(&mut mallory, history("@anna", &range))?;
        ensure!(!nothing.contains("message_id"), "{nothing}");
        for name in ["@sam", "@erik"] {
            let heard = all_that_comes(&mut mallory, history(name, &range))?;
            ensure!(heard == nothing, "{name} {range}: {heard}");
        }
    }
    // Names that the store could use for it, and invalid ones.
    for name in ["@erik@sam", "@@erik@sam", "@erik sam", "@erik\u{0}sam", "@%", "@*", "&sam", "#erik", "erik"]
    {
        let reply = mallory.call(&json!({"id": 1, "cmd": "history", "conversation": name}))?;
        let code = reply["error"]["code"].as_str().unwrap_or_default();
        ensure!(["format", "conversation_not_found"].contains(&code), "{name}: {reply}");
    }
    for command in ["search", "export", "fetch", "get", "message", "sync", "attach", "backup"] {
        for letter in &letters {
            let asked = json!({"id": 1, "cmd": command, "message_id": letter.id, "conversation": "@sam", "text": "erik"});
            let reply = mallory.call(&asked)?;
            ensure!(reply["error"]["code"] == "unknown_command", "{reply}");
        }
    }
    let reply = mallory.call(&json!({"id": 1, "cmd": "conversations"}))?;
    ensure!(reply["conversations"] == json!([{"name": "#lobby", "last": 0}]), "{reply}");
    // It is not revealed either if others have used an id: her ids are her own.
    for letter in &letters {
        let post = json!({"id": 1, "cmd": "post", "to": "#lobby", "message_id": letter.id, "text": "mine"});
        ensure!(mallory.call(&post)?["ok"] == "posted");
    }
    // A message that is sent while she listens does not reach her.
    let letter = sam.write(&erik, "now")?;
    ensure!(line.call(&letter.post(99))?["ok"] == "posted");
    let heard = all_that_comes(&mut mallory, json!({"cmd": "users"}))?;
    ensure!(!heard.contains("sealed") && heard.contains(r#"["anna","sam"]"#), "{heard}");

    let mut guest = world.line()?;
    guest.ask("/dialect json", r#"{"dialect":"json"}"#)?;
    let reply = guest.call(&json!({"id": 1, "cmd": "history", "conversation": "@sam"}))?;
    ensure!(reply["error"]["code"] == "not_now", "{reply}");

    let mut erik = world.json_line("erik")?;
    let heard = all_that_comes(&mut erik, history("@sam", &json!({})))?;
    ensure!(found(&heard) == letters.len(), "erik does not get them either: {heard}");
    Ok(())
}
