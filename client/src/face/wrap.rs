//! Prepares other people's text for a terminal: makes it harmless, measures it, and breaks it into rows.

use parlour_protocol::clean;
use parlour_protocol::limits::CLUSTER_CHARS;
use ratatui::buffer::CellWidth as _;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthChar as _;

/// The blanks that replace a TAB.
const TAB: &str = "    ";

/// The line break as [`clean`] shows it.
const BREAK: &str = " ⏎ ";

/// A text as one line that can be drawn.
pub(crate) fn plain(text: &str) -> String {
    let text = clean(text).replace('\t', TAB);
    if text.is_ascii() || !text.graphemes(true).any(is_too_long) {
        return text;
    }
    let mut bounded = String::with_capacity(text.len());
    for cluster in text.graphemes(true) {
        if is_too_long(cluster) {
            bounded.extend(cluster.chars().take(CLUSTER_CHARS));
            bounded.push(char::REPLACEMENT_CHARACTER);
        } else {
            bounded.push_str(cluster);
        }
    }
    bounded
}

/// True if a cluster has more characters than are drawn: a terminal that does not join them would draw them over
/// everything behind it.
fn is_too_long(cluster: &str) -> bool {
    cluster.len() > CLUSTER_CHARS && cluster.chars().nth(CLUSTER_CHARS).is_some()
}

/// The cells that a plain text takes.
pub(crate) fn width(text: &str) -> usize {
    text.graphemes(true).map(|grapheme| usize::from(grapheme.cell_width())).sum()
}

/// A plain text cut to `cells`, with an ellipsis at the end if it was longer.
pub(crate) fn shorten(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let mut left = cells.saturating_sub(1);
    let fits = |grapheme: &&str| {
        let rest = left.checked_sub(usize::from(grapheme.cell_width()));
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    let mut short: String = text.graphemes(true).take_while(fits).collect();
    if cells > 0 {
        short.push('…');
    }
    short
}

/// Breaks a plain text into rows: the first of at most `first` cells, the others of `rest`. It breaks at blanks, beside
/// wide characters, after each visible line break, and inside a word only if that is longer than a row. Only blanks at
/// the ends of rows are left out.
pub(crate) fn wrap(text: &str, first: usize, rest: usize) -> Vec<String> {
    wrap_by(|grapheme| usize::from(grapheme.cell_width()), text, first, rest)
}

/// The same for a terminal that may not join characters: a cluster counts as wide as any terminal could draw it.
pub(crate) fn wrap_for_any(text: &str, first: usize, rest: usize) -> Vec<String> {
    wrap_by(widest, text, first, rest)
}

fn widest(grapheme: &str) -> usize {
    let apart: usize = grapheme.chars().map(|c| c.width().unwrap_or(0)).sum();
    apart.max(usize::from(grapheme.cell_width()))
}

fn wrap_by(measure: fn(&str) -> usize, text: &str, first: usize, rest: usize) -> Vec<String> {
    let rest = rest.max(1);
    let mut rows = Rows { done: Vec::new(), row: Row::default(), limit: first, rest, measure };
    if first < rest.min(8) {
        rows.end();
    }
    let mut pieces = text.split(BREAK).peekable();
    while let Some(piece) = pieces.next() {
        piece.graphemes(true).for_each(|grapheme| rows.push(grapheme));
        let Some(next) = pieces.peek() else { break };
        if !rows.row.text.is_empty() {
            rows.push(" ");
        }
        rows.push("⏎");
        // A line break at the very end needs no row after it.
        if next.is_empty() && pieces.clone().nth(1).is_none() {
            break;
        }
        rows.end();
    }
    rows.end();
    rows.done
}

struct Rows {
    done: Vec<String>,
    row: Row,
    /// The cells of the row that is being filled.
    limit: usize,
    rest: usize,
    /// The cells that a cluster takes.
    measure: fn(&str) -> usize,
}

#[derive(Default)]
struct Row {
    text: String,
    cells: usize,
    /// The place where it can be broken, in bytes.
    seam: Option<usize>,
}

impl Rows {
    fn push(&mut self, grapheme: &str) {
        let cells = (self.measure)(grapheme);
        if cells > self.rest {
            return self.push_parts(grapheme);
        }
        if self.row.cells + cells > self.limit {
            if grapheme == " " && !self.row.text.trim().is_empty() {
                return self.end();
            }
            self.overflow(cells > 1);
            return self.push(grapheme);
        }
        self.row.text.push_str(grapheme);
        self.row.cells += cells;
        if (grapheme == " " || cells > 1) && !self.row.text.trim().is_empty() {
            self.row.seam = Some(self.row.text.len());
        }
    }

    /// Adds a grapheme wider than a row character by character.
    fn push_parts(&mut self, grapheme: &str) {
        if grapheme.chars().nth(1).is_none() {
            return self.push("?");
        }
        for c in grapheme.chars() {
            self.push(c.encode_utf8(&mut [0; 4]));
        }
    }

    /// Ends the row at its seam, or where it is.
    fn overflow(&mut self, before_wide: bool) {
        let seam = self.row.seam.filter(|_| !before_wide);
        let tail = seam.map(|seam| self.row.text.split_off(seam));
        self.end();
        for grapheme in tail.iter().flat_map(|tail| tail.graphemes(true)) {
            self.push(grapheme);
        }
    }

    fn end(&mut self) {
        let row = std::mem::take(&mut self.row);
        self.done.push(row.text.trim_end().to_owned());
        self.limit = self.rest;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_break_at_blanks_and_long_words_where_they_must() {
        assert_eq!(wrap("the quick brown fox", 10, 10), ["the quick", "brown fox"]);
        assert_eq!(wrap("abcdefghijklmnopqrstuvwxy", 10, 10), ["abcdefghij", "klmnopqrst", "uvwxy"]);
        assert_eq!(wrap("a abcdefghijklmn", 10, 10), ["a", "abcdefghij", "klmn"]);
        assert_eq!(wrap("    indented text here", 12, 12), ["    indented", "text here"]);
        assert_eq!(wrap("", 10, 10), [""]);
    }

    #[test]
    fn the_first_row_can_be_shorter_or_too_short() {
        assert_eq!(wrap("one two three", 9, 12), ["one two", "three"]);
        assert_eq!(wrap("one two three", 3, 12), ["", "one two", "three"]);
    }

    #[test]
    fn rows_break_between_wide_characters_and_never_before_a_mark() {
        assert_eq!(wrap("日本語日本語", 8, 8), ["日本語日", "本語"]);
        assert_eq!(wrap("日本語", 1, 1), ["?", "?", "?"]);
        assert_eq!(wrap("👩‍👩‍👧👩‍👩‍👧", 2, 2), ["👩‍👩‍👧", "👩‍👩‍👧"]);
        assert_eq!(wrap("ae\u{301}o", 2, 2), ["ae\u{301}", "o"]);
    }

    #[test]
    fn a_line_break_is_shown_and_ends_its_row() {
        assert_eq!(wrap(&plain("one\n\n  two\n"), 20, 20), ["one ⏎", "⏎", "  two ⏎"]);
        assert_eq!(plain("a\tb\u{1b}c"), "a    b\u{fffd}c");
    }

    #[test]
    fn an_endless_cluster_is_cut_and_those_that_people_use_are_not() {
        let clusters = ["\u{1100}", "क्", "👍🏽\u{200d}", "👍🏽🏽", "\u{600}", "ा", "🏳️\u{200d}🌈\u{200d}"];
        for endless in clusters.map(|cluster| cluster.repeat(400)) {
            let longest = plain(&endless).graphemes(true).map(|cluster| cluster.chars().count()).max();
            assert!(longest.is_some_and(|longest| longest <= CLUSTER_CHARS + 1), "{endless}: {longest:?}");
        }
        for text in
            ["👩🏽\u{200d}❤️\u{200d}💋\u{200d}👨🏽", "👩\u{200d}👩\u{200d}👧\u{200d}👦", "र्त्स्न्यों", "각", "🇩🇪"]
        {
            assert_eq!(plain(text), text);
        }
    }

    #[test]
    fn a_shortened_text_ends_with_an_ellipsis() {
        assert_eq!(shorten("lobby", 5), "lobby");
        assert_eq!(shorten("lobby", 4), "lob…");
        assert_eq!(shorten("日本語", 4), "日…");
        assert_eq!(shorten("x", 0), "");
    }

    proptest! {
        #[test]
        fn no_row_is_too_long_and_nothing_but_blanks_is_lost(
            text in any::<String>(), first in 0_usize..30, rest in 1_usize..30
        ) {
            let text = plain(&text);
            let rows = wrap(&text, first, rest);
            for (index, row) in rows.iter().enumerate() {
                let limit = if index == 0 { first } else { rest };
                prop_assert!(width(row) <= limit, "{row:?} in {limit}");
            }
            // One character can be three cells wide: `៘`.
            if rest > 1 && text.chars().all(|c| c.width().unwrap_or(0) <= rest) {
                let shown = |text: &str| text.split_whitespace().collect::<String>();
                prop_assert_eq!(shown(&rows.concat()), shown(&text));
            }
        }
    }
}
