//! Counts repetitions, so that a flood of the same event neither fills the log nor costs a commit for each.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use parlour_protocol::{DeviceId, Timestamp, UserName};

use super::event::{Detail, Entry, Kind, SecurityEvent};
use crate::network::network;

/// The time for which repetitions are counted before their number is written, in milliseconds.
const COUNTED_MS: i64 = 60_000;

/// The most different events that are remembered for that time. Further ones that strangers can cause are counted
/// only by kind.
const REMEMBERED: usize = 1_024;

/// The most entries that wait to be written. Further events are counted only by kind.
const WAITING: usize = 4_096;

/// The properties that two events must share to count as the same. Only the network of an address counts, because
/// one client may have all of its addresses.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Same {
    kind: Kind,
    user: Option<UserName>,
    device: Option<DeviceId>,
    network: Option<IpAddr>,
    detail: Detail,
}

impl Same {
    fn new(event: &SecurityEvent) -> Self {
        Self {
            kind: event.kind,
            user: event.user.clone(),
            device: event.device.clone(),
            network: event.address.map(network),
            detail: event.detail.clone(),
        }
    }
}

/// The repetitions of an event since it was written.
struct Counted {
    since: Timestamp,
    last: Timestamp,
    event: SecurityEvent,
    times: u64,
}

impl Counted {
    /// Returns true if the minute is over. A clock that was set back ends it as well.
    fn is_over(&self, now: Timestamp) -> bool {
        !(0..COUNTED_MS).contains(&(now.as_millis().saturating_sub(self.since.as_millis())))
    }

    fn entry(self) -> Option<Entry> {
        (self.times > 0).then_some(Entry { time: self.last, event: self.event, times: self.times })
    }
}

/// Entries that wait to be written, and the repetitions counted meanwhile. The first event becomes an entry at once.
/// Those like it in the next minute are counted, and their number becomes one entry when the minute is over.
#[derive(Default)]
pub struct Repeats {
    waiting: VecDeque<Entry>,
    counted: HashMap<Same, Counted>,
    /// Events for which there was no space, by kind.
    others: HashMap<Kind, Counted>,
}

impl Repeats {
    /// Adds an event that happens now.
    pub fn note(&mut self, event: SecurityEvent, now: Timestamp) {
        let same = Same::new(&event);
        if let Some(counted) = self.counted.get_mut(&same)
            && !counted.is_over(now)
        {
            counted.times += 1;
            counted.last = now;
            return;
        }
        if let Some(entry) = self.counted.remove(&same).and_then(Counted::entry) {
            self.waiting.push_back(entry);
        }
        let remembered = self.counted.len() < REMEMBERED;
        if self.waiting.len() >= WAITING || (!remembered && event.kind.is_open_to_strangers()) {
            return self.count_among_others(event.kind, now);
        }
        if remembered {
            let counted = Counted { since: now, last: now, event: event.clone(), times: 0 };
            self.counted.insert(same, counted);
        }
        self.waiting.push_back(Entry { time: now, event, times: 1 });
    }

    fn count_among_others(&mut self, kind: Kind, now: Timestamp) {
        let counted = self.others.entry(kind).or_insert_with(|| {
            let event = SecurityEvent::new(kind).because("too many different ones to write each");
            Counted { since: now, last: now, event, times: 0 }
        });
        counted.times += 1;
        counted.last = now;
    }

    /// Takes the entries to be written now: those that wait, and the numbers of repetitions whose minute is over.
    pub fn take(&mut self, now: Timestamp) -> Vec<Entry> {
        self.take_where(|counted| counted.is_over(now))
    }

    /// Takes all entries and numbers, when nothing more will be counted.
    pub fn take_all(&mut self) -> Vec<Entry> {
        self.take_where(|_| true)
    }

    /// Takes the entries that wait, and the numbers that are due.
    fn take_where(&mut self, is_due: impl Fn(&Counted) -> bool) -> Vec<Entry> {
        let counted = self.counted.extract_if(|_, counted| is_due(counted)).map(|(_, counted)| counted);
        let others = self.others.extract_if(|_, counted| is_due(counted)).map(|(_, counted)| counted);
        let mut numbers: Vec<Entry> = counted.chain(others).filter_map(Counted::entry).collect();
        numbers.sort_by_key(|entry| entry.time);
        self.waiting.drain(..).chain(numbers).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn failed(address: &str) -> SecurityEvent {
        SecurityEvent::new(Kind::LoginFailed)
            .from(address.parse().unwrap())
            .because("the signature does not hold")
    }

    fn seen(entries: &[Entry]) -> Vec<(i64, u64)> {
        entries.iter().map(|entry| (entry.time.as_seconds(), entry.times)).collect()
    }

    #[test]
    fn the_first_event_is_written_at_once_and_its_repetitions_within_a_minute_as_one_number() {
        let mut repeats = Repeats::default();
        for second in 0..10 {
            repeats.note(failed("10.0.0.1"), at(second));
        }
        assert_eq!(seen(&repeats.take(at(10))), [(0, 1)]);
        assert_eq!(seen(&repeats.take(at(59))), []);
        assert_eq!(seen(&repeats.take(at(60))), [(9, 9)]);
        assert_eq!(seen(&repeats.take(at(600))), []);
        repeats.note(failed("10.0.0.1"), at(700));
        assert_eq!(seen(&repeats.take(at(700))), [(700, 1)]);
    }

    #[test]
    fn a_number_whose_minute_is_over_is_written_before_the_next_of_its_kind() {
        let mut repeats = Repeats::default();
        for second in [0, 1, 61] {
            repeats.note(failed("10.0.0.1"), at(second));
        }
        assert_eq!(seen(&repeats.take(at(61))), [(0, 1), (1, 1), (61, 1)]);
        // A clock that was set back does not delay anything.
        repeats.note(failed("10.0.0.1"), at(-100));
        assert_eq!(seen(&repeats.take(at(-100))), [(-100, 1)]);
    }

    #[test]
    fn events_that_differ_are_written_apart_and_a_network_of_ipv6_is_one_address() {
        let mut repeats = Repeats::default();
        for event in [
            failed("10.0.0.1"),
            failed("10.0.0.2"),
            failed("10.0.0.1").of(&"sam".parse().unwrap()),
            failed("10.0.0.1").because("no client certificate"),
            failed("2001:db8::1"),
            failed("2001:db8::2"),
        ] {
            repeats.note(event, at(0));
        }
        assert_eq!(repeats.take(at(0)).len(), 5);
        assert_eq!(seen(&repeats.take_all()), [(0, 1)]);
    }

    #[test]
    fn a_flood_of_different_events_is_bounded_and_does_not_hide_a_login() {
        let mut repeats = Repeats::default();
        for number in 0..100_000_u32 {
            let address = IpAddr::from(number.to_be_bytes());
            repeats.note(SecurityEvent::new(Kind::LoginFailed).from(address), at(0));
            repeats.take(at(0));
        }
        assert!(repeats.counted.len() <= REMEMBERED);
        let login = SecurityEvent::new(Kind::Login).of(&"sam".parse().unwrap());
        repeats.note(login.clone(), at(1));
        assert_eq!(repeats.take(at(1)), [Entry { time: at(1), event: login, times: 1 }]);
        let rest = repeats.take(at(60));
        let [others] = rest.as_slice() else { panic!("{} entries", rest.len()) };
        assert_eq!(others.times, 100_000 - REMEMBERED as u64);
        assert_eq!((others.event.kind, &others.event.address), (Kind::LoginFailed, &None));
    }

    #[test]
    fn the_entries_that_wait_are_bounded_while_nothing_can_be_written() {
        let mut repeats = Repeats::default();
        for number in 0..10_000_u32 {
            let login = SecurityEvent::new(Kind::Login).of(&format!("user{number}").parse().unwrap());
            repeats.note(login, at(0));
        }
        let all = repeats.take_all();
        assert!(all.len() <= WAITING + 1, "{}", all.len());
        assert_eq!(all.iter().map(|entry| entry.times).sum::<u64>(), 10_000);
    }
}
