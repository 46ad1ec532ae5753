//! Sizes that a cost must not grow with: members of a channel, messages stored, cores.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use parlour_protocol::{Body, Conversation, Dialect, Limits, MessageId, SafeText, Timestamp};
use parlour_server::metrics::Commits;
use parlour_server::store::sqlite::SqliteStore;
use parlour_server::store::{Bounds, NewMessage, Store as _, outcome_queue};

use super::{Stage, channel};
use crate::machine::{now_millis, resident_kib};
use crate::people::People;
use crate::report::Growth;
use crate::target::{Kind, Target};
use crate::visitor::{Ear, Mouth, enter, fresh_id};

/// Users of a server whose store is measured.
const USERS: usize = 10;

/// Times that each request is made; the median counts.
const REQUESTS: usize = 201;

/// A saturated channel of several sizes: CPU seconds for a million deliveries, the server's and the reference's.
pub(crate) async fn members(stage: &Stage<'_>) -> Result<[Growth; 2]> {
    let mut ours = Growth::new("delivery_by_members", "CPU s per million deliveries", "at most 1.3");
    let mut bare = Growth::new("bare_by_members", "CPU s per million deliveries", "");
    for count in if stage.quick { [50, 500, 1_500] } else { [50, 500, 5_000] } {
        let size = format!("{count} members");
        ours.add(&size, channel::saturated(stage, Kind::Ours, count).await?.cost);
        bare.add(&size, channel::saturated(stage, Kind::Bare, count).await?.cost);
    }
    Ok([ours, bare])
}

/// One message at a time, on one core and on two. At saturation a server with less CPU time puts more into
/// each write, so the costs could not be compared.
pub(crate) async fn cores(stage: &Stage<'_>) -> Result<Growth> {
    let mut growth = Growth::new("delivery_by_cores", "CPU s per million deliveries", "at most 1.15");
    for (label, cpus) in [("one core", "0"), ("two cores", "0,1")] {
        let stage = Stage { cpus: stage.cpus.map(|_| cpus), ..*stage };
        growth.add(label, channel::single(&stage, Kind::Ours, 200).await?.cost);
    }
    Ok(growth)
}

/// The times to start, log in, catch up, read and send, at several sizes of the store.
pub(crate) async fn stored(stage: &Stage<'_>) -> Result<Vec<Growth>> {
    let mut rows = [
        Growth::new("start_by_stored", "milliseconds to accepting", "under 10 at 1,000,000"),
        Growth::new("resident_at_start_by_stored", "MiB", "under 10"),
        Growth::new("login_by_stored", "microseconds", "flat"),
        Growth::new("conversations_by_stored", "microseconds", "flat"),
        Growth::new("newest_page_by_stored", "microseconds", "flat"),
        Growth::new("middle_page_by_stored", "microseconds", "flat"),
        Growth::new("missed_page_by_stored", "microseconds", "flat"),
        Growth::new("commit_by_stored", "microseconds to the answer", "at most 1.5"),
        Growth::new("restart_by_stored", "milliseconds to a login after a kill", "under 2,000 at 1,000,000"),
    ];
    let counts: &[u64] = if stage.quick { &[1_000, 100_000] } else { &[1_000, 1_000_000, 10_000_000] };
    for &count in counts {
        let figures = with_stored(stage, count).await.with_context(|| format!("{count} stored"))?;
        for (row, figure) in rows.iter_mut().zip(figures) {
            row.add(&format!("{count} stored"), figure);
        }
    }
    Ok(rows.into())
}

async fn with_stored(stage: &Stage<'_>, count: u64) -> Result<[f64; 9]> {
    let stage = &Stage { dialect: Dialect::Json, ..*stage };
    Target::prepare(Kind::Ours, stage, USERS)?;
    fill(stage, count).await?;
    // Data of the filling that is not written yet would slow down the measurement.
    nix::unistd::sync();
    let begun = Instant::now();
    let target = Target::launch(Kind::Ours, stage)?;
    let start = begun.elapsed();
    #[allow(clippy::cast_precision_loss)] // KiB of one process
    let resident = resident_kib(target.pid())? as f64 / 1024.0;

    let mut logins = Vec::new();
    let mut talk = None;
    for number in (0..USERS).cycle().take(21) {
        let tls = stage.people.tls(number, false)?;
        drop(talk.take()); // gone before another comes
        let begun = Instant::now();
        talk = Some(enter(&target, stage.people, number, tls, "lobby", stage.dialect).await?);
        logins.push(begun.elapsed());
    }
    let (ear, mouth) = talk.context("a session")?;
    let mut talk = Talk { ear, mouth };
    let middle = count / 2;
    let mut figures = [f64::NAN; 9];
    let (last, others) = figures.split_last_mut().context("figures")?;
    others.copy_from_slice(&[
        millis(start),
        resident,
        micros(median(&mut logins)),
        talk.time(r#""cmd":"conversations""#).await?,
        talk.time(r##""cmd":"history","conversation":"#lobby""##).await?,
        talk.time(&format!(r##""cmd":"history","conversation":"#lobby","before":{middle}"##)).await?,
        talk.time(&format!(r##""cmd":"history","conversation":"#lobby","after":{}"##, count - 50)).await?,
        talk.commits().await?,
    ]);
    *last = millis(restart(stage, target, &mut talk).await?);
    Ok(figures)
}

/// Kills the server while it stores messages; returns the time until another one accepts connections over its data.
async fn restart(stage: &Stage<'_>, target: Target, talk: &mut Talk) -> Result<Duration> {
    let text = "x".repeat(channel::TEXT);
    let lines: String = (0..2_000).map(|_| talk.mouth.public(&text)).collect();
    talk.mouth.say(&lines).await?;
    talk.ear.line().await?;
    drop(target); // SIGKILL
    let begun = Instant::now();
    let target = Target::launch(Kind::Ours, stage)?;
    let tls = stage.people.tls(0, false)?;
    enter(&target, stage.people, 0, tls, "lobby", stage.dialect).await?;
    Ok(begun.elapsed())
}

/// Lets the users say `count` messages in the lobby, straight into the server's store.
async fn fill(stage: &Stage<'_>, count: u64) -> Result<()> {
    let (told, mut outcomes) = outcome_queue();
    let bounds = Bounds { account: u64::MAX, ..Bounds::new(&Limits::default()) };
    let store = SqliteStore::open(&stage.folder.join("data/chat.db"), bounds, told, Commits::default())?;
    let text = SafeText::parse(&"x".repeat(channel::TEXT))?;
    let mut kept = 0;
    for number in 0..count {
        // A message every ten milliseconds, up to now.
        let now = Timestamp::from_millis(now_millis() - i64::try_from(10 * (count - number))?);
        let message = NewMessage {
            to: Conversation::lobby(),
            from: People::name(usize::try_from(number)? % USERS)?,
            id: MessageId::v7(now, rand::random()),
            body: Body::Text(text.clone()),
            now,
        };
        store.append(message, ()).await?;
        while let Some(batch) = outcomes.try_next() {
            kept += batch.outcomes.iter().filter(|((), outcome)| outcome.is_ok()).count() as u64;
        }
    }
    store.close().await;
    while let Some(batch) = outcomes.next().await {
        kept += batch.outcomes.iter().filter(|((), outcome)| outcome.is_ok()).count() as u64;
        if kept == count {
            break;
        }
    }
    ensure!(kept == count, "{kept} of {count} were kept");
    Ok(())
}

/// A session that speaks json.
struct Talk {
    ear: Ear,
    mouth: Mouth,
}

impl Talk {
    /// The median time of a request, in microseconds.
    async fn time(&mut self, members: &str) -> Result<f64> {
        let mut times = Vec::new();
        for _ in 0..REQUESTS {
            times.push(self.ask(members).await?);
        }
        Ok(micros(median(&mut times)))
    }

    /// The median time until a message is answered, in microseconds.
    async fn commits(&mut self) -> Result<f64> {
        let mut times = Vec::new();
        for _ in 0..REQUESTS {
            let id = fresh_id();
            let text = "x".repeat(channel::TEXT);
            let members = format!(r##""cmd":"post","to":"#lobby","message_id":"{id}","text":"{text}""##);
            times.push(self.ask(&members).await?);
        }
        Ok(micros(median(&mut times)))
    }

    async fn ask(&mut self, members: &str) -> Result<Duration> {
        let begun = Instant::now();
        self.mouth.say(&format!("{{\"id\":1,{members}}}\n")).await?;
        loop {
            let line = self.ear.line().await?;
            if line.starts_with(br#"{"id":1,"ok":"#) {
                return Ok(begun.elapsed());
            }
            ensure!(line.starts_with(br#"{"event":"#), "{}", String::from_utf8_lossy(&line));
        }
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
