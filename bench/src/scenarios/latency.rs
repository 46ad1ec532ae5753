//! Ten thousand deliveries a second in a channel of 200: how long a message takes, from before its
//! sender's write to after each receiver's parse.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Stage;
use super::channel::{Room, TEXT};
use crate::target::Kind;

const MEMBERS: usize = 200;
const EVERY: Duration = Duration::from_millis(20); // 50 messages a second to 200 members

/// The median and the 99th percentile, in microseconds.
pub(crate) async fn percentiles(stage: &Stage<'_>, kind: Kind) -> Result<(f64, f64)> {
    let target = stage.target(kind, MEMBERS)?;
    let Room { ears, mut mouths, .. } = Room::fill(stage, &target, MEMBERS).await?;
    let histogram = Rc::new(RefCell::new(Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for mut ear in ears {
        let histogram = Rc::clone(&histogram);
        tasks.spawn_local(async move {
            loop {
                ear.lines(|line| {
                    let now = begun.elapsed();
                    if let Some(sent) = stamp(line) {
                        let micros = now.saturating_sub(sent).as_micros();
                        histogram.borrow_mut().saturating_record(u64::try_from(micros).unwrap_or(u64::MAX));
                    }
                })
                .await?;
            }
            #[allow(unreachable_code)] // it ends when the measurement does
            anyhow::Ok(())
        });
    }
    let mut mouth = mouths.remove(0);
    let mut beat = tokio::time::interval(EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let warm = Duration::from_secs(1);
    let mut warmed = false;
    while begun.elapsed() < stage.time + warm {
        beat.tick().await;
        if !warmed && begun.elapsed() >= warm {
            warmed = true;
            histogram.borrow_mut().reset();
        }
        let text = format!("t={} ", begun.elapsed().as_nanos());
        mouth.say(&mouth.public(&format!("{text:x<TEXT$}"))).await?;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let histogram = histogram.borrow();
    anyhow::ensure!(!histogram.is_empty(), "nothing was delivered");
    let at = |quantile: f64| {
        #[allow(clippy::cast_precision_loss)] // microseconds
        let value = histogram.value_at_quantile(quantile) as f64;
        value
    };
    Ok((at(0.5), at(0.99)))
}

/// The moment in a message: nanoseconds after the scenario began.
fn stamp(line: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(line).ok()?;
    let (_, rest) = text.split_once("t=")?;
    let digits = rest.split_once(' ').context("a stamp").ok()?.0;
    digits.parse().ok().map(Duration::from_nanos)
}
