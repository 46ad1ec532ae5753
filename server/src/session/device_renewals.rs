//! Counts renewals by device: the TTP keeps every certificate for ever, so their number is limited.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use parlour_protocol::DeviceId;

/// Counts renewals by device, in periods that begin with the first. Renewals that fail are taken back, so only devices
/// known to the TTP are remembered, and those whose request is under way. Time is an argument.
pub struct RenewalsByDevice {
    most: u64,
    period: Duration,
    devices: Mutex<Devices>,
}

#[derive(Default)]
struct Devices {
    counts: HashMap<DeviceId, Count>,
    /// With more devices than this, those whose period is over are forgotten.
    sweep_above: usize,
}

struct Count {
    since: Instant,
    renewals: u64,
}

impl RenewalsByDevice {
    /// At most `most` in each period.
    pub fn new(most: u64, period: Duration) -> Self {
        Self { most, period, devices: Mutex::default() }
    }

    /// Counts a renewal. `Err` has the seconds until another is allowed.
    pub fn begin(&self, device: &DeviceId, now: Instant) -> Result<(), u64> {
        let mut devices = self.devices();
        if devices.counts.len() > devices.sweep_above {
            devices.counts.retain(|_, count| now.saturating_duration_since(count.since) < self.period);
            devices.sweep_above = devices.counts.len().saturating_mul(2).max(1_024);
        }
        let count = devices.counts.entry(device.clone()).or_insert(Count { since: now, renewals: 0 });
        let spent = now.saturating_duration_since(count.since);
        if spent >= self.period {
            *count = Count { since: now, renewals: 0 };
        }
        if count.renewals >= self.most {
            return Err(self.period.saturating_sub(spent).as_secs() + 1);
        }
        count.renewals += 1;
        Ok(())
    }

    /// Takes back a renewal that failed.
    pub fn take_back(&self, device: &DeviceId) {
        let mut devices = self.devices();
        if let Some(count) = devices.counts.get_mut(device) {
            count.renewals = count.renewals.saturating_sub(1);
            if count.renewals == 0 {
                devices.counts.remove(device);
            }
        }
    }

    fn devices(&self) -> MutexGuard<'_, Devices> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn device(number: u64) -> DeviceId {
        format!("{number:016x}").parse().unwrap()
    }

    #[test]
    fn each_device_has_its_renewals_in_an_hour_and_failed_ones_do_not_count() {
        let renewals = RenewalsByDevice::new(2, HOUR);
        let begun = Instant::now();
        for _ in 0..10 {
            renewals.begin(&device(1), begun).unwrap();
            renewals.take_back(&device(1));
        }
        assert!(renewals.devices().counts.is_empty());
        assert_eq!(renewals.begin(&device(1), begun), Ok(()));
        assert_eq!(renewals.begin(&device(1), begun), Ok(()));
        assert_eq!(renewals.begin(&device(1), begun + HOUR / 2), Err(1_801));
        assert_eq!(renewals.begin(&device(2), begun), Ok(()));
        assert_eq!(renewals.begin(&device(1), begun + HOUR), Ok(()));
    }

    #[test]
    fn devices_whose_hour_is_over_are_forgotten_when_there_are_many() {
        let renewals = RenewalsByDevice::new(2, HOUR);
        let begun = Instant::now();
        for number in 0..2_000 {
            renewals.begin(&device(number), begun).unwrap();
        }
        assert_eq!(renewals.devices().counts.len(), 2_000);
        for number in 2_000..5_000 {
            renewals.begin(&device(number), begun + HOUR).unwrap();
        }
        assert!(renewals.devices().counts.len() <= 3_000);
    }
}
