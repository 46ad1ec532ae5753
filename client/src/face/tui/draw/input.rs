//! The input, with the cursor in it.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation as _;

use super::colours::DIM;
use super::wrap::{plain, shorten, width};
use crate::face::tui::composer::Composer;
use crate::face::tui::state::State;
use crate::face::tui::view::View;

/// A text laid out in rows, and its cursor's place.
struct Layout {
    rows: Vec<String>,
    /// Row and column.
    cursor: (usize, usize),
}

/// The rows that the input wants.
pub(crate) fn rows(state: &State, view: &View, columns: u16) -> u16 {
    let columns = usize::from(columns).saturating_sub(width(&prompt(state, view, columns)));
    u16::try_from(layout(&view.composer, columns).rows.len()).unwrap_or(u16::MAX)
}

pub(crate) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, view: &View) {
    let prompt = prompt(state, view, area.width);
    let indent = width(&prompt);
    let Layout { rows, cursor: (row, column) } =
        layout(&view.composer, usize::from(area.width).saturating_sub(indent));
    let height = usize::from(area.height);
    // The cursor's row is always visible.
    let skipped = (row + 1).saturating_sub(height).max(rows.len().saturating_sub(height).min(row));
    let lines = rows.into_iter().enumerate().skip(skipped).take(height);
    for ((index, text), y) in lines.zip(area.top()..) {
        let prompt = if index == 0 { prompt.clone() } else { " ".repeat(indent) };
        let style = if view.composer.is_refused() { DIM } else { Style::new() };
        let line = Line::from(vec![Span::styled(prompt, DIM), Span::styled(text, style)]);
        frame.render_widget(line, Rect { y, height: 1, ..area });
    }
    if view.help.is_none() && !area.is_empty() {
        let x = u16::try_from(indent + column).unwrap_or(u16::MAX).min(area.width - 1);
        let y = u16::try_from(row - skipped).unwrap_or(u16::MAX).min(area.height - 1);
        frame.set_cursor_position(Position { x: area.x + x, y: area.y + y });
    }
}

/// The prompt, which names the conversation that gets the text, if there is room.
fn prompt(state: &State, view: &View, columns: u16) -> String {
    let columns = usize::from(columns);
    if columns < 8 {
        return String::new();
    }
    let to = if state.user.is_some() { plain(&view.selected.to_string()) } else { String::new() };
    format!("{}> ", shorten(&to, columns / 4))
}

/// Breaks the text at the end of a row and after line breaks, which are shown.
fn layout(composer: &Composer, columns: usize) -> Layout {
    let columns = columns.max(1);
    let mut rows = vec![String::new()];
    let mut cells = 0;
    let mut put = |grapheme: &str, rows: &mut Vec<String>| {
        let shown = if grapheme == "\n" { "⏎".to_owned() } else { plain(grapheme) };
        for part in shown.graphemes(true) {
            let wide = width(part);
            if cells + wide > columns {
                rows.push(String::new());
                cells = 0;
            }
            if let Some(row) = rows.last_mut() {
                row.push_str(part);
            }
            cells += wide;
        }
        if grapheme == "\n" {
            rows.push(String::new());
            cells = 0;
        }
        (rows.len() - 1, cells)
    };
    let mut cursor = (0, 0);
    for grapheme in composer.before().graphemes(true) {
        cursor = put(grapheme, &mut rows);
    }
    for grapheme in composer.after().graphemes(true) {
        put(grapheme, &mut rows);
    }
    // After a full row the cursor is in the next one.
    if cursor.1 >= columns {
        cursor = (cursor.0 + 1, 0);
        if cursor.0 == rows.len() {
            rows.push(String::new());
        }
    }
    Layout { rows, cursor }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::tui::composer::Edit;

    fn laid_out(text: &str, left: usize, columns: usize) -> (Vec<String>, (usize, usize)) {
        let mut composer = Composer::default();
        composer.insert(text);
        (0..left).for_each(|_| composer.edit(Edit::Left));
        let Layout { rows, cursor } = layout(&composer, columns);
        (rows, cursor)
    }

    #[test]
    fn rows_and_cursor_follow_the_text() {
        let rows = |rows: &[&str]| rows.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(laid_out("", 0, 5), (rows(&[""]), (0, 0)));
        assert_eq!(laid_out("abc", 1, 5), (rows(&["abc"]), (0, 2)));
        assert_eq!(laid_out("abcde", 0, 5), (rows(&["abcde", ""]), (1, 0)));
        assert_eq!(laid_out("abcdef", 1, 5), (rows(&["abcde", "f"]), (1, 0)));
        assert_eq!(laid_out("日本語", 0, 5), (rows(&["日本", "語"]), (1, 2)));
        assert_eq!(laid_out("a\nb", 0, 5), (rows(&["a⏎", "b"]), (1, 1)));
        assert_eq!(laid_out("a\u{202e}b", 0, 5), (rows(&["a\u{fffd}b"]), (0, 3)));
        assert_eq!(laid_out("日", 0, 1), (rows(&["", "日", ""]), (2, 0)));
    }
}
