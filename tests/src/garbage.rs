//! Lines that a well-behaved program would never send, generated from a seed that can be used again.

use parlour_protocol::limits::LINE_BYTES;
use rand::rngs::StdRng;
use rand::seq::{IndexedMutRandom as _, IndexedRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

/// A source of garbage.
pub struct Garbage {
    random: StdRng,
    /// The approximate length of long lines in bytes.
    longest: usize,
}

impl Garbage {
    /// Uses the seed in `PARLOUR_SEED`, or a new one, and prints it so that a failing test shows it.
    pub fn new() -> Self {
        let named = std::env::var("PARLOUR_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed: u64 = named.unwrap_or_else(rand::random);
        println!("garbage: PARLOUR_SEED={seed}");
        Self { random: StdRng::seed_from_u64(seed), longest: 100_000 }
    }

    /// Another source, seeded by this one, with few long lines: for tests that need a very large number.
    #[must_use]
    pub fn quick(&mut self) -> Self {
        Self { random: StdRng::seed_from_u64(self.random.random()), longest: 200 }
    }

    /// Returns true once in `times` calls on average.
    pub fn once_in(&mut self, times: u32) -> bool {
        self.random.random_ratio(1, times)
    }

    /// Returns one of these.
    pub fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices.choose(&mut self.random).copied().unwrap_or_default()
    }

    /// Returns a spoiled line, with its line feed: random bytes, a piece of it, flipped bits, the line twice, JSON
    /// that is never closed, control characters, broken UTF-8, or other values in it.
    pub fn spoil(&mut self, line: &str) -> Vec<u8> {
        let mut bytes = match self.below(10) {
            0 => (0..self.below(300)).map(|_| self.random.random()).collect(),
            1 => line.as_bytes().get(..self.below(line.len() + 1)).unwrap_or_default().to_vec(),
            2 => self.flipped(line),
            3 => [line, line].concat().into_bytes(),
            4 => self.one_of(&["[", "{\"a\":", "\"", "9"]).repeat(self.below(self.longest / 5)).into_bytes(),
            5 => self.pierced(line),
            _ => self.estranged(line),
        };
        bytes.push(b'\n');
        bytes
    }

    /// A line longer than any that is accepted, with its line feed.
    pub fn too_long(&mut self) -> Vec<u8> {
        let mut bytes = vec![b' ' + u8::from(self.once_in(2)); LINE_BYTES + 1 + self.below(100_000)];
        bytes.push(b'\n');
        bytes
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.random_range(0..bound.max(1))
    }

    fn flipped(&mut self, line: &str) -> Vec<u8> {
        let mut bytes = line.as_bytes().to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << self.below(8);
            }
        }
        bytes
    }

    /// The line with bytes inserted that are not UTF-8 or that control a terminal.
    fn pierced(&mut self, line: &str) -> Vec<u8> {
        let mut bytes = line.as_bytes().to_vec();
        let thorn = self.one_of(&["\u{1b}[2J", "\0", "\r", "\u{9b}", "\u{202e}", "\u{7f}", ""]);
        let thorn = if thorn.is_empty() { &b"\xc3\x28\xff"[..] } else { thorn.as_bytes() };
        let at = self.below(bytes.len() + 1);
        bytes.splice(at..at, thorn.iter().copied());
        bytes
    }

    /// The line with one of its values replaced or removed. In a line that is not JSON, its words count as values.
    fn estranged(&mut self, line: &str) -> Vec<u8> {
        let stranger = self.stranger();
        let Ok(mut value) = serde_json::from_str::<Value>(line) else {
            let mut words: Vec<&str> = line.split(' ').collect();
            let stranger = stranger.to_string();
            if let Some(word) = words.choose_mut(&mut self.random) {
                *word = &stranger;
            }
            return words.join(" ").into_bytes();
        };
        let mut places = Vec::new();
        find_places(&value, "", &mut places);
        let place = places.choose(&mut self.random).cloned().unwrap_or_default();
        let (parent, member) = place.rsplit_once('/').unwrap_or_default();
        if self.once_in(4)
            && let Some(Value::Object(object)) = value.pointer_mut(parent)
        {
            object.remove(member);
        } else if let Some(found) = value.pointer_mut(&place) {
            *found = stranger;
        }
        value.to_string().into_bytes()
    }

    fn stranger(&mut self) -> Value {
        let long = "x".repeat(self.below(self.longest));
        let strangers = [
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(0.5),
            json!(1e300),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(1_u64 << 53),
            json!(""),
            json!("\u{1b}]0;x\u{7}\u{202e}\u{9b}\u{0}"),
            json!(long),
            json!("AAAA"),
            json!("@sam"),
            json!("#lobby"),
            json!([]),
            json!({}),
            json!([[], [{}], null]),
            json!({"id": {"id": 1}, "text": "x", "sealed": {}}),
        ];
        strangers.choose(&mut self.random).cloned().unwrap_or_default()
    }
}

impl Default for Garbage {
    fn default() -> Self {
        Self::new()
    }
}

/// JSON pointers to a value and to everything in it.
fn find_places(value: &Value, here: &str, places: &mut Vec<String>) {
    places.push(here.to_owned());
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                find_places(value, &format!("{here}/{name}"), places);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                find_places(value, &format!("{here}/{index}"), places);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
