//! Programs that are killed.

use anyhow::{Result, ensure};
use parlour_tests::{Client, World};
use serde_json::json;

use super::lobby;

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
