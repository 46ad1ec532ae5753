//! A network that breaks.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use parlour_tests::{Client, Relay, World, wait_until};
use serde_json::json;

use super::lobby;

/// The command that runs a person's client over a relay.
fn over(relay: &Relay, world: &World, person: &str, face: &str) -> Result<Command> {
    let mut command = world.client_command_to(person, &relay.address().to_string())?;
    command.args([face, "--user", person]);
    Ok(command)
}

#[test]
fn a_message_whose_answer_never_came_is_sent_again_and_kept_once() -> Result<()> {
    let world = World::peopled()?;
    let relay = Relay::to(world.address()?)?;
    let mut erik = world.logged_in("erik")?;
    let mut sam = Client::start("sam", &mut over(&relay, &world, "sam", "--plain")?)?;
    sam.expect("Authentication Succeeded")?;
    relay.mute();
    sam.type_line("hello all")?;
    erik.expect("{} sam: hello all")?;
    // The server has stored it, and sam's client does not know that.
    sam.process.crash()?;
    let mut sam = Client::start("sam", &mut over(&Relay::to(world.address()?)?, &world, "sam", "--plain")?)?;
    sam.expect("Authentication Succeeded")?;
    sam.expect("{} sam: hello all")?;
    sam.ask("and once more", "{} sam: and once more")?;
    erik.expect("{} sam: and once more")?;
    assert_eq!(lobby(&world)?, ["hello all", "and once more"]);

    // The same for a private message, and over a connection that breaks instead of a client that dies.
    let relay = Relay::to(world.address()?)?;
    ensure!(sam.leave()? == 0);
    let mut sam = Client::start("sam", &mut over(&relay, &world, "sam", "--plain")?)?;
    sam.process.out.wait_for("{} sam: and once more")?;
    // This makes sam's client fetch erik's key, which it does on each new connection.
    sam.ask("@erik are you there?", "{} sam: @erik are you there?")?;
    erik.expect("{} sam: @erik are you there?")?;
    relay.mute();
    sam.type_line("@erik psst")?;
    erik.expect("{} sam: @erik psst")?;
    relay.cut();
    sam.process.wait_for_error("not connected: ")?;
    relay.mend();
    sam.expect("{} sam: @erik psst")?;
    sam.ask("@erik and again", "{} sam: @erik and again")?;
    erik.expect("{} sam: @erik and again")?;
    Ok(())
}

#[test]
fn a_client_that_was_away_for_long_gets_everything_once_and_in_order() -> Result<()> {
    let world = World::with().people().limit("commands_per_second=10000").start()?;
    let relay = Relay::to(world.address()?)?;
    let mut sam = Client::start("sam", &mut over(&relay, &world, "sam", "--json")?)?;
    sam.process.out.event("backlog")?;
    relay.cut();
    loop {
        let event = sam.process.out.event("connection")?;
        if event["is"] == "offline" {
            break;
        }
    }
    // More than three pages, and more than one of private messages.
    let mut anna = world.json_line("anna")?;
    for n in 1..=310 {
        let id = format!("0197741c-9a80-7000-8000-{n:012}");
        anna.say(
            &json!({"id": n, "cmd": "post", "to": "#lobby", "message_id": id, "text": format!("public {n}")})
                .to_string(),
        )?;
    }
    ensure!(anna.lines.answer(&json!(310))?["ok"] == "posted");
    let mut erik = world.robot("erik", &["--user", "erik"])?;
    for n in 1..=120 {
        erik.type_line(
            &json!({"id": n, "do": "say", "to": "@sam", "text": format!("private {n}")}).to_string(),
        )?;
    }
    ensure!(erik.process.out.answer(&json!(120))?["ok"] == "said");

    relay.mend();
    let (mut public, mut private) = (Vec::new(), Vec::new());
    while public.len() < 310 || private.len() < 120 {
        let event = sam.process.out.event("message")?;
        let message = &event["message"];
        let expected = if message["to"] == "#lobby" { "public" } else { "good" };
        ensure!(message["verdict"]["is"] == expected, "{message}");
        let seen = if message["to"] == "#lobby" { &mut public } else { &mut private };
        seen.push(message["text"].as_str().unwrap_or_default().to_owned());
    }
    ensure!(
        public.iter().eq((1..=310).map(|n| format!("public {n}")).collect::<Vec<_>>().iter()),
        "{public:?}"
    );
    ensure!(
        private.iter().eq((1..=120).map(|n| format!("private {n}")).collect::<Vec<_>>().iter()),
        "{private:?}"
    );
    let history = sam.call(&json!({"id": "h", "do": "history", "conversation": "#lobby", "limit": 400}))?;
    ensure!(history["messages"].as_array().map(Vec::len) == Some(310) && history["complete"] == true);

    // A login shows the newest 100 of each conversation and no more: here, and on a machine without records.
    ensure!(sam.leave()? == 0);
    for _ in 0..2 {
        let mut sam = world.logged_in("sam")?;
        ensure!(sam.leave()? == 0);
        let shown = sam.process.out.rest()?;
        let public: Vec<&String> = shown.iter().filter(|line| line.contains(" anna: public ")).collect();
        ensure!(public.len() == 100 && public[0].ends_with(" public 211"), "{public:?}");
        ensure!(public[99].ends_with(" public 310"), "{public:?}");
        let private: Vec<&String> =
            shown.iter().filter(|line| line.contains(" erik: @sam private ")).collect();
        ensure!(private.len() == 100 && private[0].ends_with(" private 21"), "{private:?}");
        ensure!(shown.len() == 200, "{shown:?}");
        for file in ["local.db", "local.key"] {
            // The second login shows them again.
            std::fs::remove_file(world.profile("sam").join(file))?;
        }
    }
    Ok(())
}

#[test]
fn a_network_that_breaks_again_and_again_while_much_is_fetched_loses_and_doubles_nothing() -> Result<()> {
    const MESSAGES: usize = 450;
    let world = World::with().people().limit("commands_per_second=10000").start()?;
    let relay = Relay::to(world.address()?)?;
    let mut sam = Client::start("sam", &mut over(&relay, &world, "sam", "--plain")?)?;
    sam.expect("Authentication Succeeded")?;
    relay.cut();
    sam.process.wait_for_error("not connected: ")?;
    let mut anna = world.logged_in_line("anna")?;
    let lines: Vec<String> = (1..=MESSAGES).map(|n| format!("message {n}\n")).collect();
    anna.send(lines.concat().as_bytes())?;
    anna.lines.wait_for(&format!("{{}} anna: message {MESSAGES}"))?;
    // Enough for a page of a hundred, but not for the next.
    relay.ration(26_000);
    relay.mend();
    for n in 1..=MESSAGES {
        sam.expect(&format!("{{}} anna: message {n}"))?;
    }
    let breaks = |errors: &str| errors.matches("not connected: ").count();
    wait_until("several breaks in the news", || Ok(breaks(&sam.process.errors()) >= 3))?;
    relay.ration(usize::MAX);
    // A message that waits for a working connection, and its answer.
    sam.ask("here I am", "{} sam: here I am")?;
    anna.expect("{} sam: here I am")?;
    Ok(())
}

#[test]
fn a_lost_connection_is_one_line_of_news_and_comes_back_by_itself() -> Result<()> {
    let world = World::peopled()?;
    let relay = Relay::to(world.address()?)?;
    let mut sam = Client::start("sam", &mut over(&relay, &world, "sam", "--plain")?)?;
    sam.expect("Authentication Succeeded")?;
    sam.process.wait_for_error("\nconnected to ")?;
    let before = sam.process.errors();
    relay.cut();
    sam.process.wait_for_error("not connected: ")?;
    relay.mend();
    let back = |errors: &str| errors.matches("\nconnected to ").count();
    wait_until("sam is back", || Ok(back(&sam.process.errors()) > back(&before)))?;
    let errors = sam.process.errors();
    let news = errors.strip_prefix(&before).context("news are added at the end")?;
    let (first, rest) = news.split_once('\n').context("a line")?;
    ensure!(first.starts_with("not connected: ") && first.contains("; trying again in "), "{news}");
    ensure!(
        rest.lines().all(|line| line.starts_with("connecting to ")
            || line.starts_with("not connected: ")
            || line.starts_with("connected to ")),
        "{news}"
    );
    // None of it was posted as a message.
    sam.ask("/users", "sam")?;
    ensure!(sam.leave()? == 0);
    Ok(())
}
