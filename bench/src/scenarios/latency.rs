//! Ten thousand deliveries a second in a channel of 200: the time of a message, from before its sender's write to
//! after each receiver's parse.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Stage;
use super::channel::{Room, TEXT};
use crate::target::Kind;
use crate::visitor::{Ear, Mouth};

pub(crate) const MEMBERS: usize = 200;
const EVERY: Duration = Duration::from_millis(20); // 50 messages a second to 200 members

/// The time limit for a message to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// The median and the 99th percentile, in microseconds.
pub(crate) async fn percentiles(stage: &Stage<'_>, kind: Kind) -> Result<(f64, f64)> {
    let target = stage.target(kind, MEMBERS)?;
    let Room { ears, mut mouths, .. } = Room::fill(stage, &target, MEMBERS).await?;
    let mut mouth = mouths.remove(0);
    let mut listening = Listening::to(ears)?;
    listening.measure(&mut mouth, stage.time).await
}

/// Members who record how long each message took.
pub(crate) struct Listening {
    histogram: Rc<RefCell<Histogram<u64>>>,
    /// The number of lines that all of them have received, and a signal when it grows.
    heard: Rc<(Cell<usize>, Notify)>,
    begun: Instant,
    tasks: JoinSet<Result<()>>,
}

impl Listening {
    /// Starts to listen.
    pub(crate) fn to(ears: Vec<Ear>) -> Result<Self> {
        let histogram = Rc::new(RefCell::new(Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?));
        let heard = Rc::new((Cell::new(0), Notify::new()));
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for mut ear in ears {
            let (histogram, heard) = (Rc::clone(&histogram), Rc::clone(&heard));
            tasks.spawn_local(async move {
                loop {
                    ear.lines(|line| {
                        let now = begun.elapsed();
                        heard.0.set(heard.0.get() + 1);
                        if let Some(sent) = stamp(line) {
                            let micros = now.saturating_sub(sent).as_micros();
                            let micros = u64::try_from(micros).unwrap_or(u64::MAX);
                            histogram.borrow_mut().saturating_record(micros);
                        }
                    })
                    .await?;
                    heard.1.notify_one();
                }
            });
        }
        Ok(Self { histogram, heard, begun, tasks })
    }

    /// Posts a message and waits until all members have it.
    pub(crate) async fn hear_all(&self, mouth: &mut Mouth, text: &str) -> Result<()> {
        let wanted = self.heard.0.get() + self.tasks.len();
        mouth.say(&mouth.public(text)).await?;
        while self.heard.0.get() < wanted {
            tokio::time::timeout(PATIENCE, self.heard.1.notified())
                .await
                .context("somebody hears nothing")?;
        }
        Ok(())
    }

    /// Posts 50 messages a second for this time; returns the median and the 99th percentile, in microseconds.
    pub(crate) async fn measure(&mut self, mouth: &mut Mouth, time: Duration) -> Result<(f64, f64)> {
        let mut beat = tokio::time::interval(EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let warm = Duration::from_secs(1);
        let from = Instant::now();
        let mut warmed = false;
        while from.elapsed() < time + warm {
            beat.tick().await;
            if !warmed && from.elapsed() >= warm {
                warmed = true;
                self.histogram.borrow_mut().reset();
            }
            let text = format!("t={} ", self.begun.elapsed().as_nanos());
            mouth.say(&mouth.public(&format!("{text:x<TEXT$}"))).await?;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let histogram = self.histogram.borrow();
        anyhow::ensure!(!histogram.is_empty(), "nothing was delivered");
        anyhow::ensure!(self.tasks.len() >= MEMBERS, "somebody was cut off");
        let at = |quantile: f64| {
            #[allow(clippy::cast_precision_loss)] // microseconds
            let value = histogram.value_at_quantile(quantile) as f64;
            value
        };
        Ok((at(0.5), at(0.99)))
    }
}

/// The moment in a message: nanoseconds after the scenario began.
pub(super) fn stamp(line: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(line).ok()?;
    let (_, rest) = text.split_once("t=")?;
    let digits = rest.split_once(' ').context("a stamp").ok()?.0;
    digits.parse().ok().map(Duration::from_nanos)
}
