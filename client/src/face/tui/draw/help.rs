//! The help: commands and keys, over everything else.

use parlour_protocol::UserName;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

use super::colours::{BOLD, DIM, NEWS};
use super::wrap::wrap;
use crate::face::tui::keys::KEYS;
use crate::face::words::{OpenTo, WORDS};

/// The columns of the left side.
const LEFT: usize = 28;

/// In fewer columns, explanations stand below the commands and keys.
const NARROW: usize = 60;

pub(crate) fn draw(frame: &mut Frame<'_>, scrolled: usize, user: Option<&UserName>) {
    let area = frame.area();
    frame.render_widget(Clear, area);
    let rows = rows(usize::from(area.width), user);
    let height = usize::from(area.height);
    let skipped = scrolled.min(rows.len().saturating_sub(height));
    for (line, y) in rows.into_iter().skip(skipped).zip(area.top()..area.bottom()) {
        frame.render_widget(line, Rect { y, height: 1, ..area });
    }
}

/// The most rows that it can be scrolled.
pub(crate) fn most_scrolled(columns: u16, height: u16) -> usize {
    rows(usize::from(columns), None).len().saturating_sub(usize::from(height))
}

fn rows(cells: usize, user: Option<&UserName>) -> Vec<Line<'static>> {
    let mut rows = vec![Line::styled("Help (Esc closes, Up and Down scroll)", NEWS), Line::default()];
    rows.push(Line::styled("Commands", BOLD));
    for word in WORDS {
        let open = match word.open_to {
            OpenTo::All => true,
            OpenTo::Guests => user.is_none(),
            OpenTo::Users => user.is_some(),
        };
        let style = if open { Style::new() } else { DIM };
        let written = format!("{} {}", word.name, word.arguments);
        rows.append(&mut entry(written.trim_end(), word.help, style, cells));
    }
    for (written, help) in [
        ("TEXT", "say it in the conversation that is shown"),
        ("//TEXT", "say a text that begins with a slash"),
        ("@NAME TEXT", "say it to one user, end-to-end encrypted; go there"),
        ("@NAME", "go to the conversation with a user"),
    ] {
        rows.append(&mut entry(written, help, Style::new(), cells));
    }
    rows.extend([Line::default(), Line::styled("Keys", BOLD)]);
    for (key, help) in KEYS {
        rows.append(&mut entry(key, help, Style::new(), cells));
    }
    rows
}

fn entry(what: &str, help: &str, style: Style, cells: usize) -> Vec<Line<'static>> {
    if cells < NARROW {
        let room = cells.saturating_sub(4).max(1);
        let mut rows = vec![Line::styled(what.to_owned(), style.patch(BOLD))];
        rows.extend(wrap(help, room, room).into_iter().map(|row| Line::styled(format!("    {row}"), style)));
        return rows;
    }
    let room = cells - LEFT - 2;
    let lefts = std::iter::once(what).chain(std::iter::repeat(""));
    wrap(help, room, room)
        .into_iter()
        .zip(lefts)
        .map(|(row, left)| {
            Line::from(vec![
                Span::styled(format!("  {left:LEFT$}"), style.patch(BOLD)),
                Span::styled(row, style),
            ])
        })
        .collect()
}
