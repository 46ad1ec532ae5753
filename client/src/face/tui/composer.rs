//! The input: a text, and a cursor that stands between graphemes.

use unicode_segmentation::UnicodeSegmentation as _;

/// A change to the text, or a move of the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edit {
    Left,
    Right,
    WordLeft,
    WordRight,
    LineStart,
    LineEnd,
    Backspace,
    Delete,
    /// Cuts back to a blank.
    CutBlank,
    /// Cuts back to the beginning of a word.
    CutWord,
    /// Cuts to the end of a word.
    CutWordRight,
    CutToLineStart,
    CutToLineEnd,
    /// Inserts the text that was cut last.
    Yank,
}

/// The text that is being written.
#[derive(Debug, Clone, Default)]
pub(super) struct Composer {
    text: String,
    /// The cursor's place in bytes, at the edge of a grapheme.
    cursor: usize,
    cut: String,
    /// True if the text was refused and came back for correction; the next text that is typed replaces it.
    refused: bool,
}

impl Composer {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text before the cursor.
    pub(super) fn before(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or_default()
    }

    /// The text behind the cursor.
    pub(super) fn after(&self) -> &str {
        self.text.get(self.cursor..).unwrap_or_default()
    }

    /// Replaces the text, and puts the cursor at its end.
    pub(super) fn set(&mut self, text: &str) {
        text.clone_into(&mut self.text);
        self.cursor = self.text.len();
        self.refused = false;
    }

    /// Takes a refused text back. The next text that is typed replaces it, unless the user first moves or cuts in it.
    pub(super) fn give_back(&mut self, text: &str) {
        self.set(text);
        self.refused = true;
    }

    /// True if the next text that is typed replaces this one.
    pub(super) fn is_refused(&self) -> bool {
        self.refused
    }

    /// Takes the text, and leaves the input empty.
    pub(super) fn take(&mut self) -> String {
        self.cursor = 0;
        self.refused = false;
        std::mem::take(&mut self.text)
    }

    pub(super) fn insert(&mut self, text: &str) {
        if self.refused {
            self.take();
        }
        let (before, after) = (self.before(), self.after());
        let cursor = before.len() + text.len();
        self.text = [before, text, after].concat();
        self.cursor = self.edge_from(cursor);
    }

    /// Replaces the last `bytes` bytes before the cursor.
    pub(super) fn replace_before(&mut self, bytes: usize, text: &str) {
        self.refused = false;
        let start = self.cursor.saturating_sub(bytes);
        self.remove(start, self.cursor);
        self.insert(text);
    }

    pub(super) fn edit(&mut self, edit: Edit) {
        self.refused = false;
        match edit {
            Edit::Left => self.cursor = self.left(),
            Edit::Right => self.cursor = self.right(),
            Edit::WordLeft => self.cursor = self.word_left(),
            Edit::WordRight => self.cursor = self.word_right(),
            Edit::LineStart => self.cursor = self.line_start(),
            Edit::LineEnd => self.cursor = self.line_end(),
            Edit::Backspace => self.remove(self.left(), self.cursor),
            Edit::Delete => self.remove(self.cursor, self.right()),
            Edit::CutBlank => self.cut(self.blank_left(), self.cursor),
            Edit::CutWord => self.cut(self.word_left(), self.cursor),
            Edit::CutWordRight => self.cut(self.cursor, self.word_right()),
            Edit::CutToLineStart => self.cut(self.line_start(), self.cursor),
            Edit::CutToLineEnd => self.cut(self.cursor, self.line_end()),
            Edit::Yank => self.insert(&self.cut.clone()),
        }
    }

    /// Moves to the line above; false if there is none.
    pub(super) fn up(&mut self) -> bool {
        let start = self.line_start();
        let column = self.text.get(start..self.cursor).unwrap_or_default().graphemes(true).count();
        let Some(end) = start.checked_sub(1) else { return false };
        let above = self.text.get(..end).unwrap_or_default();
        let above_start = above.rfind('\n').map_or(0, |at| at + 1);
        self.cursor = self.column(above_start, end, column);
        true
    }

    /// Moves to the line below; false if there is none.
    pub(super) fn down(&mut self) -> bool {
        let start = self.line_start();
        let column = self.text.get(start..self.cursor).unwrap_or_default().graphemes(true).count();
        let end = self.line_end();
        if end == self.text.len() {
            return false;
        }
        let below = self.text.get(end + 1..).unwrap_or_default();
        let below_end = below.find('\n').map_or(self.text.len(), |at| end + 1 + at);
        self.cursor = self.column(end + 1, below_end, column);
        true
    }

    /// The start of the grapheme with number `column` in a line, or the line's end.
    fn column(&self, start: usize, end: usize, column: usize) -> usize {
        let line = self.text.get(start..end).unwrap_or_default();
        line.grapheme_indices(true).nth(column).map_or(end, |(at, _)| start + at)
    }

    fn left(&self) -> usize {
        self.before().grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn right(&self) -> usize {
        self.cursor + self.after().graphemes(true).next().map_or(0, str::len)
    }

    fn word_left(&self) -> usize {
        let is_word = |(_, part): &(usize, &str)| part.chars().any(char::is_alphanumeric);
        let start = self.before().split_word_bound_indices().rev().find(is_word).map_or(0, |(at, _)| at);
        self.edge_to(start)
    }

    fn word_right(&self) -> usize {
        let is_word = |(_, part): &(usize, &str)| part.chars().any(char::is_alphanumeric);
        let found = self.after().split_word_bound_indices().find(is_word);
        self.edge_from(found.map_or(self.text.len(), |(at, part)| self.cursor + at + part.len()))
    }

    fn blank_left(&self) -> usize {
        let before = self.before().trim_end();
        let blank = before.char_indices().rev().find(|(_, c)| c.is_whitespace());
        self.edge_to(blank.map_or(0, |(at, c)| at + c.len_utf8()))
    }

    fn line_start(&self) -> usize {
        self.before().rfind('\n').map_or(0, |at| at + 1)
    }

    fn line_end(&self) -> usize {
        self.after().find('\n').map_or(self.text.len(), |at| self.cursor + at)
    }

    fn cut(&mut self, from: usize, to: usize) {
        if from < to {
            self.cut = self.text.get(from..to).unwrap_or_default().to_owned();
            self.remove(from, to);
        }
    }

    fn remove(&mut self, from: usize, to: usize) {
        let before = self.text.get(..from).unwrap_or_default();
        let after = self.text.get(to..).unwrap_or_default();
        self.text = [before, after].concat();
        self.cursor = self.edge_from(from);
    }

    /// The edge of a grapheme at or before `at`, since the edge of a word may be inside a grapheme.
    fn edge_to(&self, at: usize) -> usize {
        let edges = self.text.grapheme_indices(true).map(|(edge, _)| edge);
        edges.take_while(|edge| *edge <= at).last().unwrap_or(0)
    }

    /// The edge of a grapheme at or after `at`, since a change can join two graphemes.
    fn edge_from(&self, at: usize) -> usize {
        let mut edges = self.text.grapheme_indices(true).map(|(edge, _)| edge);
        edges.find(|edge| *edge >= at).unwrap_or(self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A composer with its cursor at the `|` in the text.
    fn at(marked: &str) -> Composer {
        let cursor = marked.find('|').unwrap();
        Composer { text: marked.replace('|', ""), cursor, cut: String::new(), refused: false }
    }

    fn after(marked: &str, edit: Edit) -> String {
        let mut composer = at(marked);
        composer.edit(edit);
        format!("{}|{}", composer.before(), composer.after())
    }

    #[test]
    fn every_edit_does_what_the_help_says() {
        for (before, edit, expected) in [
            ("ab|c", Edit::Left, "a|bc"),
            ("|abc", Edit::Left, "|abc"),
            ("ab|c", Edit::Right, "abc|"),
            ("abc|", Edit::Right, "abc|"),
            ("one two|", Edit::WordLeft, "one |two"),
            ("one, |two", Edit::WordLeft, "|one, two"),
            ("one| two", Edit::WordRight, "one two|"),
            ("one\ntw|o", Edit::LineStart, "one\n|two"),
            ("o|ne\ntwo", Edit::LineEnd, "one|\ntwo"),
            ("ab|c", Edit::Backspace, "a|c"),
            ("ab|c", Edit::Delete, "ab|"),
            ("see a/b.c |", Edit::CutBlank, "see |"),
            ("see a/b|", Edit::CutWord, "see a/|"),
            ("|one two", Edit::CutWordRight, "| two"),
            ("one two|x", Edit::CutToLineStart, "|x"),
            ("one| two\nx", Edit::CutToLineEnd, "one|\nx"),
        ] {
            assert_eq!(after(before, edit), expected, "{before} {edit:?}");
        }
    }

    #[test]
    fn a_grapheme_of_many_characters_is_one_step() {
        assert_eq!(after("a👩‍👩‍👧|b", Edit::Left), "a|👩‍👩‍👧b");
        assert_eq!(after("a👩‍👩‍👧|b", Edit::Backspace), "a|b");
        assert_eq!(after("a|e\u{301}b", Edit::Delete), "a|b");
        let mut composer = at("e|x");
        composer.insert("\u{301}");
        assert_eq!(composer.before(), "e\u{301}");
    }

    #[test]
    fn a_cut_text_can_be_inserted_again() {
        let mut composer = at("one two|");
        composer.edit(Edit::CutBlank);
        composer.edit(Edit::LineStart);
        composer.edit(Edit::Yank);
        assert_eq!(composer.text(), "twoone ");
        composer.edit(Edit::Yank);
        assert_eq!(composer.before(), "twotwo");
    }

    #[test]
    fn a_refused_text_is_replaced_by_the_next_unless_it_is_edited() {
        let mut composer = Composer::default();
        composer.give_back("/regsiter sam");
        composer.insert("h");
        composer.insert("i");
        assert_eq!(composer.text(), "hi");
        for edit in [Edit::Left, Edit::LineEnd, Edit::Backspace, Edit::WordLeft] {
            composer.give_back("/register sam");
            composer.edit(edit);
            composer.insert("x");
            assert!(composer.text().starts_with("/register ") && composer.text().contains('x'));
        }
    }

    #[test]
    fn the_cursor_moves_between_lines_as_far_as_there_are_any() {
        let mut composer = at("abc\nd|\nefg");
        assert!(composer.up());
        assert_eq!(composer.before(), "a");
        assert!(!composer.up());
        assert!(composer.down() && composer.down());
        assert_eq!(composer.before(), "abc\nd\ne");
        assert!(!composer.down());
    }

    proptest! {
        #[test]
        fn the_cursor_always_stands_between_graphemes(
            text in any::<String>(), steps in prop::collection::vec((0_usize..16, any::<char>()), 0..40)
        ) {
            let mut composer = Composer::default();
            composer.set(&text);
            for (step, c) in steps {
                match step {
                    0 => composer.edit(Edit::Left),
                    1 => composer.edit(Edit::Right),
                    2 => composer.edit(Edit::WordLeft),
                    3 => composer.edit(Edit::WordRight),
                    4 => composer.edit(Edit::LineStart),
                    5 => composer.edit(Edit::LineEnd),
                    6 => composer.edit(Edit::Backspace),
                    7 => composer.edit(Edit::Delete),
                    8 => composer.edit(Edit::CutBlank),
                    9 => composer.edit(Edit::CutWord),
                    10 => composer.edit(Edit::CutWordRight),
                    11 => composer.edit(Edit::Yank),
                    12 => { composer.up(); }
                    13 => { composer.down(); }
                    _ => composer.insert(&c.to_string()),
                }
                let edges: Vec<usize> = composer.text.grapheme_indices(true).map(|(at, _)| at).collect();
                prop_assert!(composer.cursor == composer.text.len() || edges.contains(&composer.cursor));
                prop_assert_eq!([composer.before(), composer.after()].concat(), composer.text());
            }
        }
    }
}
