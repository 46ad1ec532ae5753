//! Lockouts after too many failed logins, by address and by the device that proved its key in the handshake. So other
//! devices behind the same address are not affected, nor is the same device elsewhere if its key was stolen. Names are
//! never locked out: nobody can lock out somebody else.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parlour_protocol::{DeviceId, Limits};

const MINUTE: Duration = Duration::from_mins(1);

/// An address and a device there, whose failed logins are counted together.
pub type Claimant = (IpAddr, DeviceId);

/// Counts failed logins. Time is an argument.
pub struct Lockouts {
    rules: Rules,
    claimants: HashMap<Claimant, Failures>,
    /// The most claimants that are remembered.
    room: usize,
}

#[derive(Clone, Copy)]
struct Rules {
    /// The number of failures in a minute that leads to a lockout.
    most: u64,
    /// The first lockout.
    first: Duration,
    /// The longest.
    longest: Duration,
    /// The time for which a lockout is remembered after it is over.
    memory: Duration,
}

/// The failed logins of one claimant.
struct Failures {
    /// The beginning of the minute in which failures are counted.
    since: Instant,
    count: u64,
    /// The number of lockouts since the last long pause.
    lockouts: u32,
    /// The end of the last lockout.
    until: Option<Instant>,
}

impl Failures {
    fn new(now: Instant) -> Self {
        Self { since: now, count: 0, lockouts: 0, until: None }
    }

    fn locked(&self, now: Instant) -> Option<Duration> {
        let left = self.until?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    fn in_memory(&self, now: Instant, memory: Duration) -> bool {
        self.until.is_some_and(|until| now.saturating_duration_since(until) < memory)
    }

    fn in_minute(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < MINUTE
    }
}

impl Lockouts {
    /// No login has failed yet. At most `room` claimants are remembered.
    pub fn new(limits: &Limits, room: usize) -> Self {
        let first = Duration::from_secs(limits.lockout_seconds);
        let rules = Rules {
            most: limits.failed_logins_per_minute,
            first,
            longest: Duration::from_secs(limits.longest_lockout_seconds).max(first),
            memory: Duration::from_secs(limits.lockout_memory_seconds),
        };
        Self { rules, claimants: HashMap::new(), room }
    }

    /// The time for which a claimant is still locked out, if it is.
    pub fn locked(&self, claimant: &Claimant, now: Instant) -> Option<Duration> {
        self.claimants.get(claimant)?.locked(now)
    }

    /// Counts a failed login. If the claimant is locked out now, returns for how long.
    pub fn failed(&mut self, claimant: &Claimant, now: Instant) -> Option<Duration> {
        let rules = self.rules;
        if !self.claimants.contains_key(claimant) && !self.make_room(now) {
            return None;
        }
        let failures = self.claimants.entry(claimant.clone()).or_insert_with(|| Failures::new(now));
        if failures.locked(now).is_some() {
            // This login was under way when the lockout began.
            return None;
        }
        if !failures.in_memory(now, rules.memory) {
            failures.lockouts = 0;
            failures.until = None;
        }
        if !failures.in_minute(now) {
            failures.since = now;
            failures.count = 0;
        }
        failures.count += 1;
        if failures.count < rules.most {
            return None;
        }
        let wait = rules.first.saturating_mul(2_u32.saturating_pow(failures.lockouts)).min(rules.longest);
        failures.lockouts = failures.lockouts.saturating_add(1);
        failures.until = now.checked_add(wait);
        failures.count = 0;
        Some(wait)
    }

    /// Makes room for another claimant, and returns false if there is none. It forgets those without recent failures
    /// first, then all that are not locked out.
    fn make_room(&mut self, now: Instant) -> bool {
        if self.claimants.len() >= self.room {
            let memory = self.rules.memory;
            self.claimants.retain(|_, failures| failures.in_minute(now) || failures.in_memory(now, memory));
        }
        if self.claimants.len() >= self.room {
            self.claimants.retain(|_, failures| failures.locked(now).is_some());
        }
        self.claimants.len() < self.room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn lockouts(room: usize) -> Lockouts {
        Lockouts::new(&Limits::default(), room)
    }

    fn claimant(last: u8) -> Claimant {
        ([10, 0, 0, last].into(), "1".repeat(16).parse().unwrap())
    }

    /// Fails until the claimant is locked out, and returns for how many minutes.
    fn fail(lockouts: &mut Lockouts, claimant: &Claimant, now: Instant) -> u64 {
        for _ in 1..10 {
            assert_eq!(lockouts.failed(claimant, now), None);
            assert_eq!(lockouts.locked(claimant, now), None);
        }
        let wait = lockouts.failed(claimant, now).unwrap();
        assert_eq!(lockouts.locked(claimant, now), Some(wait));
        wait.as_secs() / 60
    }

    #[test]
    fn each_further_lockout_within_an_hour_lasts_twice_as_long_up_to_an_hour() {
        let mut lockouts = lockouts(10);
        let mut now = Instant::now();
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(fail(&mut lockouts, &claimant(1), now), minutes);
            now += Duration::from_secs(minutes * 60 - 1);
            assert_eq!(lockouts.locked(&claimant(1), now), Some(Duration::from_secs(1)));
            now += Duration::from_secs(1);
            assert_eq!(lockouts.locked(&claimant(1), now), None);
            // Failures of others are counted separately.
            assert_eq!(lockouts.locked(&claimant(2), now), None);
            now += Duration::from_secs(3_599);
        }
    }

    #[test]
    fn after_an_hour_without_lockouts_the_first_one_is_short_again() {
        let mut lockouts = lockouts(10);
        let now = Instant::now();
        assert_eq!(fail(&mut lockouts, &claimant(1), now), 1);
        assert_eq!(fail(&mut lockouts, &claimant(1), now + Duration::from_mins(1)), 2);
        assert_eq!(fail(&mut lockouts, &claimant(1), now + Duration::from_mins(3) + HOUR), 1);
    }

    #[test]
    fn nine_failures_in_a_minute_lock_nobody_out_and_neither_do_logins_already_under_way() {
        let mut lockouts = lockouts(10);
        let mut now = Instant::now();
        for _ in 0..20 {
            for _ in 1..10 {
                assert_eq!(lockouts.failed(&claimant(1), now), None);
            }
            now += MINUTE;
        }
        assert_eq!(fail(&mut lockouts, &claimant(1), now), 1);
        for _ in 0..100 {
            assert_eq!(lockouts.failed(&claimant(1), now + Duration::from_secs(1)), None);
        }
        assert_eq!(fail(&mut lockouts, &claimant(1), now + MINUTE), 2);
    }

    #[test]
    fn memory_is_bounded_and_lockouts_are_not_forgotten() {
        let mut lockouts = lockouts(10);
        let now = Instant::now();
        for last in 0..5 {
            fail(&mut lockouts, &claimant(last), now);
        }
        for last in 5..=255 {
            lockouts.failed(&claimant(last), now);
            assert!(lockouts.claimants.len() <= 10);
        }
        for last in 0..5 {
            assert!(lockouts.locked(&claimant(last), now).is_some());
        }
        // Once all are locked out, further addresses are not counted.
        for last in 5..10 {
            fail(&mut lockouts, &claimant(last), now);
        }
        for _ in 0..20 {
            assert_eq!(lockouts.failed(&claimant(99), now), None);
        }
        assert_eq!(lockouts.claimants.len(), 10);
        fail(&mut lockouts, &claimant(99), now + HOUR * 3);
        assert_eq!(lockouts.claimants.len(), 1);
    }
}
