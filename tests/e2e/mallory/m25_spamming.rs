//! 25: spam.
//!
//! Bites: with a limit of a hundred thousand commands a second, all thousand messages arrive at once.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use parlour_crypto::RenewalRequest;
use parlour_keylog::DeviceCertificate;
use parlour_tests::{Author, Line, World, in_time};
use serde_json::json;

use super::{fast, user};

/// Sam posts a thousand messages at once, and erik hears this many of them. Returns the time until the last of these,
/// and the longest time that erik waited for an answer of his own meanwhile.
fn heard_of_a_thousand(world: &World, count: u32) -> Result<(Duration, Duration)> {
    let sam = world.logged_in_line("sam")?;
    let mut erik = world.json_line("erik")?;
    let lines: Vec<String> = (1..=1_000).map(|n| format!("spam {n}\n")).collect();
    let begun = Instant::now();
    sam.send(lines.concat().as_bytes())?;
    let (mut heard, mut number, mut longest) = (0, 0, Duration::ZERO);
    while heard < count {
        let asked = Instant::now();
        number += 1;
        erik.say(&json!({"id": number, "cmd": "pong"}).to_string())?;
        loop {
            let line = erik.lines.json()?;
            if line["id"] == number {
                break;
            }
            heard += u32::from(line["event"] == "message");
        }
        longest = longest.max(asked.elapsed());
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok((begun.elapsed(), longest))
}

#[test]
fn of_a_thousand_messages_in_a_second_the_burst_and_twenty_a_second_come_through() -> Result<()> {
    const COUNT: u32 = 100;
    // The login was one command of the burst of sixty. The server began to count before we did.
    let least = Duration::from_millis(45) * (COUNT - 60);
    let (took, longest) = heard_of_a_thousand(&World::peopled()?, COUNT)?;
    ensure!(took > least, "{COUNT} came through in {took:?}");
    in_time("hearing them", took, 3 * least)?;
    in_time("erik's longest wait", longest, Duration::from_secs(1))?;
    let (unlimited, _) = heard_of_a_thousand(&fast()?, COUNT)?;
    in_time("hearing them without the limit", unlimited, least)
}

#[test]
fn the_eleventh_wrong_login_in_a_minute_is_refused_and_so_is_a_right_one() -> Result<()> {
    for (world, most) in
        [(World::peopled()?, 10), (World::with().people().limit("failed_logins_per_minute=2").start()?, 2)]
    {
        // Existing sessions are not affected.
        let mut erik = world.logged_in_line("erik")?;
        for _ in 0..most {
            world.line_as("sam")?.ask("/login sam AAAA", "error: invalid credentials")?;
        }
        let too_many = "error: too many attempts from this address, try again in {} seconds";
        let mut line = world.line_as("sam")?;
        let refusal = line.ask("/login sam AAAA", too_many)?;
        let seconds: u64 = refusal.chars().filter(char::is_ascii_digit).collect::<String>().parse()?;
        ensure!((1..=60).contains(&seconds), "{refusal}");
        let signature = line.signature(&world.profile("sam"), &user("sam")?)?;
        line.ask(&format!("/login sam {signature}"), too_many)?;
        let mut sam = world.client("sam")?;
        sam.ask("/login sam", too_many)?;
        erik.ask("/users", "erik")?;
        // Another device behind the same address has failed at nothing.
        world.logged_in_line("anna")?.ask("/users", "anna erik")?;
    }
    Ok(())
}

#[test]
fn logins_that_cannot_succeed_lock_nobody_out() -> Result<()> {
    let world = World::with().people().limit("failed_logins_per_minute=2").start()?;
    for _ in 0..5 {
        // Without a certificate, with another person's, and what is no login at all.
        world.line()?.ask("/login sam AAAA", "error: invalid credentials")?;
        let mut account = world.line_with(
            &world.profile("anna").join("account.crt"),
            &world.profile("anna").join("account.key"),
        )?;
        account.ask("/login sam AAAA", "error: {}")?;
        world.line_as("erik")?.ask("/login sam", "error: invalid command format")?;
    }
    world.line_as("erik")?.ask("/login sam AAAA", "error: invalid credentials")?;
    world.logged_in("sam")?.ask("/users", "sam")?;
    world.logged_in("erik")?.ask("/users", "{}")?;
    Ok(())
}

#[test]
fn one_device_renews_a_few_times_an_hour_and_keeps_no_other_from_it() -> Result<()> {
    let mut world = World::with().people().start()?;
    let mut line = world.line()?;
    line.ask("/dialect json", r#"{"dialect":"json"}"#)?;
    let renew = |line: &mut Line, author: &Author, signer: &Author| -> Result<String> {
        let leaf = DeviceCertificate::from_der(&author.leaf)?;
        let request =
            RenewalRequest { name: &author.name, device: leaf.device().as_str(), key: &signer.device };
        let request = request.build(&mut rand::rng())?;
        let reply = line.call(&json!({"id": 1, "cmd": "renew", "request": request}))?;
        let code = reply["error"]["code"].as_str().or(reply["ok"].as_str());
        Ok(code.unwrap_or_default().to_owned())
    };
    let (sam, erik) = (Author::of(&world, "sam")?, Author::of(&world, "erik")?);
    // Sam's name and device do not make it sam's: somebody else's key signs. Nor is it counted as erik's.
    for _ in 0..10 {
        ensure!(renew(&mut line, &sam, &erik)? == "invalid_credentials");
    }
    // A renewal that fails because the TTP is away is not counted.
    world.stop_ttp()?;
    for _ in 0..10 {
        ensure!(renew(&mut line, &sam, &sam)? == "authority_unavailable");
    }
    world.start_ttp()?;
    for _ in 0..6 {
        ensure!(renew(&mut line, &sam, &sam)? == "renewed");
    }
    ensure!(renew(&mut line, &sam, &sam)? == "too_many");
    ensure!(renew(&mut line, &erik, &erik)? == "renewed");
    Ok(())
}

#[test]
fn a_user_who_is_too_fast_is_slowed_down_and_refused_nothing() -> Result<()> {
    let world = World::with().people().limit("commands_per_second=50").limit("command_burst=10").start()?;
    let mut sam = world.logged_in_line("sam")?;
    let mut erik = world.logged_in_line("erik")?;
    let begun = Instant::now();
    let lines: Vec<String> = (1..=85).map(|n| format!("message {n}\n")).collect();
    sam.send(lines.concat().as_bytes())?;
    // Others are not slowed down.
    let mut others = Duration::ZERO;
    for n in 1..=85 {
        sam.expect(&format!("{{}} sam: message {n}"))?;
        if n == 20 {
            let asked = Instant::now();
            erik.say("/users")?;
            erik.lines.wait_for("erik sam")?;
            others = asked.elapsed();
        }
    }
    // The login started the burst.
    ensure!(begun.elapsed() >= Duration::from_millis(1_400), "85 lines took {:?}", begun.elapsed());
    in_time("erik's wait", others, Duration::from_secs(1))?;
    Ok(())
}

#[test]
fn registrations_and_renewals_above_their_rate_are_refused() -> Result<()> {
    let world =
        World::with().people().limit("registrations_per_hour=2").limit("renewals_per_hour=2").start()?;
    // It does not matter if the request is valid; a name other than the request's is refused before it counts.
    let request = |line: &mut Line, pattern: &str| {
        // {"name":"zoe"} in base64url.
        line.ask("/register zoe x.eyJuYW1lIjoiem9lIn0.y", pattern).map(|_| ())
    };
    let too_many = "error: too many attempts from this address, try again in {} seconds";
    let mut line = world.line()?;
    line.ask("/register nobody x.y.z", "error: certificate request refused")?;
    line.ask("/register anna x.eyJuYW1lIjoiem9lIn0.y", "error: invalid command format")?;
    request(&mut line, "error: certificate request refused")?;
    request(&mut line, "error: certificate request refused")?;
    request(&mut line, too_many)?;
    // On another connection too.
    let mut line = world.line()?;
    request(&mut line, too_many)?;
    line.ask("/dialect json", r#"{"dialect":"json"}"#)?;
    for (id, code) in [(1, "request_refused"), (2, "request_refused"), (3, "too_many")] {
        let reply = line.call(&json!({"id": id, "cmd": "renew", "request": "x.y.z"}))?;
        ensure!(reply["error"]["code"] == code, "{reply}");
    }
    // Logging in and talking are not affected.
    world.logged_in_line("sam")?.ask("hello", "{} sam: hello")?;
    Ok(())
}
