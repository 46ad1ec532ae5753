//! The lines that were sent, which Up and Down bring back. They are kept as long as the program runs.

/// The most lines that are kept; the oldest go first.
const LINES: usize = 500;

/// The lines, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    lines: Vec<String>,
    /// The index of the line that is shown; `None` while it is the user's draft.
    at: Option<usize>,
    /// The user's draft, while a line is shown.
    draft: String,
}

impl History {
    /// Keeps a line that was sent.
    pub(super) fn push(&mut self, line: &str) {
        self.at = None;
        if self.lines.last().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() >= LINES {
            self.lines.remove(0);
        }
        self.lines.push(line.to_owned());
    }

    /// The line before the one that is shown.
    pub(super) fn older(&mut self, shown: &str) -> Option<&str> {
        let at = self.at.unwrap_or(self.lines.len()).checked_sub(1)?;
        if self.at.is_none() {
            shown.clone_into(&mut self.draft);
        }
        self.at = Some(at);
        self.lines.get(at).map(String::as_str)
    }

    /// The line after the one that is shown; after the last one, the user's draft.
    pub(super) fn newer(&mut self) -> Option<&str> {
        let at = self.at? + 1;
        self.at = (at < self.lines.len()).then_some(at);
        Some(self.lines.get(at).map_or(self.draft.as_str(), String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_newest_first_and_the_draft_after_them() {
        let mut history = History::default();
        assert_eq!(history.older("x"), None);
        for line in ["one", "two", "two"] {
            history.push(line);
        }
        assert_eq!(history.older("mine"), Some("two"));
        assert_eq!(history.older("two"), Some("one"));
        assert_eq!(history.older("one"), None);
        assert_eq!(history.newer(), Some("two"));
        assert_eq!(history.newer(), Some("mine"));
        assert_eq!(history.newer(), None);
    }

    #[test]
    fn the_oldest_lines_are_dropped() {
        let mut history = History::default();
        for number in 0..LINES + 7 {
            history.push(&number.to_string());
        }
        assert_eq!((history.lines.len(), history.lines[0].as_str()), (LINES, "7"));
    }
}
