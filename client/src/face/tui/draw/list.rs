//! The list of conversations, with their unread counts.

use parlour_protocol::Conversation;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::colours::{BOLD, DIM, NEWS};
use super::wrap::{shorten, width};
use crate::face::tui::state::{ConversationState, State};
use crate::face::tui::view::View;

/// Cells besides the name: the mark, the number and blanks, and the count.
const AROUND: usize = 9;

/// The most columns that the list wants.
const MOST: usize = 26;

/// The columns that the list wants.
pub(crate) fn columns(state: &State) -> u16 {
    let longest = state.conversations.iter().map(|conversation| width(&conversation.name.to_string())).max();
    longest.map_or(0, |longest| u16::try_from((longest + AROUND).min(MOST)).unwrap_or(0))
}

pub(crate) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, view: &View) {
    if area.is_empty() {
        return;
    }
    let (height, all) = (usize::from(area.height), state.conversations.len());
    let selected = state.conversations.iter().position(|c| c.name == view.selected).unwrap_or(0);
    let skipped = (selected + 1 + height / 2).saturating_sub(height).min(all.saturating_sub(height));
    let seen = state.conversations.iter().enumerate().skip(skipped).take(height);
    for ((index, conversation), y) in seen.zip(area.top()..) {
        let number = state.number(&conversation.name).filter(|number| *number <= 9);
        let line = row(number, conversation, index == selected, usize::from(area.width));
        frame.render_widget(line, Rect { y, height: 1, ..area });
    }
}

fn row(
    number: Option<usize>,
    conversation: &ConversationState,
    selected: bool,
    cells: usize,
) -> Line<'static> {
    let number = number.map_or(" ".to_owned(), |number| number.to_string());
    let unread = match conversation.unread() {
        0 => String::new(),
        1..=999 => conversation.unread().to_string(),
        _ => "999+".to_owned(),
    };
    let name = shorten(&conversation.name.to_string(), cells.saturating_sub(5 + width(&unread)));
    let blanks = cells.saturating_sub(4 + width(&name) + width(&unread));
    let style = match (&conversation.name, unread.is_empty(), selected) {
        (_, _, true) => BOLD.add_modifier(Modifier::REVERSED),
        (Conversation::Direct(_), false, _) => NEWS,
        (Conversation::Channel(_), false, _) => BOLD,
        _ => Style::new(),
    };
    Line::from(vec![
        Span::styled(if selected { ">" } else { " " }, BOLD),
        Span::styled(format!("{number} "), DIM),
        Span::styled(name, style),
        Span::raw(" ".repeat(blanks)),
        Span::styled(unread, NEWS),
        Span::raw(" "),
    ])
}
