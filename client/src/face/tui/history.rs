//! The lines that were sent, which Up and Down bring back. They are kept as long as the program runs. A text is offered
//! in its own conversation alone, so that it cannot be sent to another one by mistake.

use parlour_protocol::Conversation;

use crate::face::words;

/// The most lines that are kept; the oldest go first.
const LINES: usize = 500;

/// The lines, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    lines: Vec<Line>,
    /// The index of the line that is shown; `None` while it is the user's draft.
    at: Option<usize>,
    /// The user's draft, while a line is shown.
    draft: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    text: String,
    /// The conversation that a text is for; `None` for a line that means the same in all of them.
    of: Option<Conversation>,
}

impl Line {
    fn is_for(&self, here: &Conversation) -> bool {
        self.of.as_ref().is_none_or(|of| of == here)
    }
}

impl History {
    /// Keeps a line of this conversation. A command is offered in all of them.
    pub(super) fn push(&mut self, line: &str, of: &Conversation) {
        self.keep(line, (!words::is_command(line)).then(|| of.clone()));
    }

    /// Keeps a line that says itself which conversation it is for.
    pub(super) fn push_addressed(&mut self, line: &str) {
        self.keep(line, None);
    }

    fn keep(&mut self, text: &str, of: Option<Conversation>) {
        self.at = None;
        let line = Line { text: text.to_owned(), of };
        if self.lines.last() == Some(&line) {
            return;
        }
        if self.lines.len() >= LINES {
            self.lines.remove(0);
        }
        self.lines.push(line);
    }

    /// The line before the one that is shown, in the conversation `here`.
    pub(super) fn older(&mut self, shown: &str, here: &Conversation) -> Option<&str> {
        let before = self.lines.get(..self.at.unwrap_or(self.lines.len()))?;
        let at = before.iter().rposition(|line| line.is_for(here))?;
        if self.at.is_none() {
            shown.clone_into(&mut self.draft);
        }
        self.at = Some(at);
        self.lines.get(at).map(|line| line.text.as_str())
    }

    /// The line after the one that is shown; after the last one, the user's draft.
    pub(super) fn newer(&mut self, here: &Conversation) -> Option<&str> {
        let next = self.at? + 1;
        let later = self.lines.get(next..)?.iter().position(|line| line.is_for(here));
        self.at = later.map(|later| next + later);
        let line = self.at.and_then(|at| self.lines.get(at));
        Some(line.map_or(self.draft.as_str(), |line| line.text.as_str()))
    }

    /// Keeps the draft behind the line that is shown, before another conversation opens.
    pub(super) fn leave(&mut self, here: &Conversation) {
        let draft = std::mem::take(&mut self.draft);
        if self.at.take().is_some() && !draft.is_empty() {
            self.push(&draft, here);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_newest_first_and_the_draft_after_them() {
        let (mut history, lobby) = (History::default(), Conversation::lobby());
        assert_eq!(history.older("x", &lobby), None);
        for line in ["one", "two", "two"] {
            history.push(line, &lobby);
        }
        assert_eq!(history.older("mine", &lobby), Some("two"));
        assert_eq!(history.older("two", &lobby), Some("one"));
        assert_eq!(history.older("one", &lobby), None);
        assert_eq!(history.newer(&lobby), Some("two"));
        assert_eq!(history.newer(&lobby), Some("mine"));
        assert_eq!(history.newer(&lobby), None);
    }

    #[test]
    fn the_oldest_lines_are_dropped() {
        let mut history = History::default();
        for number in 0..LINES + 7 {
            history.push(&number.to_string(), &Conversation::lobby());
        }
        assert_eq!((history.lines.len(), history.lines[0].text.as_str()), (LINES, "7"));
    }
}
