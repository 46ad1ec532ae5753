//! A channel of many: eight senders at saturation, or one message at a time. CPU seconds of the server
//! for a million deliveries.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::Notify;
use tokio::task::{JoinSet, LocalSet};

use super::{Stage, per_million};
use crate::machine::cpu_seconds;
use crate::target::{Kind, Target};
use crate::visitor::{Ear, Mouth, enter};

/// Senders at saturation.
const SENDERS: usize = 8;

/// Messages that each has under way.
const WINDOW: u64 = 32;

/// Bytes of a message's text.
pub(crate) const TEXT: usize = 100;

/// Seconds of CPU for a million deliveries with eight senders at saturation.
pub(crate) async fn saturated(stage: &Stage<'_>, kind: Kind, members: usize) -> Result<f64> {
    let target = stage.target(kind, members)?;
    let room = Room::fill(stage, &target, members).await?;
    let Room { ears, mut mouths, delivered, .. } = room;
    let mut tasks = JoinSet::new();
    for (number, mut ear) in ears.into_iter().enumerate() {
        let delivered = Rc::clone(&delivered);
        let mark = format!("from-{number} ").into_bytes();
        let own = Rc::new((Cell::new(0_u64), Notify::new()));
        if number < SENDERS {
            let mut mouth = mouths.remove(0);
            let own = Rc::clone(&own);
            tasks.spawn_local(async move {
                let text = format!("{:x<width$}", format!("from-{number} "), width = TEXT);
                let mut sent = 0;
                loop {
                    let room = WINDOW.saturating_sub(sent - own.0.get());
                    if room == 0 {
                        own.1.notified().await;
                        continue;
                    }
                    let lines: String = (0..room).map(|_| mouth.public(&text)).collect();
                    mouth.say(&lines).await?;
                    sent += room;
                }
                #[allow(unreachable_code)] // it ends when the measurement does
                anyhow::Ok(())
            });
        }
        tasks.spawn_local(async move {
            loop {
                ear.lines(|line| {
                    delivered.set(delivered.get() + 1);
                    if number < SENDERS && line.windows(mark.len()).any(|window| window == mark) {
                        own.0.set(own.0.get() + 1);
                        own.1.notify_one();
                    }
                })
                .await?;
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    measure(&target, stage.time, &delivered).await
}

/// Seconds of CPU for a million deliveries when each message is sent after everyone has the last.
pub(crate) async fn single(stage: &Stage<'_>, kind: Kind, members: usize) -> Result<f64> {
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
    let everyone = members as u64;
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
    Ok(per_million(cpu_seconds(target.pid())? - cpu, delivered.get() - from))
}

async fn measure(target: &Target, time: Duration, delivered: &Cell<u64>) -> Result<f64> {
    let (cpu, from) = (cpu_seconds(target.pid())?, delivered.get());
    tokio::time::sleep(time).await;
    Ok(per_million(cpu_seconds(target.pid())? - cpu, delivered.get() - from))
}

/// Everybody in one channel.
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

/// Runs a scenario on one thread.
pub(crate) fn run<T>(scenario: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, scenario)
}
