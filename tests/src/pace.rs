//! Time limits that hold on a busy machine too.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

/// Processor time spent to measure how busy the machine is.
const SAMPLE: Duration = Duration::from_millis(100);

/// Fails when something took `bound` or longer, measured as if the machine did nothing else.
///
/// Other work on the machine delays us, so the bound is stretched by the factor by which a computation of our own
/// is delayed. That is measured only when the bound is exceeded.
pub fn in_time(what: &str, took: Duration, bound: Duration) -> Result<()> {
    if took < bound {
        return Ok(());
    }
    let slowdown = slowdown()?;
    let stretched = bound.mul_f64(slowdown);
    ensure!(
        took < stretched,
        "{what} took {took:?} on a machine that is {slowdown:.1} times slower than alone"
    );
    Ok(())
}

/// The time that a computation takes now, divided by the processor time that it uses; at least 1.
pub fn slowdown() -> Result<f64> {
    let begun = Instant::now();
    let before = processor_time()?;
    loop {
        std::hint::black_box((0..10_000_u64).map(std::hint::black_box).sum::<u64>());
        let used = processor_time()?.saturating_sub(before);
        if used >= SAMPLE {
            return Ok((begun.elapsed().as_secs_f64() / used.as_secs_f64()).max(1.0));
        }
    }
}

/// The processor time of this thread, by getrusage(2).
fn processor_time() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_holds_and_is_not_stretched_without_end() {
        in_time("nothing", Duration::ZERO, Duration::from_secs(1)).unwrap();
        assert!(in_time("a day", Duration::from_hours(24), Duration::from_millis(1)).is_err());
    }
}
