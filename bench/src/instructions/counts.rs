//! Instruction counts, and their comparison with the committed ones.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result};

/// Instructions of one round of each path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counts(BTreeMap<String, u64>);

/// The percentage by which a count may differ from the committed one.
const TOLERANCE: u64 = 10;

/// The result of comparing one count with the committed one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Holds,
    Risen,
    /// The committed one should be lowered, so that a later rise is noticed.
    Fallen,
    /// One of the two is missing.
    Unmatched,
}

/// Counts beside the committed ones: name, committed, new.
pub(crate) struct Comparison(Vec<(String, Option<u64>, Option<u64>)>);

impl FromIterator<(String, u64)> for Counts {
    fn from_iter<I: IntoIterator<Item = (String, u64)>>(counts: I) -> Self {
        Self(counts.into_iter().collect())
    }
}

impl Counts {
    /// Parses lines of a name and a count; `#` begins a comment.
    pub(crate) fn from_text(text: &str) -> Result<Self> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let count = |line: &str| {
            let (name, count) = line.split_once(' ')?;
            Some((name.to_owned(), count.trim().parse().ok()?))
        };
        lines.map(|line| count(line).with_context(|| format!("not a name and a count: {line}"))).collect()
    }

    /// Writes the counts in the form that `from_text` reads.
    pub(crate) fn to_text(&self, taken_with: &str) -> String {
        let head = format!(
            "# Instructions of one round of each hot path. Written by `make instructions UPDATE=1`, with\n# {taken_with}.\n"
        );
        self.0.iter().fold(head, |text, (name, count)| text + &format!("{name:<22}{count:>9}\n"))
    }

    /// Compares these committed counts with new ones.
    pub(crate) fn compare(&self, now: &Self) -> Comparison {
        let names = self.0.keys().chain(now.0.keys().filter(|name| !self.0.contains_key(*name)));
        let beside = |name: &String| (name.clone(), self.0.get(name).copied(), now.0.get(name).copied());
        Comparison(names.map(beside).collect())
    }
}

fn judge(committed: Option<u64>, now: Option<u64>) -> Verdict {
    match (committed, now) {
        (Some(committed), Some(now)) if now * 100 > committed * (100 + TOLERANCE) => Verdict::Risen,
        (Some(committed), Some(now)) if now * 100 < committed * (100 - TOLERANCE) => Verdict::Fallen,
        (Some(_), Some(_)) => Verdict::Holds,
        _ => Verdict::Unmatched,
    }
}

impl Comparison {
    /// Returns true if no count has risen and no path is missing on either side.
    pub(crate) fn holds(&self) -> bool {
        let mut verdicts = self.0.iter().map(|(_, committed, now)| judge(*committed, *now));
        verdicts.all(|verdict| matches!(verdict, Verdict::Holds | Verdict::Fallen))
    }
}

/// Writes the table.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<22}{:>10}{:>10}{:>10}", "path", "committed", "now", "change")?;
        for (name, committed, now) in &self.0 {
            let number = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
            let remark = match judge(*committed, *now) {
                Verdict::Holds => "",
                Verdict::Risen => "  RISEN",
                Verdict::Fallen => "  fallen: keep it so with UPDATE=1",
                Verdict::Unmatched => "  UNMATCHED",
            };
            let change = change(*committed, *now);
            writeln!(f, "{name:<22}{:>10}{:>10}{change:>10}{remark}", number(*committed), number(*now))?;
        }
        Ok(())
    }
}

fn change(committed: Option<u64>, now: Option<u64>) -> String {
    let (Some(committed), Some(now)) = (committed, now) else { return String::new() };
    #[allow(clippy::cast_precision_loss)] // far fewer than 2^52 instructions
    let ratio = now as f64 / committed as f64;
    format!("{:+.1} %", (ratio - 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(count: u64) -> Counts {
        Counts::from_iter([("path".to_owned(), count)])
    }

    #[test]
    fn a_rise_of_eleven_percent_fails_and_of_nine_passes() {
        assert!(!one(10_000).compare(&one(11_100)).holds());
        assert!(one(10_000).compare(&one(10_900)).holds());
        assert!(one(10_000).compare(&one(11_000)).holds());
        assert!(!one(10_000).compare(&one(11_001)).holds());
    }

    #[test]
    fn a_fall_passes_and_is_reported_if_it_exceeds_ten_percent() {
        let fallen = one(10_000).compare(&one(8_900));
        assert!(fallen.holds());
        assert!(fallen.to_string().contains("-11.0 %  fallen"));
        assert!(!one(10_000).compare(&one(9_100)).to_string().contains("fallen"));
    }

    #[test]
    fn a_path_that_only_one_side_has_fails() {
        let none = Counts::from_iter([]);
        assert!(!none.compare(&one(1)).holds());
        assert!(!one(1).compare(&none).holds());
    }

    #[test]
    fn counts_are_read_back_as_they_were_written() {
        let counts = Counts::from_iter([("a".to_owned(), 1), ("b".to_owned(), 22_222_222)]);
        assert_eq!(Counts::from_text(&counts.to_text("x 1, y 2")).unwrap(), counts);
        assert!(Counts::from_text("a\n").is_err());
        assert!(Counts::from_text("a b\n").is_err());
    }
}
