//! Limits on attempts that cost the server something: registrations, renewals, and failed logins.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use parlour_protocol::{DeviceId, Limits};

use crate::network::network;
use crate::session::device_renewals::RenewalsByDevice;
use crate::session::lockout::Lockouts;

/// The number of addresses, and of devices at addresses, that are remembered. With more, those that have recovered are
/// forgotten.
const REMEMBERED: usize = 65_536;

/// Counts attempts by address, and also by device where its key is proven.
pub struct Attempts {
    registrations: Rate,
    renewals: Rate,
    renewals_by_device: RenewalsByDevice,
    lockouts: Mutex<Lockouts>,
}

impl Attempts {
    /// No attempts yet.
    pub fn new(limits: &Limits) -> Self {
        let hour = Duration::from_hours(1);
        Self {
            registrations: Rate::new(quota(limits.registrations_per_hour, hour), REMEMBERED),
            renewals: Rate::new(quota(limits.renewals_per_hour, hour), REMEMBERED),
            renewals_by_device: RenewalsByDevice::new(limits.renewals_per_device, hour),
            lockouts: Mutex::new(Lockouts::new(limits, REMEMBERED)),
        }
    }

    /// Counts a registration. `Err` has the seconds until another is allowed.
    pub fn register(&self, address: IpAddr) -> Result<(), u64> {
        self.registrations.attempt(network(address))
    }

    /// Counts a renewal. `Err` has the seconds until another is allowed.
    pub fn renew(&self, address: IpAddr) -> Result<(), u64> {
        self.renewals.attempt(network(address))
    }

    /// Counts a renewal by a device that has proven its key. `Err` has the seconds until another is allowed.
    pub fn renew_device(&self, device: &DeviceId) -> Result<(), u64> {
        self.renewals_by_device.begin(device, Instant::now())
    }

    /// Takes back what [`renew_device`](Self::renew_device) counted, since no certificate was issued.
    pub fn not_renewed(&self, device: &DeviceId) {
        self.renewals_by_device.take_back(device);
    }

    /// Refuses a login while its device is locked out at its address. `Err` has the seconds until the end of that.
    pub fn may_login(&self, address: IpAddr, device: &DeviceId) -> Result<(), u64> {
        let left = self.lockouts().locked(&(network(address), device.clone()), Instant::now());
        left.map_or(Ok(()), |left| Err(left.as_secs() + 1))
    }

    /// Counts a failed login. If its device is locked out at its address now, returns for how long.
    pub fn login_failed(&self, address: IpAddr, device: &DeviceId) -> Option<Duration> {
        self.lockouts().failed(&(network(address), device.clone()), Instant::now())
    }

    fn lockouts(&self) -> MutexGuard<'_, Lockouts> {
        self.lockouts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number of attempts in a period, for each address.
struct Rate {
    limiter: RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, DefaultClock>,
    /// The number of addresses up to which none is forgotten.
    remembered: usize,
    /// With more addresses than this, those that have recovered are forgotten.
    sweep_above: AtomicUsize,
}

impl Rate {
    fn new(quota: Quota, remembered: usize) -> Self {
        Self { limiter: RateLimiter::keyed(quota), remembered, sweep_above: AtomicUsize::new(remembered) }
    }

    fn attempt(&self, address: IpAddr) -> Result<(), u64> {
        self.sweep_when_due();
        self.limiter.check_key(&address).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            wait.as_secs() + 1
        })
    }

    /// Forgets addresses that have recovered. A sweep looks at every address, so the next one waits until there are
    /// twice as many as this one left. Returns true if it swept.
    fn sweep_when_due(&self) -> bool {
        if self.limiter.len() <= self.sweep_above.load(Ordering::Relaxed) {
            return false;
        }
        self.limiter.retain_recent();
        let next = self.limiter.len().saturating_mul(2).max(self.remembered);
        self.sweep_above.store(next, Ordering::Relaxed);
        true
    }
}

/// A number of attempts at once, regained evenly over the period.
fn quota(count: u64, period: Duration) -> Quota {
    let count = NonZeroU32::new(u32::try_from(count).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(period / count.get()).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(assignment: &str) -> Attempts {
        let mut limits = Limits::default();
        limits.set(assignment).unwrap();
        Attempts::new(&limits)
    }

    fn device(number: u8) -> DeviceId {
        format!("{number:016x}").parse().unwrap()
    }

    fn here() -> IpAddr {
        "127.0.0.1".parse().unwrap()
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn failed_logins_lock_out_their_device_at_their_address_alone() {
        let attempts = attempts("failed_logins_per_minute=2");
        for locked in [None, Some(Duration::from_mins(1))] {
            assert_eq!(attempts.may_login(here(), &device(1)), Ok(()));
            assert_eq!(attempts.login_failed(here(), &device(1)), locked);
        }
        assert!(attempts.may_login(here(), &device(1)).is_err_and(|seconds| (1..=61).contains(&seconds)));
        // Neither another device there nor this one elsewhere.
        assert_eq!(attempts.may_login(here(), &device(2)), Ok(()));
        assert_eq!(attempts.may_login("10.0.0.1".parse().unwrap(), &device(1)), Ok(()));
    }

    #[test]
    fn registrations_are_bounded_by_address() {
        let attempts = attempts("registrations_per_hour=2");
        assert_eq!((attempts.register(here()), attempts.register(here())), (Ok(()), Ok(())));
        assert!(attempts.register(here()).is_err_and(|seconds| seconds > 60));
        assert_eq!(attempts.register("10.0.0.1".parse().unwrap()), Ok(()));
    }

    #[test]
    fn many_addresses_that_have_not_recovered_are_not_searched_at_each_attempt() {
        let rate = Rate::new(quota(1, Duration::from_hours(1)), 10);
        let mut sweeps = 0;
        for number in 0..1_000 {
            sweeps += usize::from(rate.sweep_when_due());
            assert_eq!(rate.attempt(address(number)), Ok(()));
        }
        assert!((1..=8).contains(&sweeps), "{sweeps} sweeps");
        // None was forgotten: each has used up what it had.
        assert!((0..1_000).all(|number| rate.attempt(address(number)).is_err()));
    }

    #[test]
    fn addresses_that_have_recovered_are_forgotten_when_there_are_many() {
        let rate = Rate::new(quota(1_000_000, Duration::from_secs(1)), 10);
        for number in 0..1_000 {
            assert_eq!(rate.attempt(address(number)), Ok(()));
        }
        assert!(rate.limiter.len() < 1_000, "{} are remembered", rate.limiter.len());
    }
}
