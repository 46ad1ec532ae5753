//! A channel with many members: eight senders at saturation, or one message at a time. CPU seconds of the server
//! for a million deliveries, and the time of a message at saturation.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use tokio::sync::Notify;
use tokio::task::{JoinSet, LocalSet};

use super::latency::stamp;
use super::{Stage, per_million};
use crate::machine::cpu_seconds;
use crate::report::Figures;
use crate::target::{Kind, Target};
use crate::visitor::{Ear, Mouth, enter};

/// Senders at saturation.
const SENDERS: usize = 8;

/// Messages under way at saturation, in total: those that have not come back to their sender.
const IN_FLIGHT: u64 = 128;

/// The same for the table.
pub(crate) const IN_FLIGHT_TEXT: &str = "128";

/// Messages that each sender has under way.
const WINDOW: u64 = IN_FLIGHT / SENDERS as u64;

/// One member in this many records how long each message took, because reading the time costs the load generator.
const LISTENERS: usize = 8;

/// Bytes of a message's text.
pub(crate) const TEXT: usize = 100;

/// The time limit for a scenario.
const PATIENCE: Duration = Duration::from_mins(5);

/// The number of one sender's messages that came back, and a signal when it grows.
type Returned = Rc<(Cell<u64>, Notify)>;

/// Seconds of CPU for a million deliveries with eight senders at saturation, and the 99th percentile.
pub(crate) async fn saturated(stage: &Stage<'_>, kind: Kind, members: usize) -> Result<Figures> {
    let target = stage.target(kind, members)?;
    let Room { ears, mouths, delivered, .. } = Room::fill(stage, &target, members).await?;
    let begun = Instant::now();
    let latency = Rc::new(RefCell::new(Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?));
    let returned: Vec<Returned> = (0..SENDERS).map(|_| Rc::default()).collect();
    // If a sender does not receive its own messages, another member receives them in its place.
    let offset = if mouths.first().is_some_and(Mouth::echoes) { 0 } else { SENDERS };
    let mut tasks = JoinSet::new();
    for (number, (mouth, returned)) in mouths.into_iter().zip(&returned).enumerate() {
        tasks.spawn_local(talk(mouth, number, Rc::clone(returned), begun));
    }
    for (number, mut ear) in ears.into_iter().enumerate() {
        let (delivered, latency) = (Rc::clone(&delivered), Rc::clone(&latency));
        let listens = number % LISTENERS == 0;
        let sender = number.checked_sub(offset).and_then(|sender| Some((sender, returned.get(sender)?)));
        let sender = sender.map(|(sender, own)| (format!("from-{sender} ").into_bytes(), Rc::clone(own)));
        tasks.spawn_local(async move {
            loop {
                ear.lines(|line| {
                    delivered.set(delivered.get() + 1);
                    if let Some(sent) = listens.then(|| stamp(line)).flatten() {
                        let micros = begun.elapsed().saturating_sub(sent).as_micros();
                        latency.borrow_mut().saturating_record(u64::try_from(micros).unwrap_or(u64::MAX));
                    }
                    if let Some((mark, own)) = &sender
                        && line.windows(mark.len()).any(|window| window == mark.as_slice())
                    {
                        own.0.set(own.0.get() + 1);
                        own.1.notify_one();
                    }
                })
                .await?;
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    latency.borrow_mut().reset();
    let cost = measure(&target, stage.time, &delivered).await?;
    #[allow(clippy::cast_precision_loss)] // microseconds
    let p99 = latency.borrow().value_at_quantile(0.99) as f64 / 1e3;
    Ok(Figures { cost, p99: Some(p99) })
}

/// Posts while fewer messages are under way than the window allows.
async fn talk(mut mouth: Mouth, number: usize, returned: Returned, begun: Instant) -> Result<()> {
    let mut sent = 0;
    loop {
        let room = WINDOW.saturating_sub(sent - returned.0.get());
        if room == 0 {
            returned.1.notified().await;
            continue;
        }
        let text = format!("from-{number} t={} ", begun.elapsed().as_nanos());
        let line = mouth.public(&format!("{text:x<TEXT$}"));
        mouth.say(&line.repeat(usize::try_from(room)?)).await?;
        sent += room;
    }
}

/// Seconds of CPU for a million deliveries when each message is sent after everyone has the last.
pub(crate) async fn single(stage: &Stage<'_>, kind: Kind, members: usize) -> Result<Figures> {
    let target = stage.target(kind, members)?;
    let Room { ears, mut mouths, delivered, arrived } = Room::fill(stage, &target, members).await?;
    let mut tasks = JoinSet::new();
    for mut ear in ears {
        let (delivered, arrived) = (Rc::clone(&delivered), Rc::clone(&arrived));
        tasks.spawn_local(async move {
            loop {
                ear.lines(|_| delivered.set(delivered.get() + 1)).await?;
                arrived.notify_one();
            }
            #[allow(unreachable_code)] // it ends when the measurement does
            anyhow::Ok(())
        });
    }
    let mut mouth = mouths.remove(0);
    let text = format!("{:x<TEXT$}", "");
    let everyone = members as u64 - u64::from(!mouth.echoes());
    let begun = Instant::now();
    let (mut cpu, mut from) = (cpu_seconds(target.pid())?, 0);
    let mut warm = false;
    while begun.elapsed() < stage.time + Duration::from_secs(1) {
        if !warm && begun.elapsed() >= Duration::from_secs(1) {
            warm = true;
            (cpu, from) = (cpu_seconds(target.pid())?, delivered.get());
        }
        let wanted = delivered.get() + everyone;
        mouth.say(&mouth.public(&text)).await?;
        while delivered.get() < wanted {
            arrived.notified().await;
        }
    }
    Ok(per_million(cpu_seconds(target.pid())? - cpu, delivered.get() - from).into())
}

async fn measure(target: &Target, time: Duration, delivered: &Cell<u64>) -> Result<f64> {
    let (cpu, from) = (cpu_seconds(target.pid())?, delivered.get());
    tokio::time::sleep(time).await;
    Ok(per_million(cpu_seconds(target.pid())? - cpu, delivered.get() - from))
}

/// A channel with all connections in it.
pub(crate) struct Room {
    pub(crate) ears: Vec<Ear>,
    pub(crate) mouths: Vec<Mouth>,
    pub(crate) delivered: Rc<Cell<u64>>,
    pub(crate) arrived: Rc<Notify>,
}

impl Room {
    pub(crate) async fn fill(stage: &Stage<'_>, target: &Target, members: usize) -> Result<Self> {
        let mut room =
            Self { ears: Vec::new(), mouths: Vec::new(), delivered: Rc::default(), arrived: Rc::default() };
        for number in 0..members {
            let tls = stage.people.tls(number, false)?;
            let (ear, mouth) = enter(target, stage.people, number, tls, "lobby", stage.dialect).await?;
            room.ears.push(ear);
            room.mouths.push(mouth);
        }
        Ok(room)
    }
}

/// Runs a scenario on one thread, with a time limit: one that hangs because a message was lost fails.
pub(crate) fn run<T>(scenario: impl Future<Output = Result<T>>) -> Result<T> {
    unhurried(async { tokio::time::timeout(PATIENCE, scenario).await.context("it does not come to an end")? })
}

/// Like [`run`], without a time limit.
pub(crate) fn unhurried<T>(scenario: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, scenario)
}
