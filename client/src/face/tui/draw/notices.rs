//! The lines above the status line: answers, errors with their hints, progress, and the candidates of Tab.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::colours::{BAD, BOLD, DIM, NEWS};
use super::wrap::{plain, shorten, width, wrap};
use crate::face::tui::completion::Completion;
use crate::face::tui::state::{NoticeKind, State};
use crate::face::tui::view::View;

/// The most rows; if there are more, the newest are shown.
const ROWS: usize = 100;

/// All rows, oldest first.
pub(crate) fn rows(state: &State, view: &View, columns: u16) -> Vec<Line<'static>> {
    let cells = usize::from(columns).max(1);
    let mut groups: Vec<Vec<Line<'static>>> = Vec::new();
    let mut count = 0;
    for notice in state.notices.iter().rev() {
        let style = match notice.kind {
            NoticeKind::Info => Style::new(),
            NoticeKind::Error => BAD.add_modifier(Modifier::BOLD),
            NoticeKind::Hint => DIM,
        };
        let group = bullet(&notice.text, style, cells);
        count += group.len();
        groups.push(group);
        if count >= ROWS {
            break;
        }
    }
    let mut rows: Vec<Line<'static>> = groups.into_iter().rev().flatten().collect();
    rows.drain(..rows.len().saturating_sub(ROWS));
    if let Some(progress) = &state.progress {
        rows.append(&mut bullet(&format!("{progress} …"), DIM, cells));
    }
    if let Some(hint) = view.hint {
        rows.append(&mut bullet(hint, NEWS, cells));
    }
    if let Some(completion) = view.completion.as_ref().filter(|completion| completion.candidates.len() > 1) {
        rows.push(offered(completion, cells));
    }
    rows
}

fn bullet(text: &str, style: Style, cells: usize) -> Vec<Line<'static>> {
    let mark = if cells > 12 { "* " } else { "" };
    let room = cells - width(mark);
    let marks = std::iter::once(mark.to_owned()).chain(std::iter::repeat(" ".repeat(width(mark))));
    wrap(&plain(text), room, room)
        .into_iter()
        .zip(marks)
        .map(|(row, mark)| Line::from(vec![Span::styled(mark, DIM), Span::styled(row, style)]))
        .collect()
}

/// The candidates in a row that begins so that the chosen one is visible.
fn offered(completion: &Completion, cells: usize) -> Line<'static> {
    let mut spans = Vec::new();
    let mut left = cells;
    let first = completion.chosen.saturating_sub(2);
    for (index, candidate) in completion.candidates.iter().enumerate().skip(first) {
        let text = shorten(plain(candidate).trim_end(), left);
        left = left.saturating_sub(width(&text) + 2);
        let style = if index == completion.chosen { BOLD.add_modifier(Modifier::REVERSED) } else { DIM };
        spans.extend([Span::styled(text, style), Span::raw("  ")]);
        if left == 0 {
            break;
        }
    }
    Line::from(spans)
}
