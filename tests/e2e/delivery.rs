//! Acknowledged messages are kept, arrive once, and in order, whatever is killed.

use std::process::Command;
use std::time::{Duration, Instant};

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use parlour_tests::{Client, Relay, World, in_time, wait_until};
use serde_json::json;

/// The texts of the lobby as the server stores them, in the order of `seq`, which has no gaps.
fn lobby(world: &World) -> Result<Vec<String>> {
    let database = rusqlite::Connection::open(world.database())?;
    let mut select = database.prepare(
        "SELECT seq, text FROM messages JOIN conversations c ON c.id = conversation WHERE c.name = '#lobby' ORDER BY seq",
    )?;
    let rows = select.query_map([], |row| Ok((row.get::<_, u64>(0)?, row.get(1)?)))?;
    rows.zip(1..)
        .map(|(row, expected)| {
            let (seq, text) = row?;
            ensure!(seq == expected, "{seq} stands where {expected} should");
            Ok(text)
        })
        .collect()
}

/// The command that runs a person's client over a relay.
fn over(relay: &Relay, world: &World, person: &str, face: &str) -> Result<Command> {
    let mut command = world.client_command_to(person, &relay.address().to_string())?;
    command.args([face, "--user", person]);
    Ok(command)
}

/// The number of times that the server is killed; `make soak` asks for more.
fn kills() -> usize {
    std::env::var("PARLOUR_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(12)
}

#[test]
fn nothing_is_lost_doubled_or_moved_when_the_server_is_killed_between_messages() -> Result<()> {
    let kills = kills();
    let mut world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let mut erik = world.logged_in("erik")?;
    // Each types ahead; a client reads its next line when the one before is stored.
    let mut typed = 0;
    let mut type_more = |sam: &mut Client, erik: &mut Client| {
        for _ in 0..5 {
            typed += 1;
            sam.type_line(&format!("sam {typed}"))?;
            erik.type_line(&format!("erik {typed}"))?;
            sam.type_line(&format!("@erik secret {typed}"))?;
        }
        Ok::<_, anyhow::Error>(typed)
    };
    let mut last = type_more(&mut sam, &mut erik)?;
    let mut seen_by_sam = Vec::new();
    for kill in 0..kills {
        // At least one message was sent since the last kill, and another is on its way.
        seen_by_sam.extend(sam.process.out.so_far());
        for _ in 0..4 {
            seen_by_sam.push(sam.process.out.next_line()?);
        }
        world.kill_server()?;
        // No more lines than fit in the pipes to the clients while the server is down.
        if kill + 1 < kills && 3 * last < seen_by_sam.len() + 60 {
            last = type_more(&mut sam, &mut erik)?;
        }
        world.start_server()?;
    }
    let leave = |client: &mut Client| {
        let status = client.leave()?;
        ensure!(status == 0, "something was refused: {:#?}", client.process.out.so_far());
        Ok(())
    };
    leave(&mut sam)?;
    // A client that leaves while fetching missed messages does not see all of them.
    let mut seen_by_erik = Vec::new();
    let mut awaited = vec![format!(" sam: sam {last}"), format!(" sam: @erik secret {last}")];
    while !awaited.is_empty() {
        let line = erik.process.out.next_line()?;
        awaited.retain(|text| !line.ends_with(text));
        seen_by_erik.push(line);
    }
    leave(&mut erik)?;

    // All messages, once, those of each sender in the order in which they were typed.
    let kept = lobby(&world)?;
    ensure!(kept.len() == 2 * last, "{} of {} messages: {kept:?}", kept.len(), 2 * last);
    for name in ["sam", "erik"] {
        let own: Vec<&String> = kept.iter().filter(|text| text.starts_with(name)).collect();
        let expected: Vec<String> = (1..=last).map(|n| format!("{name} {n}")).collect();
        ensure!(own.into_iter().eq(expected.iter()), "{kept:?}");
    }
    // Both saw the same, once, in the server's order.
    seen_by_sam.extend(sam.process.out.rest()?);
    seen_by_erik.extend(erik.process.out.rest()?);
    let text = |line: &String| line.get("2026-11-21 10:48:51 ".len()..).unwrap_or_default().to_owned();
    for seen in [seen_by_sam, seen_by_erik] {
        let seen: Vec<String> = seen.iter().map(text).collect();
        let secrets: Vec<&String> = seen.iter().filter(|line| line.contains(": @")).collect();
        let expected: Vec<String> = (1..=last).map(|n| format!("sam: @erik secret {n}")).collect();
        ensure!(secrets.into_iter().eq(expected.iter()), "{seen:#?}");
        let public: Vec<&str> = seen
            .iter()
            .filter(|line| !line.contains(": @"))
            .filter_map(|line| Some(line.split_once(": ")?.1))
            .collect();
        ensure!(public == kept, "{seen:#?}");
    }
    Ok(())
}

#[test]
fn a_client_killed_with_messages_in_its_outbox_sends_them_once_when_it_starts_again() -> Result<()> {
    let mut world = World::peopled()?;
    let mut sam = world.robot("sam", &["--user", "sam"])?;
    sam.process.out.event("backlog")?;
    world.kill_server()?;
    for n in 1..=20 {
        let to = if n % 4 == 0 { "@erik" } else { "#lobby" };
        sam.type_line(&json!({"id": n, "do": "say", "to": to, "text": format!("kept {n}")}).to_string())?;
    }
    while sam.process.out.event("outbox")?["waiting"] != 20 {}
    sam.process.crash()?;
    world.start_server()?;
    let mut sam = world.robot("sam", &["--user", "sam"])?;
    while sam.process.out.event("outbox")?["waiting"] != 0 {}
    sam.process.crash()?;
    // Nothing is left to be sent a second time.
    let mut sam = world.logged_in("sam")?;
    ensure!(sam.leave()? == 0);
    let expected: Vec<String> = (1..=20).filter(|n| n % 4 != 0).map(|n| format!("kept {n}")).collect();
    assert_eq!(lobby(&world)?, expected);
    let mut erik = world.logged_in("erik")?;
    ensure!(erik.leave()? == 0);
    let shown: Vec<String> =
        erik.process.out.rest()?.into_iter().filter(|line| line.contains(": @")).collect();
    ensure!(shown.len() == 5, "{shown:?}");
    for (line, n) in shown.iter().zip([4, 8, 12, 16, 20]) {
        ensure!(line.ends_with(&format!(" sam: @erik kept {n}")), "{shown:?}");
    }
    Ok(())
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
fn who_was_away_for_long_gets_everything_once_and_in_order() -> Result<()> {
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

#[test]
fn a_server_that_is_stopped_says_goodbye_finishes_and_ends_well() -> Result<()> {
    let mut world = World::peopled()?;
    let mut sam = world.logged_in_line("sam")?;
    let mut erik = world.json_line("erik")?;
    let mut guest = world.line()?;
    guest.ask("/help", "/register {}")?;
    // The server does not wait for a connection that never does its handshake.
    let _silent = std::net::TcpStream::connect(world.address()?)?;
    let begun = Instant::now();
    world.stop_server()?;
    in_time("stopping", begun.elapsed(), Duration::from_secs(5))?;
    sam.expect("goodbye: server is stopping")?;
    sam.lines.expect_end()?;
    guest.expect("goodbye: server is stopping")?;
    guest.lines.expect_end()?;
    let goodbye = erik.lines.event("goodbye")?;
    ensure!(goodbye["reason"] == "stopping", "{goodbye}");
    erik.lines.expect_end()?;
    // Nothing of the database is left to be recovered.
    ensure!(!world.path("data/chat.db-wal").exists());
    Ok(())
}

#[test]
fn a_server_that_stops_answers_what_it_was_asked_before() -> Result<()> {
    let mut world = World::with().people().limit("commands_per_second=10000").start()?;
    let mut sam = world.logged_in_line("sam")?;
    let lines: Vec<String> = (1..=60).map(|n| format!("message {n}\n")).collect();
    sam.send(lines.concat().as_bytes())?;
    sam.expect("{} sam: message 1")?;
    world.stop_server()?;
    let mut said = sam.lines.rest()?;
    ensure!(said.pop().as_deref() == Some("goodbye: server is stopping"), "{said:?}");
    // All answered messages are stored, and all stored messages were answered.
    let kept = lobby(&world)?;
    ensure!(kept.len() == said.len() + 1, "{} answered, {} kept", said.len() + 1, kept.len());
    ensure!(said.iter().zip(&kept[1..]).all(|(line, text)| line.ends_with(text)), "{said:?} {kept:?}");
    Ok(())
}

#[test]
fn a_hangup_takes_up_a_new_certificate_and_disturbs_nobody() -> Result<()> {
    let mut world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let before = world.line()?.chain;
    world.mint_server_certificate()?;
    ensure!(world.line()?.chain == before, "nobody said that it should be read");
    world.server()?.signal(Signal::SIGHUP)?;
    world.server()?.wait_for_error("keys and certificates were read again")?;
    let after = world.line()?.chain;
    ensure!(after[0] != before[0] && after[1] == before[1], "the same certificate, or another root");

    // A bad certificate is not loaded.
    std::fs::write(world.path("keys/server/server.crt"), "garbage")?;
    world.server()?.signal(Signal::SIGHUP)?;
    world.server()?.wait_for_error("the old ones stay")?;
    ensure!(world.line()?.chain == after);
    sam.ask("still here", "{} sam: still here")?;
    ensure!(!sam.process.errors().contains("not connected"), "{}", sam.process.errors());
    ensure!(sam.leave()? == 0);
    Ok(())
}

#[test]
fn the_same_id_with_the_same_words_is_one_message_and_with_others_is_refused() -> Result<()> {
    let world = World::peopled()?;
    let mut sam = world.json_line("sam")?;
    let mut erik = world.logged_in_line("erik")?;
    let post = |id: u64, text: &str| {
        let message = "0197741c-9a80-7000-8000-000000000001";
        json!({"id": id, "cmd": "post", "to": "#lobby", "message_id": message, "text": text})
    };
    let first = sam.call(&post(1, "once"))?;
    let mut second = sam.call(&post(2, "once"))?;
    second["id"] = json!(1);
    assert_eq!(first, second);
    assert_eq!(sam.call(&post(3, "other words"))?["error"]["code"], "id_in_use");
    sam.call(&json!({"id": 4, "cmd": "post", "to": "#lobby", "text": "next",
        "message_id": "0197741c-9a80-7000-8000-000000000002"}))?;
    erik.expect("{} sam: once")?;
    erik.expect("{} sam: next")?;
    assert_eq!(lobby(&world)?, ["once", "next"]);
    Ok(())
}

#[test]
fn a_server_that_was_set_back_to_an_older_copy_is_noticed_and_what_is_new_is_shown() -> Result<()> {
    let mut world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let mut erik = world.logged_in("erik")?;
    let say = |sam: &mut Client, erik: &mut Client, text: &str| -> Result<()> {
        sam.ask(text, &format!("{{}} sam: {text}"))?;
        erik.process.out.wait_for(&format!("{{}} sam: {text}")).map(|_| ())
    };
    say(&mut sam, &mut erik, "one")?;
    say(&mut sam, &mut erik, "@erik two")?;
    world.stop_server()?;
    let (data, copy) = (world.path("data"), world.path("older"));
    let status = std::process::Command::new("cp").arg("-r").arg(&data).arg(&copy).status()?;
    ensure!(status.success(), "no copy");
    world.start_server()?;
    say(&mut sam, &mut erik, "three")?;
    say(&mut sam, &mut erik, "@erik four")?;
    world.kill_server()?;
    std::fs::remove_dir_all(&data)?;
    std::fs::rename(&copy, &data)?;
    world.start_server()?;
    for client in [&sam, &erik] {
        for conversation in ["#lobby", "@"] {
            client.process.wait_for_error(&format!("messages of {conversation}"))?;
        }
    }
    say(&mut sam, &mut erik, "five, in the place of three")?;
    // What the server lost is still here, so that nothing is missing before what comes after it.
    say(&mut sam, &mut erik, "@erik six")?;
    ensure!(sam.leave()? == 0 && erik.leave()? == 0);
    for (person, other) in [("sam", "@erik"), ("erik", "@sam")] {
        let direct = world.one_shot(person, &["history", other], "")?.out;
        let said: Vec<&str> = direct.iter().filter_map(|line| Some(line.split_once(" sam")?.1)).collect();
        ensure!(said == [": @erik two", " [set aside]: @erik four", ": @erik six"], "{direct:#?}");
    }
    Ok(())
}

#[test]
fn a_client_that_was_set_back_to_an_older_copy_goes_on_with_its_chain() -> Result<()> {
    let world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let mut erik = world.logged_in("erik")?;
    sam.ask("@erik one", "{} sam: @erik one")?;
    ensure!(sam.leave()? == 0);
    let copy = world.path("older");
    let copied = |from: &Path, to: &Path| -> Result<()> {
        let status = std::process::Command::new("cp").arg("-rT").arg(from).arg(to).status()?;
        ensure!(status.success(), "no copy");
        Ok(())
    };
    copied(&world.profile("sam"), &copy)?;
    let mut sam = world.logged_in("sam")?;
    sam.expect("{} sam: @erik one")?;
    sam.ask("@erik two", "{} sam: @erik two")?;
    ensure!(sam.leave()? == 0);
    std::fs::remove_dir_all(world.profile("sam"))?;
    copied(&copy, &world.profile("sam"))?;
    let mut sam = world.logged_in("sam")?;
    for text in ["one", "two"] {
        sam.expect(&format!("{{}} sam: @erik {text}"))?;
    }
    sam.ask("@erik three", "{} sam: @erik three")?;
    for text in ["one", "two", "three"] {
        erik.expect(&format!("{{}} sam: @erik {text}"))?;
    }
    ensure!(sam.leave()? == 0 && erik.leave()? == 0);
    Ok(())
}
